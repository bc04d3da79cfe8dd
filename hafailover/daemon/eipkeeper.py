"""Keeps the EIPs with their addresses: notes each binding, and makes anew what a move has lost.

What was bound is known from the readings of the ENIs; it is kept on disk, because the node that releases an
address may be another than the one that has it next. Only the node that holds the address binds.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import structlog

from hafailover.cloud.binder import TAKEN
from hafailover.cloud.eips import Binding, EipBook
from hafailover.daemon import clock, statefile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from hafailover.cloud.client import Cloud
    from hafailover.cloud.replies import Eni
    from hafailover.observe.metrics import Metrics

FILE = "eips.json"
VERSION = 1
MAX_BYTES = 1024 * 1024
MAX_TEXT = 64
BIND_DEADLINE_S = 30.0
FIRST_RETRY_S = 1.0
LAST_RETRY_S = 30.0

log = structlog.get_logger()


class EipKeeper:
    """The EIPs of one daemon's addresses; `eni_id` is the ENI by which this node carries them."""

    def __init__(
        self,
        directory: Path,
        addresses: Iterable[str],
        *,
        eni_id: str,
        cloud: Cloud,
        metrics: Metrics,
        disk: Executor,
    ) -> None:
        self._directory = directory
        known, complaint = load(directory)
        if complaint:
            log.warning("eips_unreadable", error=complaint)
        self._book = EipBook(addresses, known)
        self._noted = self._book.bindings
        self._eni_id = eni_id
        self._cloud = cloud
        self._metrics = metrics
        self._disk = disk
        self._news = asyncio.Event()

    def configure(self, addresses: Iterable[str]) -> None:
        """Keep the EIPs of these addresses from now on, and no others."""
        self._book.keep(addresses)
        self._save()
        self._metrics.eips_missing(len(self._mine))

    def see(self, enis: Sequence[Eni]) -> None:
        """Take in one reading of the nodes' ENIs."""
        self._book.see(enis, clock.now_ms())
        self._save()
        self._metrics.eips_missing(len(self._mine))
        if self._mine:
            self._news.set()

    def _save(self) -> None:
        """Note what has changed; one that the disk refuses is noted with the next change."""
        bindings = self._book.bindings
        if bindings == self._noted:
            return
        self._noted = bindings
        saving = asyncio.get_running_loop().run_in_executor(
            self._disk, statefile.write, self._directory / FILE, encode(bindings)
        )
        saving.add_done_callback(_saved)

    @property
    def _mine(self) -> list[Binding]:
        return [lost for lost in self._book.lost if lost.eni_id == self._eni_id]

    async def run(self) -> None:
        """Bind what is lost, for ever; tried again with growing waits until a reading shows it bound."""
        delay_s = FIRST_RETRY_S
        while True:
            await self._news.wait()
            self._news.clear()
            codes = [await self._bind(lost) for lost in self._mine]
            if not any(codes):
                delay_s = FIRST_RETRY_S
                continue
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, LAST_RETRY_S)
            if self._mine:
                self._news.set()

    async def _bind(self, lost: Binding) -> str:
        names = {"address": lost.address, "eip": lost.eip_id, "eni": lost.eni_id}
        code = await self._cloud.bind_eip(lost, deadline_s=BIND_DEADLINE_S)
        if code == TAKEN:
            log.warning("eip_taken", **names)
            self._book.forget(lost.address)
            self._save()
            return ""
        if code:
            log.error("eip_not_bound", **names, code=code)
            return code
        log.info("eip_bound", **names)
        self._book.restored(lost)
        self._save()
        self._metrics.eips_missing(len(self._mine))
        return ""


def _saved(saving: asyncio.Future[None]) -> None:
    error = None if saving.cancelled() else saving.exception()
    if error is not None:
        log.warning("eips_not_saved", error=str(error))


def encode(bindings: Iterable[Binding]) -> bytes:
    """Return the file's content."""
    listed = [[each.address, each.eip_id, each.eni_id] for each in bindings]
    return (json.dumps({"version": VERSION, "eips": listed}) + "\n").encode()


def decode(text: bytes) -> tuple[Binding, ...]:
    """Read a file's content. Raises ValueError, KeyError, TypeError or RecursionError where it is none."""
    if len(text) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    content = json.loads(text)
    if not isinstance(content, dict) or content["version"] != VERSION:
        raise ValueError(f"not an object of version {VERSION}")
    return tuple(Binding(*_texts(each)) for each in content["eips"])


def _texts(value: object) -> tuple[str, str, str]:
    match value:
        case [str(address), str(eip_id), str(eni_id)] if address and eip_id and max(map(len, value)) <= MAX_TEXT:
            return address, eip_id, eni_id
        case _:
            raise ValueError("an entry is not an address, an EIP and an ENI")


def load(directory: Path) -> tuple[tuple[Binding, ...], str]:
    """Return what is noted, and one line on what was wrong, empty where nothing was."""
    path = directory / FILE
    try:
        with path.open("rb") as file:
            return decode(file.read(MAX_BYTES + 1)), ""
    except FileNotFoundError:
        return (), ""
    except OSError as error:
        return (), f"{path}: {error.strerror}"
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return (), f"{path} is no list of EIPs ({str(error)[:120]}); {statefile.set_aside(path)}"
