"""The emulated cloud without any I/O: requests, asynchronous tasks, the true history of who held what.

`now` is an integer in milliseconds given by the caller and never falls; the same calls give the same answers,
request ids included. A write is accepted at `now` and takes effect one task time later; until then what it works
on refuses other writes (UnsupportedOperation.MutexOperationTaskRunning).
"""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from hafailover.emulator import reads
from hafailover.emulator.actions import ENIS, PARSERS, POWER_ACTIONS, READS, WRITE_ACTIONS
from hafailover.emulator.eni_attributes import AT_ONCE
from hafailover.emulator.eni_moves import known_instance, plugged
from hafailover.emulator.network import InstanceState, IpState, Network, PrivateIp, Repair
from hafailover.emulator.quota import RATE_CODES, RATES
from hafailover.emulator.task_reads import TASK_READS
from hafailover.emulator.tasks import Task, TaskBook
from hafailover.emulator.values import NORMAL, ApiError, Change, Fate, Handling, PowerChange, TaskStatus
from hafailover.emulator.writing import client_token, known_eni

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hafailover.emulator.writing import Write

Content = dict[str, Any]

MAX_TOKENS = 1024
MAX_VERSIONS = 4096
MAX_STALE_MS = 60_000
RATE_WINDOW_MS = 1000
BY_HAND = "console"


@dataclass(slots=True)
class Rules:
    """How the cloud behaves where the documents leave it open, and how fast it is.

    `task_ms` >= 0: from accepting a write to its effect; `power_ms` is that of the writes that switch instances.
    `serialise`: "eni" lets one write at a time work on an ENI, "ip" one on an address. `strict_ids`: an unknown
    ENI id in a Describe is ResourceNotFound, not nothing. `migrating_eni`: the State of an ENI that migrates,
    DETACHING or AVAILABLE, on its old instance in any case. `rate_limits`: the requests per second of one caller,
    by action, that are in `rates` hold; what is more is refused with `rate_code`, the gateway's or the product's.
    """

    task_ms: int = 500
    power_ms: int = 5000
    serialise: str = "eni"
    strict_ids: bool = True
    migrating_eni: str = "DETACHING"
    rate_limits: bool = False
    rate_code: str = RATE_CODES[0]
    rates: dict[str, int] = field(default_factory=RATES.copy)


@dataclass(frozen=True, slots=True)
class _Call:
    """One request on its way through the model."""

    action: str
    params: Mapping[str, Any]
    caller: str
    now: int
    handling: Handling
    request_id: str


