"""Carries a plan out, one step after the other, and cleans up after a step that fails half way.

Nothing is concluded from an answer alone: a reading has to show that what was asked for is there. A write that was
never answered is resolved by reading too, for as long as the cloud may still accept it, and only then repeated.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from hafailover.cloud import survey
from hafailover.cloud.outcome import CLIENT_TIMEOUT, TASK_FAILED, classify
from hafailover.cloud.replies import parse_created_eni
from hafailover.election.backoff import backoff_ms
from hafailover.election.values import Outcome, Resource, ResourceKind
from hafailover.errors import CloudError
from hafailover.provision.report import explained
from hafailover.provision.steps import CREATE, DELETE, DESCRIBE, Assign, Attach, Create, Done, Step, at_work

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from hafailover.cloud.api import ApiCall
    from hafailover.cloud.client import Cloud
    from hafailover.cloud.replies import Eni
    from hafailover.election.values import MoveResult

STEP_S = 120.0  # for one step; an attachment takes some 15 s
CLEAN_S = 60.0
POLL_S = 0.5
ABSENT_S = 3.0  # for how long a reading may lag behind what it should show
GONE = "ResourceNotFound"
MAX_ATTEMPTS = 5  # ClientTokens that may lead to an ENI that is gone

_T = TypeVar("_T")


class Worker:
    """Works on one plan. `failed` are the last failed requests by their codes, which the cloud's observer fills.

    `making` is the ENI that has been created and is not attached yet, "" for none.
    """

    def __init__(self, cloud: Cloud, failed: Mapping[str, ApiCall], rng: random.Random) -> None:
        self._cloud = cloud
        self._failed = failed
        self._rng = rng
        self.making = ""

    async def work(self, steps: Sequence[Step], tell: Callable[[Done], None]) -> tuple[Done, ...]:
        """Carry the steps out up to the first that fails, and `tell` of each. Raises nothing but CancelledError."""
        ends: list[Done] = []
        for step in steps:
            ends.append(await self._step(step))
            tell(ends[-1])
            if ends[-1].error:
                break
        return tuple(ends)

    async def _step(self, step: Step) -> Done:
        if isinstance(step, Create):
            return await self._create(step)
        if isinstance(step, Attach):
            return Done(step, await self._bring(Resource(ResourceKind.ENI, step.eni), step.at.instance))
        return await self._assign(step)

    async def _assign(self, step: Assign) -> Done:
        ends = await asyncio.gather(*(self._bring(each, step.at.eni) for each in step.resources))
        failed = [f"{each.id}: {error}" for each, error in zip(step.resources, ends, strict=True) if error]
        return Done(step, "; ".join(failed))

    async def _bring(self, resource: Resource, target: str) -> str:
        """Give to the target what nobody has; return "" once a reading shows it there, else why it does not."""
        code = CLIENT_TIMEOUT
        try:
            async with asyncio.timeout(STEP_S):
                for failures in count(1):
                    result = await self._cloud.move(resource, None, target, deadline_s=STEP_S / 2)
                    code = result.code or code
                    if await self._arrives(resource, target, result):
                        return ""
                    if result.outcome is Outcome.REFUSED:
                        break
                    await self._pause(failures)
        except TimeoutError:
            pass
        except CloudError as error:
            code = error.code
        return self._explain(code)

    async def _arrives(self, resource: Resource, target: str, result: MoveResult) -> bool:
        """Read until it is there, or can no longer come; the caller bounds it. Raises CloudError."""
        patience_s = 0.0 if result.outcome in (Outcome.REFUSED, Outcome.THROTTLED) else ABSENT_S
        end_s = self._clock() + max(patience_s, result.open_ms / 1000)
        enis = [target] if resource.kind is ResourceKind.ADDRESS else []
        while True:
            (seen,) = await self._answer(lambda: self._cloud.read([resource], enis))
            if seen.settled and seen.holder == target:
                return True
            if seen.settled and self._clock() >= end_s:
                return False
            await asyncio.sleep(POLL_S)

    async def _create(self, step: Create) -> Done:
        """Create and attach; an ENI that could not be attached is deleted again."""
        try:
            async with asyncio.timeout(STEP_S):
                await self._make(step)
            error = await self._bring(Resource(ResourceKind.ENI, self.making), step.at.instance)
        except CloudError as refused:
            error = self._explain(refused.code)
        except TimeoutError:
            error = self._explain(CLIENT_TIMEOUT)
        made = self.making
        left = await self._take_back(made) if error and made else ""
        self.making = ""
        return Done(step, error, left=left) if error else Done(step, eni=made)

    async def _make(self, step: Create) -> None:
        """Have the ENI made; ends when it is at rest, and its id is that of `making`. Raises CloudError."""
        attempt = 0
        for failures in count(1):
            self.making = await self._ask_for(step, attempt)
            if self.making and await self._rests(self.making):
                return
            # It failed, or the answer was the one to an earlier run, whose ENI has been deleted since.
            attempt += 1 if self.making else 0
            self.making = ""
            if attempt == MAX_ATTEMPTS:
                break
            await self._pause(failures)
        raise CloudError(TASK_FAILED)

    async def _ask_for(self, step: Create, attempt: int) -> str:
        """Ask for it and return its id, "" where that certainly had no effect, and may be done again.

        Raises CloudError where it is refused.
        """
        try:
            return parse_created_eni(await self._cloud.write(CREATE, step.parameters(attempt)))
        except CloudError as error:
            outcome = classify(error.code, CREATE).outcome
            if outcome is Outcome.REFUSED:
                raise
            end_s = self._clock() + (0.0 if outcome is Outcome.THROTTLED else max(error.open_s, ABSENT_S))
        while True:
            found = await self._answer(lambda: survey.named(self._cloud, step.name, step.vpc_id))
            if found or self._clock() >= end_s:
                return found[0].id if found else ""
            await asyncio.sleep(POLL_S)

    async def _rests(self, eni_id: str) -> bool:
        """Wait until the cloud is no longer at work on an ENI; False where there is none of that id."""
        listed_s = self._clock()
        while True:
            eni = await self._eni(eni_id)
            if eni is not None and not at_work(eni):
                return True
            if eni is None and self._clock() >= listed_s + ABSENT_S:
                return False
            listed_s = listed_s if eni is None else self._clock()
            await asyncio.sleep(POLL_S)

    async def _take_back(self, eni_id: str) -> str:
        """Delete an ENI that this run has made, and say what came of it."""
        why = "the cloud is still at work on it"
        try:
            async with asyncio.timeout(CLEAN_S):
                while True:
                    eni = await self._eni(eni_id)
                    if eni is None:
                        return f"{eni_id} is deleted again"
                    if eni.instance_id is not None:
                        why = f"it is attached to {eni.instance_id}"
                        break
                    if not at_work(eni):
                        await self._delete(eni_id)
                    await asyncio.sleep(POLL_S)
        except CloudError as error:
            why = self._explain(error.code)
        except TimeoutError:
            pass
        return (
            f"{eni_id} was created and is still there ({why}): run this again, which goes on with it, or delete it"
        )

    async def _delete(self, eni_id: str) -> None:
        """Ask for it; the next reading shows what came of that. Raises CloudError where it is refused."""
        try:
            await self._cloud.write(DELETE, {"NetworkInterfaceId": eni_id})
        except CloudError as error:
            if error.code != GONE and classify(error.code, DELETE).outcome is Outcome.REFUSED:
                raise

    async def _eni(self, eni_id: str) -> Eni | None:
        found = await self._answer(lambda: self._cloud.describe_enis([eni_id]))
        return found[0] if found else None

    async def _answer(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Read until there is an answer; the caller bounds it. Raises CloudError where the reading is refused."""
        failures = 0
        while True:
            try:
                return await ask()
            except CloudError as error:
                if classify(error.code, DESCRIBE).outcome is Outcome.REFUSED:
                    raise
            failures += 1
            await self._pause(failures)

    async def _pause(self, failures: int) -> None:
        await asyncio.sleep(backoff_ms(failures, self._rng) / 1000)

    @staticmethod
    def _clock() -> float:
        return asyncio.get_running_loop().time()

    def _explain(self, code: str) -> str:
        call = self._failed.get(code)
        return explained(code) if call is None else explained(code, call.action, call.detail)
