"""The keeper of EIPs beside the simulated core: the real book, and a model of what is around it.

As in `hafailover.daemon.eipkeeper` each reading of the holders is shown to the book; what it says is lost on this
node's own ENI is bound again: looked at, bound, waited for, and tried again after growing waits. What the book has
noted is on the host's disk. The other tier has the real keeper; this one has the many lives, and in the gaps
between the calls things go wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hafailover.cloud.binder import TAKEN
from hafailover.cloud.eips import EipBook, may_bind
from hafailover.cloud.replies import parse_bind_task, parse_eip_task, parse_eips
from hafailover.daemon.eipkeeper import BIND_DEADLINE_S, FIRST_RETRY_S, LAST_RETRY_S
from hafailover.emulator.values import NORMAL, ApiError, Fate, Handling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hafailover.cloud.eips import Binding
    from hafailover.cloud.replies import Eni
    from tests.simulation.options import Options
    from tests.simulation.process import Process

CALL_TIMEOUT_MS = 3_000
FIRST_RETRY_MS, LAST_RETRY_MS = int(1000 * FIRST_RETRY_S), int(1000 * LAST_RETRY_S)
BIND_DEADLINE_MS = int(1000 * BIND_DEADLINE_S)
POLL_MS = 500
LIFE_MS = 8_000  # sky.LIFE_MS
BEFORE = {"request-lost": "ClientTimeout", "throttle": "RequestLimitExceeded", "error-before": "ServerNetworkError"}
AFTER = {"error-after": "ServerNetworkError", "reply-lost": "ClientTimeout"}


def eip_bound_ms(options: Options) -> int:
    """Return how long an EIP may take once its address is in place: a reading, the longest wait, one attempt."""
    return options.patient.audit_interval_ms + LAST_RETRY_MS + BIND_DEADLINE_MS + 2 * CALL_TIMEOUT_MS


class Keeper:
    """The EIPs of one run of a daemon; what is on the disk of its host is `Host.eips`."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._universe = process.universe
        addresses = [name for name in process.universe.resources if name[0] != "e"]
        self._book = EipBook(addresses, process.host.eips)
        self._busy = False
        self._delay_ms = FIRST_RETRY_MS

    def see(self, enis: Sequence[Eni]) -> None:
        """Take in one reading of the nodes' ENIs."""
        self._book.see(enis, self._process.clock)
        self._save()
        self._begin()

    def _save(self) -> None:
        if self._book.bindings != self._process.host.eips:
            self._process.host.note_eips(self._book.bindings)

    @property
    def _mine(self) -> list[Binding]:
        return [lost for lost in self._book.lost if lost.eni_id == self._process.host.member.eni_id]

    def _begin(self) -> None:
        if self._mine and not self._busy:
            self._busy = True
            self._call(self._look, self._mine[0])

    def _call(self, arrive: Callable[[Binding], None], lost: Binding, wait_ms: int = 0) -> None:
        """Send a request, after a wait."""
        universe = self._universe
        universe.at(
            universe.now + wait_ms + universe.sky.latency_ms(),
            self._process.when_running,
            lambda: self._arrive(arrive, lost),
        )

    def _arrive(self, arrive: Callable[[Binding], None], lost: Binding) -> None:
        if self._universe.sky.outages[self._process.name]:
            self._end(lost, "ClientTimeout", CALL_TIMEOUT_MS)
            return
        try:
            arrive(lost)
        except ApiError as error:
            self._end(lost, error.code)

    def _request(self, action: str, params: dict[str, object], handling: Handling = NORMAL) -> dict[str, object]:
        return self._universe.sky.request(self._process.name, action, params, handling)

    def _look(self, lost: Binding) -> None:
        reply = self._request("DescribeAddresses", {"AddressIds": [lost.eip_id]})
        eip = next((each for each in parse_eips(reply) if each.id == lost.eip_id), None)
        allowed = may_bind(lost, eip)
        if allowed:
            self._call(self._bind, lost)
            return
        bound = allowed is False and eip is not None and eip.is_bound_as(lost)
        self._end(lost, "" if bound else (TAKEN if allowed is None else "EipChanging"))

    def _bind(self, lost: Binding) -> None:
        sky, universe = self._universe.sky, self._universe
        fault = sky.draw_fault()
        params: dict[str, object] = {
            "AddressId": lost.eip_id,
            "NetworkInterfaceId": lost.eni_id,
            "PrivateIpAddress": lost.address,
        }
        if fault == "late-effect":
            sky.on_its_way[self._process.name, lost.eip_id] += 1
            universe.at(universe.now + sky.rng.randrange(100, LIFE_MS), self._arrive_late, lost.eip_id, params)
        if fault in BEFORE or fault == "late-effect":
            self._end(lost, BEFORE.get(fault, "ClientTimeout"), CALL_TIMEOUT_MS)
            return
        handling = Handling(fate=Fate.FAIL) if fault == "task-fails" else NORMAL
        task = parse_bind_task(self._request("AssociateAddress", params, handling))
        if fault in AFTER:
            self._end(lost, AFTER[fault], CALL_TIMEOUT_MS)
        else:
            self._call(lambda lost: self._ask(lost, task), lost, POLL_MS)

    def _arrive_late(self, eip: str, params: dict[str, object]) -> None:
        self._universe.sky.on_its_way[self._process.name, eip] -= 1
        try:
            self._request("AssociateAddress", params)
        except ApiError:
            return

    def _ask(self, lost: Binding, task: int) -> None:
        status = parse_eip_task(self._request("DescribeTaskResult", {"TaskId": task})).value
        if status == "RUNNING":
            self._call(lambda lost: self._ask(lost, task), lost, POLL_MS)
        else:
            self._end(lost, "" if status == "SUCCESS" else "TaskFailed")

    def _end(self, lost: Binding, code: str, wait_ms: int = 0) -> None:
        if code == TAKEN:
            self._book.forget(lost.address)
        elif not code:
            self._book.restored(lost)
        self._save()
        if code in ("", TAKEN):
            self._delay_ms = FIRST_RETRY_MS
        else:
            wait_ms += self._delay_ms
            self._delay_ms = min(2 * self._delay_ms, LAST_RETRY_MS)
        universe = self._universe
        universe.at(universe.now + wait_ms, self._process.when_running, self._rest)

    def _rest(self) -> None:
        self._busy = False
        self._begin()
