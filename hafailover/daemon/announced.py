"""Leaves before announced trouble comes: drains this node as `hafailover drain` does, and undrains it afterwards.

Only what was drained here is undrained here, which is noted on disk: what an operator has drained, or has undrained
in spite of an announcement, stays as he said. While a group is paused nothing begins.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from hafailover import words
from hafailover.cloud import announced
from hafailover.cloud.announced import Announcement, Standing
from hafailover.daemon import clock, statefile
from hafailover.errors import CloudError, ControlError, MetadataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Executor
    from pathlib import Path

    from hafailover.cloud.client import Cloud
    from hafailover.cloud.metadata import Metadata
    from hafailover.config.model import Config

FILE = "announced.json"
VERSION = 1
MAX_BYTES = 64 * 1024
MAX_OVERRULED = 100
# How often a source is asked: the metadata service is this machine's own, the API has a budget.
EVERY_S: Mapping[str, float] = {"spot": 5.0, "repair": 300.0}
LOOK_S = 5.0
SAVE_S = 1.0  # a disk that hangs keeps nobody here

Json = dict[str, Any]

log = structlog.get_logger()


class Hands(Protocol):
    """Who drains this node, and undrains it."""

    async def drain(self, *, drained: bool) -> None:
        """Do so, or raise ControlError."""


class Sources:
    """Asks the metadata service and the CVM API what they announce for one instance, None where it is not known."""

    def __init__(self, cloud: Cloud, metadata: Metadata, instance_id: str | None) -> None:
        self._cloud = cloud
        self._metadata = metadata
        self._instance_id = instance_id
        self._seen: dict[str, tuple[Announcement, ...]] = {}
        self._asked_at_s: dict[str, float] = {}
        self.errors: dict[str, str] = {}

    async def look(self, wanted: Iterable[str]) -> None:
        """Ask whom it is time to ask; forget what came from others than these."""
        for known in (self._seen, self._asked_at_s, self.errors):
            for source in known.keys() - set(wanted):
                known.pop(source)
        now_s = asyncio.get_running_loop().time()
        for source in wanted:
            asked_at_s = self._asked_at_s.get(source)
            if asked_at_s is None or now_s - asked_at_s >= EVERY_S[source]:
                self._asked_at_s[source] = now_s
                await self._ask(source)

    async def _ask(self, source: str) -> None:
        try:
            self._seen[source] = await (self._spot() if source == "spot" else self._repairs())
        except (MetadataError, CloudError, ValueError) as error:
            if source not in self.errors:
                log.warning("announcements_unread", source=source, error=str(error))
            self.errors[source] = str(error)
        else:
            self.errors.pop(source, None)

    async def _spot(self) -> tuple[Announcement, ...]:
        return announced.spot(await self._metadata.spot_termination())

    async def _repairs(self) -> tuple[Announcement, ...]:
        if self._instance_id is None:
            self._instance_id = await self._metadata.instance_id()
        question = announced.question(self._instance_id, clock.wall_ms() / 1000)
        return announced.repairs(await self._cloud.ask(announced.ACTION, question, "cvm"), self._instance_id)

    @property
    def seen(self) -> tuple[Announcement, ...]:
        """What is announced, the next first; of a source that fails, what it said before."""
        return tuple(sorted((each for found in self._seen.values() for each in found), key=lambda each: each.at_s))

    @property
    def complete(self) -> bool:
        """Whether every source has answered when it was last asked."""
        return not self.errors and self._asked_at_s.keys() == self._seen.keys()


class Watcher:
    """Heeds the announcements of the `[announced]` table; `attach` gives it hands before it runs."""

    def __init__(self, config: Config, sources: Sources) -> None:
        self._settings = config.announced
        self._folder = config.state.directory
        self._sources = sources
        self._standing, complaint = load(self._folder)
        if complaint:
            log.warning("announced_unreadable", error=complaint)
        self._news = asyncio.Event()
        self._reason = "what was announced"  # until it is known what, which a restart forgets
        self._waits = ""  # the reason that was logged for not leaving

    def attach(self, status: Callable[[], Json], hands: Hands, disk: Executor) -> None:
        """Take who tells how this node is, who drains it, and who writes to the disk."""
        self._status, self._hands, self._disk = status, hands, disk

    def configure(self, config: Config) -> None:
        """Take in another version of the file, at once."""
        self._settings = config.announced
        self._news.set()

    async def run(self) -> None:
        """Look and act until cancelled."""
        while True:
            await self._sources.look(self._settings.sources)
            await self._act()
            active = self._settings.sources or self._standing.drained
            try:
                async with asyncio.timeout(LOOK_S if active else None):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()

    async def _act(self) -> None:
        if self._sources.complete:
            self._forget_what_is_over()
        if not self._sources.seen and not self._standing.drained:
            return
        status = self._status()
        if self._standing.drained and not status["drained"]:
            self._standing = replace(self._standing, drained=False)  # it was forgotten, or never came about
        wanted = announced.wanted(
            self._standing, self._sources.seen, _now_s(), self._before_s, complete=self._sources.complete
        )
        try:
            if wanted and not status["drained"]:
                await self._leave(wanted[0], status)
            elif wanted == () and self._standing.drained:
                await self._come_back()
        except ControlError as error:
            log.error("announced_failed", error=str(error))  # noqa: TRY400 - said by the core, and tried again

    @property
    def _before_s(self) -> float:
        return self._settings.drain_before_ms / 1000

    async def _leave(self, reason: Announcement, status: Json) -> None:
        paused = [group["name"] for group in status["groups"] if group["paused"]]
        if paused:
            if self._waits != reason.id:
                log.warning("announced_but_paused", groups=paused, **_as_json(reason))
            self._waits = reason.id
            return
        self._standing, self._reason = replace(self._standing, drained=True), words.event(_as_json(reason))
        await asyncio.wait((self._save(),), timeout=SAVE_S)  # first: a crash must not leave it drained for ever
        log.warning("announced_drain", **_as_json(reason))
        await self._hands.drain(drained=True)

    async def _come_back(self) -> None:
        await self._hands.drain(drained=False)
        self._standing = replace(self._standing, drained=False)
        log.info("announced_over")
        await asyncio.wait((self._save(),), timeout=SAVE_S)

    def overrule(self, drained: bool) -> None:  # noqa: FBT001 - a truth value is what is told
        """Take note of what an operator has said: it is not to be undone here."""
        due = [each.id for each in self._sources.seen if each.due(_now_s(), self._before_s)]
        overruled = self._standing.overruled if drained else tuple(dict.fromkeys((*self._standing.overruled, *due)))
        self._put(Standing(drained=False, overruled=overruled[-MAX_OVERRULED:]))

    def _forget_what_is_over(self) -> None:
        names = {each.id for each in self._sources.seen}
        overruled = tuple(each for each in self._standing.overruled if each in names)
        self._put(replace(self._standing, overruled=overruled))

    def _put(self, standing: Standing) -> None:
        if standing != self._standing:
            self._standing = standing
            self._save()

    def _save(self) -> asyncio.Future[None]:
        saving = asyncio.get_running_loop().run_in_executor(
            self._disk, statefile.write, self._folder / FILE, encode(self._standing)
        )
        saving.add_done_callback(_saved)
        return saving

    def drain_reason(self) -> str:
        """Return what this node has drained itself for, "" where it has not."""
        return self._reason if self._standing.drained else ""

    def as_json(self) -> Json:
        """Return what the status says of it, empty where no source is heeded and nothing was drained."""
        if not self._settings.sources and not self._standing.drained:
            return {}
        now_s, seen = _now_s(), self._sources.seen
        events = [
            {
                **_as_json(each),
                "in_s": round(each.at_s - now_s, 1),
                "overruled": each.id in self._standing.overruled,
            }
            for each in seen
        ]
        return {
            "sources": {source: self._sources.errors.get(source) for source in self._settings.sources},
            "drained": self._standing.drained,
            "events": events,
        }


def _now_s() -> float:
    return clock.wall_ms() / 1000


def _as_json(event: Announcement) -> Json:
    return {
        "source": event.source,
        "id": event.id,
        "at": announced.utc(event.at_s),
        "under_way": event.under_way,
    }


def _saved(saving: asyncio.Future[None]) -> None:
    error = None if saving.cancelled() else saving.exception()
    if error is not None:
        log.warning("announced_not_saved", error=str(error))


def encode(standing: Standing) -> bytes:
    """Return the file's content."""
    content = {"version": VERSION, "drained": standing.drained, "overruled": list(standing.overruled)}
    return (json.dumps(content) + "\n").encode()


def decode(text: bytes) -> Standing:
    """Read a file's content. Raises ValueError or RecursionError where it is none."""
    if len(text) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    match json.loads(text):
        case {"version": 1, "drained": bool(drained), "overruled": [*names]} if all(map(_is_id, names)):
            return Standing(drained, tuple(names[-MAX_OVERRULED:]))
    raise ValueError(f"not an object of version {VERSION} with what was done")


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= announced.MAX_ID


def load(directory: Path) -> tuple[Standing, str]:
    """Return what is noted, and one line on what was wrong, empty where nothing was."""
    path = directory / FILE
    try:
        with path.open("rb") as file:
            return decode(file.read(MAX_BYTES + 1)), ""
    except FileNotFoundError:
        return Standing(), ""
    except OSError as error:
        return Standing(), f"{path}: {error.strerror}"
    except (ValueError, RecursionError) as error:
        return Standing(), f"{path} does not say what was done ({str(error)[:120]}); {statefile.set_aside(path)}"
