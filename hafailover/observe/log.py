"""One place for what the daemon says: structlog, for us and for the libraries' own loggers."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING, TextIO

import structlog

from hafailover.observe.history import timestamp
from hafailover.observe.sink import Sink

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

_SECRET_WORDS = ("secret", "password", "token", "authorization", "signature")
_MAX_TEXT_CHARS = 4096


def configure(level: str = "info", form: str = "auto", stream: TextIO | None = None, *, cluster: str = "") -> Sink:
    """Send everything from `level` on to `stream` (default: standard error), one line an event.

    `form` is "console", "json", or "auto": console on a terminal, else json; a JSON line carries the cluster's
    name if one is given. Returns the sink, which counts the lines that a
    stalled journal did not take.
    """
    stream = sys.stderr if stream is None else stream
    sink = Sink(stream)
    on_console = form == "console" or (form == "auto" and stream.isatty())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _without_secrets,
            _put_in_order,
            *(_console(colors=stream.isatty()) if on_console else _json(cluster)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_names: sink,
        cache_logger_on_first_use=False,  # a reload may change the level
    )
    _take_over_stdlib()
    return sink


def set_level(level: str) -> None:
    """Log from another level on; everything else stays as configured."""
    wrapper = structlog.make_filtering_bound_logger(LEVELS[level])
    structlog.configure(**{**structlog.get_config(), "wrapper_class": wrapper})


def _console(*, colors: bool) -> tuple[Processor, ...]:
    plain = structlog.dev.plain_traceback  # the default loads rich where that is installed
    return (structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain, timestamp_key="time"),)


def _json(cluster: str) -> tuple[Processor, ...]:
    def name_cluster(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {**event, "cluster": cluster} if cluster else event

    return name_cluster, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()


def _put_in_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put first what a reader looks for first."""
    now = timestamp(time.time_ns() // 1_000_000)
    return {"time": now, "level": event.pop("level"), "event": event.pop("event", ""), **event}


def _without_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Blank what a careless call would give away, and cut what an outsider could make endless."""
    for name, value in event.items():
        if any(word in name.lower() for word in _SECRET_WORDS):
            event[name] = "[hidden]"
        elif isinstance(value, str) and len(value) > _MAX_TEXT_CHARS:
            event[name] = f"{value[:_MAX_TEXT_CHARS]}..."
    return event


class _Forward(logging.Handler):
    """Hands the libraries' records to structlog, so that all lines look alike."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log the record as an event of its own level, or of the next lower one that structlog has."""
        try:
            level = max(known for known in LEVELS.values() if known <= max(record.levelno, logging.DEBUG))
            structlog.get_logger().log(
                level, record.getMessage(), logger=record.name, exc_info=record.exc_info or None
            )
        except Exception:  # noqa: BLE001 - a record that cannot be formatted is the library's mistake
            self.handleError(record)


def _take_over_stdlib() -> None:
    """Send warnings and worse of all libraries here; their lower levels tell of every request they make."""
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Forward)]:
        root.removeHandler(handler)
    root.addHandler(_Forward(logging.WARNING))
    root.setLevel(logging.WARNING)
