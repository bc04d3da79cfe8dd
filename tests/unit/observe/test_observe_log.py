from __future__ import annotations

import io
import json
import logging
import re
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from hafailover.observe import log

if TYPE_CHECKING:
    from collections.abc import Iterator

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Give other tests the logging that they expect."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_is_one_object_a_line_with_what_matters_first() -> None:
    stream = io.StringIO()
    log.configure("info", "json", stream)

    structlog.get_logger().info("role_changed", group="vip", term=3)

    (line,) = lines(stream)
    assert list(line) == ["time", "level", "event", "group", "term"]
    assert re.fullmatch(TIME, line["time"])
    assert (line["level"], line["event"], line["term"]) == ("info", "role_changed", 3)


def test_json_names_the_cluster_if_it_is_told() -> None:
    stream = io.StringIO()
    log.configure("info", "json", stream, cluster="web")

    structlog.get_logger().info("role_changed", group="vip")

    assert lines(stream)[0]["cluster"] == "web"


@pytest.mark.parametrize(
    ("form", "stream", "is_json"),
    [
        ("json", Terminal(), True),
        ("auto", io.StringIO(), True),
        ("auto", Terminal(), False),
        ("console", io.StringIO(), False),
    ],
    ids=["json", "auto on a pipe", "auto on a terminal", "console"],
)
def test_the_format_is_the_one_asked_for_or_fits_the_stream(
    form: str, stream: io.StringIO, *, is_json: bool
) -> None:
    log.configure("info", form, stream)

    structlog.get_logger().warning("peer_lost", peer="web-b")

    text = stream.getvalue()
    assert text.startswith("{") is is_json
    assert ("\x1b[" in text) is (isinstance(stream, Terminal) and not is_json)
    assert "peer_lost" in text
    assert re.search(TIME, text)


def test_a_level_can_be_changed_later_for_loggers_made_before() -> None:
    logger = structlog.get_logger()
    first, second = io.StringIO(), io.StringIO()

    log.configure("warning", "json", first)
    logger.info("unheard")
    log.configure("debug", "json", second)
    logger.debug("heard")

    assert first.getvalue() == ""
    assert [line["event"] for line in lines(second)] == ["heard"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_exception_is_logged_with_its_traceback(form: str) -> None:
    stream = io.StringIO()
    log.configure("info", form, stream)

    try:
        _ = 1 // 0
    except ZeroDivisionError:
        structlog.get_logger().exception("loop_failed")

    assert "loop_failed" in stream.getvalue()
    assert "ZeroDivisionError: " in stream.getvalue()


def test_secrets_are_hidden_and_endless_texts_cut() -> None:
    stream = io.StringIO()
    log.configure("info", "json", stream)

    structlog.get_logger().info(
        "asked", secret_key="hush", SessionToken="hush", mqtt_password="hush", body="x" * 9999
    )

    (line,) = lines(stream)
    assert "hush" not in stream.getvalue()
    assert line["secret_key"] == "[hidden]"
    assert len(line["body"]) == 4099


def test_the_libraries_are_heard_from_warning_on_in_the_same_shape() -> None:
    stream = io.StringIO()
    log.configure("debug", "json", stream)
    library = logging.getLogger("httpx")

    library.info("HTTP Request: POST https://vpc.tencentcloudapi.com")
    library.warning("retrying %s of %d", "GET", 3)
    library.log(logging.CRITICAL + 10, "worse")
    try:
        _ = dict[str, str]()["lost"]
    except KeyError:
        logging.getLogger("asyncio").exception("Task exception was never retrieved")

    heard = lines(stream)
    assert [(line["logger"], line["level"], line["event"]) for line in heard] == [
        ("httpx", "warning", "retrying GET of 3"),
        ("httpx", "error", "worse"),
        ("asyncio", "error", "Task exception was never retrieved"),
    ]
    assert "KeyError: 'lost'" in heard[2]["exception"]


def test_configured_twice_a_librarys_record_is_one_line() -> None:
    stream = io.StringIO()
    log.configure("info", "json", stream)
    log.configure("info", "json", stream)

    logging.getLogger("tencentcloud").error("once")

    assert len(lines(stream)) == 1


def test_a_librarys_broken_record_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    log.configure("info", "json", stream)
    ours = [handler for handler in logging.getLogger().handlers if isinstance(handler, log._Forward)]
    logging.getLogger().handlers[:] = ours  # without pytest's own, which raises

    logging.getLogger("httpx").warning("%d", "no number")
    structlog.get_logger().info("still here")

    assert [line["event"] for line in lines(stream)] == ["still here"]
    assert "--- Logging error ---" in capsys.readouterr().err
