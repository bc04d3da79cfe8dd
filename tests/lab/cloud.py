"""The cloud of a lab: the emulator on the fabric's router, in a process that also owns the router's routes.

The child (`python -m tests.lab.cloud`) takes one JSON object a line on standard input and answers each with one on
standard output; `CloudControl` is the other end.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from hafailover.cloud.announced import render_time
from hafailover.emulator.actions import WRITE_ACTIONS
from hafailover.emulator.faults import as_json, parse
from hafailover.emulator.server import Emulator, Options
from hafailover.emulator.world import PAIR, VIP, EniSpec, NodeSpec, build, mac_of
from tests.lab.fabric import API, BLOCK6, METADATA, VOID, LabError, Slot
from tests.lab.processes import Process, inside, module
from tests.lab.realtime import run_at_once
from tests.lab.routes import RouterPort, Routes

if TYPE_CHECKING:
    from pathlib import Path

    from hafailover.emulator.network import Network
    from hafailover.emulator.values import Change, PowerChange
    from hafailover.http1 import Request, Response
    from tests.lab.fabric import Fabric

API_PORT = 9080
METADATA_PORT = 80
CREW = (*PAIR, NodeSpec("web-c", "ins-cccccccc", "eni-cccccccc", "10.0.1.18"))  # who can be in a lab
_NAME_OF = {node.instance_id: node.name for node in CREW}
_NODE_OF = {**{node.eni_id: node.name for node in CREW}, **_NAME_OF}
_INSTANCE_OF = {node.name: node.instance_id for node in CREW}
_ENI_OF = {node.name: node.eni_id for node in CREW}
_ADDRESS_OF = {node.name: node.address for node in CREW}


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """How long one API request takes, how long an accepted move, how many of CREW there are, and a power-off.

    `addresses` are on the first node's ENI, those of `second` on the second's; for one of IPv6 `ipv6` is needed.
    `enis` are secondary ones, each attached to the instance that it names. `eip_for` names an address with an EIP.
    `serialise` is in `emulator.model.Rules`, `cpu` is that of every node, on which its quotas depend.
    """

    latency_ms: int = 100
    task_ms: int = 500
    nodes: int = 2
    power_ms: int = 1000
    addresses: tuple[str, ...] = (VIP,)
    second: tuple[str, ...] = ()
    enis: tuple[EniSpec, ...] = ()
    eip_for: str = ""
    serialise: str = "eni"
    cpu: int = 2
    ipv6: bool = False

    def network(self) -> Network:
        """Return the cloud to begin with."""
        return build(
            tuple(replace(node, cpu=self.cpu, memory_gb=2 * self.cpu) for node in CREW[: self.nodes]),
            (*self.addresses, *self.second),
            ipv6_cidr=BLOCK6 if self.ipv6 else None,
            eip_for=self.eip_for or None,
            enis=self.enis,
        )


@dataclass(frozen=True, slots=True)
class Move:
    """One applied move: who has the address, or the ENI, since then; times are CLOCK_MONOTONIC in nanoseconds."""

    holder: str
    at_ns: int
    routed_ns: int
    resource: str = VIP


@dataclass(frozen=True, slots=True)
class PowerStep:
    """A host came into a state of the CVM API's InstanceState. Time is CLOCK_MONOTONIC in nanoseconds."""

    at_ns: int
    name: str
    state: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request as it came in, on the same clock; `age_s` is by how much it was dated back, by the right time."""

    at_ns: int
    peer: str
    action: str
    age_s: float

    @property
    def writes(self) -> bool:
        """Whether it asks for a change."""
        return self.action in WRITE_ACTIONS


def keys_of(name: str) -> tuple[str, str]:
    """Return the permanent API key of a host: SecretId and SecretKey."""
    return f"AKIDlab{name.replace('-', '')}", f"lab-secret-of-{name}"


class CloudControl:
    """The lab's end: what the cloud has seen, and which faults it plays. Use as a context manager."""

    def __init__(self, fabric: Fabric, settings: CloudSettings, directory: Path) -> None:
        self._fabric = fabric
        self._settings = settings
        self._log = directory / "cloud.log"
        self._process: Process | None = None
        own = {spec.eni_id: _NAME_OF[spec.instance_id] for spec in settings.enis if spec.instance_id}
        self._node_of = {**_NODE_OF, **own}  # a secondary ENI that takes addresses does not move itself

    def __enter__(self) -> Self:
        plan = _plan(self._fabric, self._settings)
        command = inside(self._fabric.router, module("tests.lab.cloud", json.dumps(plan)))
        self._process = Process(command, self._log, talks=True)
        try:
            self._process.line()
        except LabError:
            self._process.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()

    def _ask(self, verb: str, **values: object) -> Any:
        if self._process is None:
            raise LabError("the cloud is not open")
        self._process.write(json.dumps({"do": verb, **values}) + "\n")
        return json.loads(self._process.line())

    @staticmethod
    def keys_of(name: str) -> tuple[str, str]:
        """Return the permanent API key of a host."""
        return keys_of(name)

    def holder(self, resource: str = VIP) -> str:
        """Return the name of the host that has an address or a secondary ENI, or an empty string."""
        return self._node_of.get(self._ask("holder", resource=resource), "")

    def bound_to(self, eip: str) -> str:
        """Return the address that an EIP is bound to, or an empty string."""
        return self._ask("holder", resource=eip) or ""

    def applied(self, resource: str = VIP) -> list[Move]:
        """Return every move of an address or a secondary ENI that the cloud has applied."""
        return [move for move in self.all_applied() if move.resource == resource]

    def all_applied(self) -> list[Move]:
        """Return every move that the cloud has applied, of whatever."""
        return [
            Move(self._node_of.get(holder, ""), at, routed, name)
            for name, holder, at, routed in self._ask("routes")
        ]

    def moves(self, resource: str = VIP) -> list[str]:
        """Return who got an address or a secondary ENI by each move that was applied."""
        return [move.holder for move in self.applied(resource)]

    def calls(self) -> list[dict[str, Any]]:
        """Return every API call with how it ended (emulator.service.CallRecord)."""
        calls: list[dict[str, Any]] = self._ask("calls")
        return calls

    def arrivals(self) -> list[Arrival]:
        """Return when each API request came in."""
        return [Arrival(*arrival) for arrival in self._ask("arrivals")]

    def power(self) -> list[PowerStep]:
        """Return what became of the hosts' power, as far as the API was asked for it."""
        return [PowerStep(at_ns, _NAME_OF[instance], state) for at_ns, instance, state in self._ask("power")]

    def writes(self) -> int:
        """Return how many API calls that change something have come in, refused ones included."""
        return sum(1 for arrival in self.arrivals() if arrival.writes)

    def accepted(self) -> int:
        """Return how many of these the cloud has accepted."""
        return sum(1 for call in self.calls() if call["action"] in WRITE_ACTIONS and not call["code"])

    def fault(self, kind: str, **fields: object) -> None:
        """Switch a fault on (emulator.faults.Fault)."""
        answer = self._ask("fault", fault={"kind": kind, **fields})
        if answer != "ok":
            raise LabError(f"fault {kind}: {answer}")

    def heal(self) -> None:
        """Switch all faults off."""
        self._ask("heal")

    def faults_left(self) -> int:
        """Return how many faults are still to befall somebody."""
        return len(self._ask("faults"))

    def throttle(self, count: int) -> None:
        """Refuse the next moves for being too many."""
        self.fault("throttle", action="writes", count=count)

    def http_500(self, count: int) -> None:
        """Answer the next moves with HTTP 500 and do nothing."""
        self.fault("http-500-before", action="writes", count=count)

    def lose_reply_after_effect(self) -> None:
        """Carry the next move out and reset the connection instead of answering."""
        self.fault("reset-after", action="writes", count=1)

    def announce_termination(self, name: str, in_s: float | None) -> None:
        """Announce that a host ends as a spot instance in so many seconds; None withdraws it."""
        at = "" if in_s is None else render_time(time.time() + in_s)
        self._ask("terminate", instance=_INSTANCE_OF[name], at=at)

    def move_by_hand(self, name: str) -> None:
        """Bind the address to another host at once, as somebody in the cloud's console does."""
        self._ask("move", eni=_ENI_OF[name])

    def attach_by_hand(self, eni: str, name: str) -> None:
        """Attach a secondary ENI to another host at once, or with "" to none."""
        self._ask("attach", eni=eni, instance=_INSTANCE_OF.get(name))

    def answer_no_move_in_time(self) -> None:
        """Carry the next move out and never answer it: the client gives up waiting."""
        self.fault("hang-after", action="writes", count=1)

    def outage_for(self, name: str) -> None:
        """Reset every connection of one host."""
        self.fault("outage", caller=_ADDRESS_OF[name])


