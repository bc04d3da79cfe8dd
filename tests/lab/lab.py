"""One lab: the fabric, the cloud on its router, two hosts or three with a service, and a client that probes it."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from hafailover.emulator.world import VIP, mac_of
from hafailover.guest.interface import table_of
from tests.lab.cloud import CREW, CloudControl, CloudSettings
from tests.lab.fabric import Fabric, LabError, Port
from tests.lab.guests import GuestReport, overlap_ms
from tests.lab.prober import ProbeReport
from tests.lab.processes import Process, inside, module, wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from hafailover.emulator.world import EniSpec

ADDRESS = VIP
SERVICE_PORT = 8080
SERVICE_PIDFILE = "run/service.pid"  # in the host's directory
PROBE_MS = 2.0
PROBE_MAX_S = 60.0
ENI = {node.name: node.eni_id for node in CREW}
INSTANCE = {node.name: node.instance_id for node in CREW}
PORTS = tuple(Port(node.name, node.address, mac_of(node.eni_id)) for node in CREW)
CLIENT = Port("client", "10.0.1.200", "52:54:00:00:00:c0")


@dataclass(slots=True)
class Host:
    """A host: its namespace, its own directories, its programs and its small disks."""

    port: Port
    namespace: str
    directory: Path
    processes: dict[str, Process] = field(default_factory=dict)
    disks: list[Path] = field(default_factory=list)

    def start(
        self,
        name: str,
        argv: Sequence[str],
        environment: dict[str, str] | None = None,
        *,
        talks: bool = False,
    ) -> Process:
        """Start a program on this host under a name; its log is `NAME.log` in the host's directory."""
        if name in self.processes:  # an earlier run that has ended
            self.kill(name)
        command = inside(self.namespace, argv, self.directory)
        process = Process(command, self.directory / f"{name}.log", environment, talks=talks)
        self.processes[name] = process
        return process

    def start_service(self) -> None:
        """Start the service and wait until it listens."""
        argv = module("tests.lab.service", self.port.name, SERVICE_PORT)
        service = self.start("service", argv, talks=True)
        service.line()
        (self.directory / SERVICE_PIDFILE).write_text(f"{service.pid}\n", encoding="ascii")

    def stop_service(self) -> None:
        """End the service as a crash does."""
        self.kill("service")

    def kill(self, name: str) -> None:
        """End a program at once (SIGKILL)."""
        self.processes.pop(name).kill()

    def kill_all(self) -> None:
        """End everything that runs here, at once."""
        while self.processes:
            self.processes.popitem()[1].kill()

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to every program that runs here, and to what these have started."""
        for process in self.processes.values():
            process.signal_group(number)

    def add_small_disk(self, part: str, kib: int) -> Path:
        """Mount an empty file system of so many KiB at a directory below this host's own, for programs to come."""
        directory = self.directory / part
        directory.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k,mode=0755", "lab", str(directory)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
        if done.returncode != 0:
            raise LabError(f"no small disk: {done.stderr.strip()}")
        self.disks.append(directory)
        return directory

    def close(self) -> None:
        """End everything that runs here and give the small disks back."""
        self.kill_all()
        while self.disks:
            subprocess.run(["umount", "-l", str(self.disks.pop())], check=False, capture_output=True, timeout=10)


