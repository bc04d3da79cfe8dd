"""Another version of the file, taken in by a running daemon: all of it or nothing.

The file is read beside the loop. A bad one changes nothing and is reported with every error; nor does one that asks
for anything that needs a restart, which is named. How the rest is taken in, see `intake`.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import structlog

from hafailover.config import loader
from hafailover.config.changes import changes
from hafailover.control.protocol import refusal
from hafailover.daemon import translate
from hafailover.errors import ConfigError, StartError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hafailover.config.model import Config

Json = dict[str, Any]

BAD_CONFIGURATION = "bad_configuration"
NEEDS_RESTART = "needs_restart"
NOT_APPLIED = "not_applied"

log = structlog.get_logger()


class Reloader:
    """Reads the file of `config` again; `apply` takes the new one in in place of the old.

    It returns what it has to say of that, or raises StartError and has changed nothing.

    `me` is this node's name, `tell` is told whether the file was good.
    """

    def __init__(
        self,
        config: Config,
        me: str,
        node_option: str | None,
        apply: Callable[[Config, Config], Awaitable[Json]],
        tell: Callable[[bool], None],
    ) -> None:
        self._config = config
        self._me = me
        self._node_option = node_option
        self._witness = any(node.name == me and node.role == "witness" for node in config.nodes)
        self._apply = apply
        self._tell = tell
        self._turn = asyncio.Lock()

    async def reload(self) -> Json:
        """Reload, one at a time; return what to answer, which the log has been told too."""
        async with self._turn:
            reply = await self._reload()
        good = reply.get("ok", True)
        self._tell(good)
        level = log.info if good else log.error
        level("reload", **{key: value for key, value in reply.items() if key not in ("ok", "problems")})
        return reply

    async def _reload(self) -> Json:
        try:
            new = await asyncio.to_thread(loader.load, self._config.path, self._node_option)
        except ConfigError as error:
            problems = [asdict(problem) for problem in error.problems]
            return {**refusal(BAD_CONFIGURATION, f"nothing has changed: {error}"), "problems": problems}
        if self._witness:
            new = translate.for_witness(new)
        found = changes(self._config, new, self._me)
        for_restart = [change.key for change in found if not change.live]
        if for_restart:
            text = f"nothing has changed, for this needs a restart: {', '.join(for_restart)}"
            return {**refusal(NEEDS_RESTART, text), "needs_restart": for_restart}
        try:
            said = await self._apply(self._config, new)
        except StartError as error:
            return refusal(NOT_APPLIED, f"nothing has changed: {error}")
        self._config = new
        return {"changed": [change.key for change in found], "config_digest": new.digest.hex(), **said}