def _plan(fabric: Fabric, settings: CloudSettings) -> dict[str, Any]:
    """Return what the child is told: the cloud to play, and what its nodes and ENIs are in the fabric."""
    nodes = CREW[: settings.nodes]
    return {
        "settings": asdict(settings),
        "ports": [[node.eni_id, fabric.link(node.name), fabric.drain_table(node.name)] for node in nodes],
        "slots": [
            [spec.eni_id, node.instance_id, asdict(fabric.slots[mac_of(spec.eni_id), node.name])]
            for spec in settings.enis
            for node in nodes
        ],
    }


def _settings(raw: dict[str, Any]) -> CloudSettings:
    enis = tuple(EniSpec(**_tupled(spec)) for spec in raw["enis"])
    return CloudSettings(**_tupled({**raw, "enis": enis}))


def _tupled(raw: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()}


class _TimedEmulator(Emulator):
    """Notes when each request has come in, more finely than the emulator's own log."""

    def __init__(self, settings: CloudSettings, routes: Routes) -> None:
        options = Options(latency_ms=settings.latency_ms, task_ms=settings.task_ms)
        nodes = CREW[: settings.nodes]
        super().__init__(settings.network(), options, self._on_change)
        self.arrivals: deque[tuple[int, str, str, float]] = deque(maxlen=2000)
        self.power: deque[tuple[int, str, str]] = deque(maxlen=100)
        self.model.rules.power_ms = settings.power_ms
        self.model.rules.serialise = settings.serialise
        self.model.power_listeners.append(self._on_power)
        self._routes = routes
        for node in nodes:
            self.keys.add(*keys_of(node.name))
        for address in settings.second:
            self.model.move(address, nodes[1].eni_id, self.service.now_ms())

    def start_routes(self) -> None:
        """Have what there is to begin with, the secondary ENIs first."""
        network = self.model.network
        enis = [eni for eni in network.enis.values() if not eni.primary]
        for eni in enis:
            self._routes.holder_changed(eni.id, eni.instance_id)
        for eni in network.enis.values():
            for ip in eni.all_ips[0 if eni in enis else 1 :]:  # a node's own address has always been there
                self._routes.holder_changed(ip.address, eni.id)

    def _on_change(self, change: Change) -> None:
        self._routes.holder_changed(change.resource, change.after)

    def _on_power(self, change: PowerChange) -> None:
        self.power.append((time.monotonic_ns(), change.instance, change.after))

    async def _handle(self, request: Request) -> Response:
        now_ns, headers = time.monotonic_ns(), request.headers
        age_s = time.time() - float(headers.get("x-tc-timestamp", "nan"))
        self.arrivals.append((now_ns, request.peer, headers.get("x-tc-action", request.path), age_s))
        return await super()._handle(request)