class Model:
    """One region of the cloud. `seed` makes the request ids; `history_limit` None keeps the whole history.

    `listeners` are called with each `Change` as it is applied, in order, from within the call that applies it;
    `power_listeners` with each `PowerChange`.
    """

    def __init__(
        self,
        network: Network,
        *,
        rules: Rules | None = None,
        seed: str = "",
        history_limit: int | None = None,
    ) -> None:
        self.rules = rules or Rules()
        self.history: deque[Change] = deque(maxlen=history_limit)
        self.listeners: list[Callable[[Change], None]] = []
        self.power_history: deque[PowerChange] = deque(maxlen=history_limit)
        self.power_listeners: list[Callable[[PowerChange], None]] = []
        self.tasks = TaskBook()
        self._seed = seed
        self._serial = 0
        self._versions: deque[tuple[int, Network]] = deque([(0, network)])
        self._tokens: OrderedDict[tuple[str, str, str], tuple[str, Task, Content]] = OrderedDict()
        self._rates: dict[tuple[str, str], tuple[int, int]] = {}

    @property
    def network(self) -> Network:
        """The network as the last `advance` or `request` left it."""
        return self._versions[-1][1]

    def new_request_id(self) -> str:
        """Return the next request id, in the form of a UUID."""
        self._serial += 1
        text = sha256(f"{self._seed}/{self._serial}".encode()).hexdigest()
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:32]}"

    def request(
        self, action: str, params: Mapping[str, Any], caller: str, now: int, handling: Handling = NORMAL
    ) -> Content:
        """Carry out one request and return the content of its Response. Raises ApiError."""
        self.advance(now)
        call = _Call(action, params, caller, now, handling, self.new_request_id())
        try:
            self._admit(call)
            content = self._write(call) if action in WRITE_ACTIONS else self._read(call)
        except ApiError as error:
            error.request_id = call.request_id
            raise
        return {**content, "RequestId": call.request_id}

    def _admit(self, call: _Call) -> None:
        limit = self.rules.rates.get(call.action)
        if limit is None or not self.rules.rate_limits:
            return
        window = call.now // RATE_WINDOW_MS
        since, count = self._rates.get((call.action, call.caller), (window, 0))
        count = count + 1 if since == window else 1
        self._rates[call.action, call.caller] = (window, count)
        if count > limit:
            text = f"Your requests are {count} in a second, which exceeds the frequency limit {limit}."
            raise ApiError(self.rules.rate_code, text)

    def _read(self, call: _Call) -> Content:
        if call.action in TASK_READS:
            return TASK_READS[call.action](self.tasks, call.params)
        seen = self.network_at(call.now - call.handling.stale_ms)
        if call.action == ENIS:
            strict, migrating = self.rules.strict_ids, self.rules.migrating_eni
            return reads.describe_network_interfaces(seen, call.params, strict_ids=strict, migrating=migrating)
        if call.action in READS:
            return READS[call.action](seen, call.params)
        raise ApiError("InvalidAction", f"The action `{call.action}` does not exist here.")

    def _write(self, call: _Call) -> Content:
        if call.action in AT_ONCE:
            self._keep(AT_ONCE[call.action](call.params, self.network), call.now)
            return {}
        key = (call.caller, call.action, client_token(call.params))
        if key in self._tokens:
            return self._repeat(key, _canonical(call.params))
        write = PARSERS[call.action](call.params, self.network, call.request_id)
        enis = () if self.rules.serialise == "ip" else write.enis
        locks = tuple(dict.fromkeys((*enis, *write.touches)))
        if busy := self.tasks.occupied(locks):
            raise ApiError(write.busy(self.network), f"A task on {busy} is running.")
        self._keep(write.begin(self.network), call.now)
        task = self._task(call, write, locks)
        self.tasks.start(task)
        content = write.reply(self.network)
        if key[2]:
            self._tokens[key] = (_canonical(call.params), task, content)
            if len(self._tokens) > MAX_TOKENS:
                self._tokens.popitem(last=False)
        return content

    def _repeat(self, key: tuple[str, str, str], asked: str) -> Content:
        earlier, task, content = self._tokens[key]
        if earlier != asked:
            code = "UnsupportedOperation.IdempotentParameterMismatch"
            raise ApiError(code, "The ClientToken was used with other parameters.")
        if task.status is TaskStatus.RUNNING:
            code = "UnsupportedOperation.IdempotentProcessing"
            raise ApiError(code, "The request with this ClientToken is being carried out.")
        return content

    def _task(self, call: _Call, write: Write, locks: tuple[str, ...]) -> Task:
        normal_ms = self.rules.power_ms if call.action in POWER_ACTIONS else self.rules.task_ms
        task_ms = normal_ms if call.handling.task_ms is None else call.handling.task_ms
        due = None if call.handling.fate is Fate.STICK else call.now + task_ms
        fails = call.handling.fate is Fate.FAIL
        return Task(call.request_id, call.action, call.caller, write, locks, call.now, due, fails)

    def next_due(self) -> int | None:
        """Return when the next effect is due, None where no task will have one."""
        return self.tasks.next_due()

    def advance(self, now: int) -> None:
        """Apply every effect that is due by `now`, each at its own time."""
        while popped := self.tasks.pop_due(now):
            at, task = popped
            before = self.network
            self._keep(task.end(before), at)
            change = Change(at, "", None, None, task.caller, task.action, task.id, task.accepted_ms)
            self._tell(before, task.write.touches, change)

    def _keep(self, network: Network, now: int) -> None:
        versions, before = self._versions, self.network
        versions.append((now, network))
        while len(versions) > MAX_VERSIONS or versions[1][0] <= now - MAX_STALE_MS:
            versions.popleft()
        if network.instances is not before.instances:
            self._tell_power(before, now)

    def _tell_power(self, before: Network, now: int) -> None:
        for instance in self.network.instances.values():
            old = before.instances[instance.id].state
            if instance.state is not old:
                change = PowerChange(now, instance.id, old.value, instance.state.value)
                self.power_history.append(change)
                for listener in self.power_listeners:
                    listener(change)

    def _tell(self, before: Network, resources: tuple[str, ...], change: Change) -> None:
        eips = () if self.network.eips is before.eips else self.network.eips
        for resource in dict.fromkeys((*resources, *eips)):
            old, new = before.holder_of(resource), self.network.holder_of(resource)
            if old != new:
                told = replace(change, resource=resource, before=old, after=new)
                self.history.append(told)
                for listener in self.listeners:
                    listener(told)

    def network_at(self, at: int) -> Network:
        """Return the network as it was at that time, or the oldest one still known."""
        known = (network for since, network in reversed(self._versions) if since <= at)
        return next(known, self._versions[0][1])

    def holder_of(self, resource: str, now: int) -> str | None:
        """Return the ENI that truly has an address, or the instance that has an ENI, at `now`."""
        self.advance(now)
        return self.network.holder_of(resource)

    def move(self, address: str, eni_id: str | None, now: int) -> None:
        """Give an address to an ENI at once, as by hand in the console; None takes it away. Raises ApiError."""
        self.advance(now)
        before = self.network
        target = None if eni_id is None else known_eni(before, eni_id)
        after = before
        for eni, _ip in before.carriers(address):
            after = after.with_enis(after.enis[eni.id].without_ips(address))
            after = after.without_eips_of(eni.vpc_id, address) if target is None else after
        if target is not None:
            ip = PrivateIp(address, state=IpState.AVAILABLE)
            after = after.with_enis(after.enis[target.id].with_ips(ip))
        self._by_hand("move", address, after, now)

    def attach(self, eni_id: str, instance_id: str | None, now: int) -> None:
        """Give an ENI to an instance at once, as by hand in the console; None takes it away. Raises ApiError."""
        self.advance(now)
        before = self.network
        eni = known_eni(before, eni_id)
        if eni.primary:
            raise ApiError("UnsupportedOperation", f"{eni_id} is a primary ENI.")
        if instance_id is not None:
            known_instance(before, instance_id)
        self._by_hand("attach", eni_id, before.with_enis(plugged(before, eni, instance_id)), now)

    def _by_hand(self, action: str, resource: str, after: Network, now: int) -> None:
        before = self.network
        self._keep(after, now)
        self._tell(before, (resource,), Change(now, "", None, None, BY_HAND, action, accepted_ms=now))

    def set_instance_state(self, instance_id: str, state: InstanceState, now: int) -> None:
        """Set what the hypervisor says of an instance. Raises ApiError."""
        self.advance(now)
        instance = self.network.instances.get(instance_id)
        if instance is None:
            raise ApiError("InvalidInstanceId.NotFound", f"{instance_id} does not exist.")
        self._keep(self.network.with_instance(replace(instance, state=state)), now)

    def announce_termination(self, instance_id: str, at: str, now: int) -> None:
        """Announce the end of a spot instance, or with "" withdraw that. Raises ApiError."""
        self.advance(now)
        instance = self.network.instances.get(instance_id)
        if instance is None:
            raise ApiError("InvalidInstanceId.NotFound", f"{instance_id} does not exist.")
        self._keep(self.network.with_instance(replace(instance, termination_time=at)), now)

    def put_repair(self, repair: Repair, now: int) -> None:
        """Put a repair task there, or in place of the one of the same id. Raises ApiError."""
        self.advance(now)
        if repair.instance not in self.network.instances:
            raise ApiError("InvalidInstanceId.NotFound", f"{repair.instance} does not exist.")
        self._keep(self.network.with_repair(repair), now)

    def release_stuck(self, now: int) -> int:
        """Let every stuck task take effect at `now`; return how many there were."""
        count = self.tasks.release_stuck(now)
        self.advance(now)
        return count


def _canonical(params: Mapping[str, Any]) -> str:
    return json.dumps(params, sort_keys=True)