class Watch(ABC):
    """What watches in processes of its own until it is finished. Use as a context manager."""

    @abstractmethod
    def finish(self) -> object:
        """Stop watching and return what was seen."""

    @abstractmethod
    def kill(self) -> None:
        """End the processes, whatever they are at."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            self.kill()


class Probe(Watch):
    """A running prober; `report` is there afterwards."""

    def __init__(
        self, namespace: str, log: Path, addresses: Sequence[str], interval_ms: float, max_s: float
    ) -> None:
        arguments = (",".join(addresses), SERVICE_PORT, interval_ms, max_s)
        self._process = Process(inside(namespace, module("tests.lab.prober", *arguments)), log, talks=True)
        self._process.line()
        self.report = ProbeReport(0, 0, 0.0, 0, 0, 0.0, answered_at_end=False)

    def finish(self) -> ProbeReport:
        """Stop probing and return what was seen."""
        self._process.close_input()
        raw = json.loads(self._process.line())
        raw["switches"] = [(at, who) for at, who in raw["switches"]]
        self.report = ProbeReport(**raw)
        return self.report

    def kill(self) -> None:
        """End the prober."""
        self._process.kill()


class GuestWatch(Watch):
    """Watches the guests of all hosts; `report` is there afterwards."""

    def __init__(self, lab: Lab) -> None:
        self._watchers: dict[str, Process] = {}
        self.report = GuestReport({}, 0.0)
        for name, host in lab.hosts.items():
            command = inside(host.namespace, module("tests.lab.guests", ADDRESS))
            self._watchers[name] = Process(command, host.directory / "guests.log", talks=True)
        for watcher in self._watchers.values():
            watcher.line()

    def finish(self) -> GuestReport:
        """Stop watching and return what was seen."""
        carried: dict[str, list[tuple[int, int]]] = {}
        for name, watcher in self._watchers.items():
            watcher.close_input()
            carried[name] = [(start, end) for start, end in json.loads(watcher.line())]
        self.report = GuestReport(carried, overlap_ms(list(carried.values())))
        return self.report

    def kill(self) -> None:
        """End the watchers."""
        for watcher in self._watchers.values():
            watcher.kill()


class Lab:
    """Everything together. Use as a context manager: whatever happens, nothing is left behind."""

    def __init__(self, cloud: CloudSettings | None = None, *, keep: bool = False) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="hf-lab-"))
        self.directory.chmod(0o755)
        self.keep = keep
        self.settings = cloud or CloudSettings()
        self.ports = PORTS[: self.settings.nodes]
        macs = [mac_of(spec.eni_id) for spec in self.settings.enis]
        cidrs = list(dict.fromkeys(spec.cidr for spec in self.settings.enis if spec.cidr))
        self.fabric = Fabric((*self.ports, CLIENT), macs, cidrs, ipv6=self.settings.ipv6)
        self.hosts: dict[str, Host] = {}
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.callback(self._remove_directory)
            stack.callback(self.fabric.close)
            self.fabric.open()
            self.cloud = stack.enter_context(CloudControl(self.fabric, self.settings, self.directory))
            for port in self.ports:
                host = self._host(port)
                stack.callback(host.close)
                host.start_service()
            self._exit = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.__exit__(kind, error, trace)

    def _remove_directory(self) -> None:
        if not self.keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _host(self, port: Port) -> Host:
        directory = self.directory / port.name
        for part in ("run/hafailover", "lib/hafailover"):
            (directory / part).mkdir(parents=True)
        host = Host(port, self.fabric.namespace(port.name), directory)
        self.hosts[port.name] = host
        return host

    def probe(self, *addresses: str, interval_ms: float = PROBE_MS, max_s: float = PROBE_MAX_S) -> Probe:
        """Start the client: of the address, or of these others, all at a time; it ends by itself after `max_s`."""
        log = self.directory / "prober.log"
        return Probe(self.fabric.namespace("client"), log, addresses or (ADDRESS,), interval_ms, max_s)

    def watch_guests(self) -> GuestWatch:
        """Start writing down which guest carries the address when."""
        return GuestWatch(self)

    # Faults that are more than one of the fabric's. Each has its undoing, but for a crash.

    def crash(self, name: str) -> None:
        """Take a host's power away: silence on the network, and nothing of it runs any more."""
        self.fabric.lose(name)
        self.hosts[name].kill_all()

    def obey_power(self, name: str, timeout_s: float = 15.0) -> None:
        """Wait until the cloud has a host powered off, and take its power away."""
        wait_for(f"{name} is powered off", lambda: self.powered_off_ns(name) is not None, timeout_s)
        self.crash(name)

    def powered_off_ns(self, name: str) -> int | None:
        """Return when the cloud had a host powered off, None where it has not."""
        steps = (step.at_ns for step in self.cloud.power() if (step.name, step.state) == (name, "STOPPED"))
        return next(steps, None)

    def freeze(self, name: str) -> None:
        """Stop a host as a hypervisor does that pauses it; unlike there, its clocks go on."""
        self.fabric.lose(name)
        self.hosts[name].signal_all(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a frozen host go on, as if nothing had been."""
        self.fabric.regain(name)
        self.hosts[name].signal_all(signal.SIGCONT)

    def part(self, first: str, second: str) -> None:
        """Cut the heartbeats between two hosts, both ways; everything else goes through."""
        self.fabric.cut_heartbeats(first, second)
        self.fabric.cut_heartbeats(second, first)

    def join(self, first: str, second: str) -> None:
        """Undo `part`."""
        self.fabric.mend_heartbeats(first, second)
        self.fabric.mend_heartbeats(second, first)

    def carries(self, name: str, *addresses: str) -> bool:
        """Whether a host's own network carries the address, or all of these others."""
        return self.fabric.guest_addresses(name).issuperset(addresses or (ADDRESS,))

    def wait_holder(self, name: str, timeout_s: float = 10.0, resource: str = ADDRESS) -> float:
        """Wait until the cloud names a host as the holder; returns the seconds that it took."""
        return wait_for(f"{name} has {resource}", lambda: self.cloud.holder(resource) == name, timeout_s)

    def wait_carries(self, name: str, *addresses: str, carries: bool = True, timeout_s: float = 10.0) -> float:
        """Wait until a host's own network carries the address, or all of these others (or does not)."""
        what = f"{name} {'carries' if carries else 'does not carry'} {addresses or ADDRESS}"
        return wait_for(what, lambda: self.carries(name, *addresses) is carries, timeout_s)

    def remains(self, name: str, spec: EniSpec) -> list[str]:
        """Return what a host's own network has of a secondary ENI: its link if up, addresses, rules and routes."""
        show, mac = partial(self.fabric.show, name), mac_of(spec.eni_id).lower()
        table, addresses = table_of(mac), {*spec.addresses, *spec.ipv6s}
        up = [link["ifname"] for link in show("link") if link.get("address") == mac and "UP" in link["flags"]]
        rules = [rule for family in ("-4", "-6") for rule in show(family, "rule")]
        routes = [route for family in ("-4", "-6") for route in show(family, "route", "show", "table", "all")]
        return [
            *up,
            *sorted(addresses & self.fabric.guest_addresses(name)),
            *(f"from {rule['src']}" for rule in rules if rule["table"] == str(table)),
            *(f"to {route['dst']}" for route in routes if route.get("table") == str(table)),
        ]

    def logs(self, most_chars: int = 4000) -> dict[str, str]:
        """Return the end of every log, for a failure's message."""
        return {
            str(path.relative_to(self.directory)): path.read_text(errors="replace")[-most_chars:]
            for path in sorted(self.directory.rglob("*.log"))
        }


def pause(seconds: float) -> None:
    """Let real time pass: the lab's subject is what happens meanwhile."""
    time.sleep(seconds)