def _answer(emulator: _TimedEmulator, routes: Routes, asked: dict[str, Any]) -> object:
    if asked["do"] == "holder":
        return emulator.model.network.holder_of(asked["resource"])
    if asked["do"] == "fault":
        return _switch_on(emulator, asked["fault"])
    if asked["do"] == "heal":
        return emulator.faults.remove()
    if asked["do"] in ("move", "attach", "terminate"):
        return _by_hand(emulator, asked)
    known: dict[str, object] = {
        "routes": routes.applied,
        "calls": [asdict(call) for call in emulator.service.calls],
        "arrivals": list(emulator.arrivals),
        "power": list(emulator.power),
        "faults": [as_json(fault) for fault in emulator.faults.listed()],
    }
    return known[asked["do"]]


def _by_hand(emulator: _TimedEmulator, asked: dict[str, Any]) -> str:
    now_ms = emulator.service.now_ms()
    if asked["do"] == "move":
        emulator.model.move(VIP, asked["eni"], now_ms)
    elif asked["do"] == "attach":
        emulator.model.attach(asked["eni"], asked["instance"], now_ms)
    else:
        emulator.model.announce_termination(asked["instance"], asked["at"], now_ms)
    return "ok"


def _switch_on(emulator: _TimedEmulator, fault: object) -> str:
    try:
        emulator.faults.add(parse(fault))
    except ValueError as error:
        return str(error)
    return "ok"


async def _serve(plan: dict[str, Any]) -> None:
    settings = _settings(plan["settings"])
    ports = {eni: RouterPort(link, table) for eni, link, table in plan["ports"]}
    slots = {(eni, instance): Slot(**slot) for eni, instance, slot in plan["slots"]}
    routes = Routes(ports, VOID, slots, settings.ipv6)
    ready = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        routing = tasks.create_task(routes.run(ready))
        await asyncio.wait_for(ready.wait(), 5)
        emulator = _TimedEmulator(settings, routes)
        emulator.start_routes()
        await asyncio.wait_for(routes.settled(), 5)
        routes.applied.clear()
        run_at_once()  # the cloud does not share this machine's cores
        await emulator.start((API, API_PORT), (METADATA, METADATA_PORT))
        try:
            await _converse(emulator, routes)
        finally:
            routing.cancel()
            await emulator.close()


async def _converse(emulator: _TimedEmulator, routes: Routes) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while line := await reader.readline():
        sys.stdout.write(json.dumps(_answer(emulator, routes, json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.argv[1])))
