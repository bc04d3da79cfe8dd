"""The checks that run: started, replaced and ended as the configuration says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from hafailover.checks.runner import CheckRunner
from hafailover.election.events import CheckChanged
from hafailover.election.values import GroupName

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Iterable

    from hafailover.checks.result import CheckResult
    from hafailover.config import model
    from hafailover.election.events import Event
    from hafailover.election.values import CheckState

    Spawn = Callable[[Coroutine[object, object, None]], asyncio.Task[None]]

log = structlog.get_logger()


class Checkers:
    """All checks of all groups; `post` takes their changes of mind, `note` each of their results."""

    def __init__(
        self, spawn: Spawn, post: Callable[[Event], None], note: Callable[[str, CheckResult], None]
    ) -> None:
        self._spawn = spawn
        self._post = post
        self._note = note
        self._running: dict[tuple[str, str], tuple[model.Check, asyncio.Task[None]]] = {}

    def configure(self, groups: Iterable[model.Group]) -> None:
        """Run these checks and no others; one that is the same goes on undisturbed.

        What the core knows of a check that is replaced stands until the new one says otherwise.
        """
        wanted = {(group.name, check.name): check for group in groups for check in group.checks}
        for key, (check, task) in tuple(self._running.items()):
            if wanted.get(key) != check:
                task.cancel()
                del self._running[key]
        for (group, name), check in wanted.items():
            if (group, name) not in self._running:
                self._running[group, name] = (check, self._spawn(self._run(group, check)))

    def _run(self, group: str, check: model.Check) -> Coroutine[object, object, None]:
        def changed(name: str, state: CheckState) -> None:
            last = checker.last
            log.info("check", group=group, check=name, state=state.value, detail=last.detail if last else "")
            self._post(CheckChanged(GroupName(group), name, state))

        checker = CheckRunner(check, changed, lambda result: self._note(group, result))
        return checker.run()
