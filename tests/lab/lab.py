"""One lab: the fabric, the cloud on its router, two hosts with a service, and a client that probes it."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hafailover.emulator.world import PAIR, VIP, mac_of
from tests.lab.cloud import CloudControl, CloudSettings
from tests.lab.fabric import Fabric, Port
from tests.lab.prober import ProbeReport
from tests.lab.processes import Process, inside, module, wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

ADDRESS = VIP
SERVICE_PORT = 8080
PROBE_MS = 2.0
PROBE_MAX_S = 60.0
ENI = {node.name: node.eni_id for node in PAIR}
INSTANCE = {node.name: node.instance_id for node in PAIR}
PORTS = tuple(Port(node.name, node.address, mac_of(node.eni_id)) for node in PAIR)
CLIENT = Port("client", "10.0.1.200", "52:54:00:00:00:c0")


@dataclass(slots=True)
class Host:
    """A host of the pair: its namespace, its own directories and its programs."""

    port: Port
    namespace: str
    directory: Path
    processes: dict[str, Process] = field(default_factory=dict)

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
        self.start("service", argv, talks=True).line()

    def stop_service(self) -> None:
        """End the service as a crash does."""
        self.kill("service")

    def kill(self, name: str) -> None:
        """End a program at once (SIGKILL)."""
        self.processes.pop(name).kill()

    def close(self) -> None:
        """End everything that runs here."""
        while self.processes:
            self.processes.popitem()[1].kill()


class Probe:
    """A running prober. Use as a context manager; `report` is there afterwards."""

    def __init__(self, namespace: str, log: Path) -> None:
        arguments = (ADDRESS, SERVICE_PORT, PROBE_MS, PROBE_MAX_S)
        self._process = Process(inside(namespace, module("tests.lab.prober", *arguments)), log, talks=True)
        self._process.line()
        self.report = ProbeReport(0, 0, 0.0, 0, 0, 0.0)

    def finish(self) -> ProbeReport:
        """Stop probing and return what was seen."""
        self._process.close_input()
        raw = json.loads(self._process.line())
        raw["switches"] = [(at, who) for at, who in raw["switches"]]
        self.report = ProbeReport(**raw)
        return self.report

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            self._process.kill()


class Lab:
    """Everything together. Use as a context manager: whatever happens, nothing is left behind."""

    def __init__(self, cloud: CloudSettings | None = None, *, keep: bool = False) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="hf-lab-"))
        self.directory.chmod(0o755)
        self.keep = keep
        self.fabric = Fabric((*PORTS, CLIENT))
        self.settings = cloud or CloudSettings()
        self.hosts: dict[str, Host] = {}
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.callback(self._remove_directory)
            stack.callback(self.fabric.close)
            self.fabric.open()
            self.cloud = stack.enter_context(CloudControl(self.fabric, self.settings, self.directory))
            for port in PORTS:
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

    def probe(self) -> Probe:
        """Start the client."""
        return Probe(self.fabric.namespace("client"), self.directory / "prober.log")

    def carries(self, name: str) -> bool:
        """Whether a host's own network carries the address."""
        return ADDRESS in self.fabric.guest_addresses(name)

    def wait_holder(self, name: str, timeout_s: float = 10.0) -> float:
        """Wait until the cloud names a host as the holder; returns the seconds that it took."""
        return wait_for(f"{name} is the holder", lambda: self.cloud.holder() == name, timeout_s)

    def wait_carries(self, name: str, *, carries: bool = True, timeout_s: float = 10.0) -> float:
        """Wait until a host's own network carries the address (or does not)."""
        what = f"{name} {'carries' if carries else 'does not carry'} the address"
        return wait_for(what, lambda: self.carries(name) is carries, timeout_s)

    def logs(self) -> dict[str, Any]:
        """Return the end of every log, for a failure's message."""
        return {
            str(path.relative_to(self.directory)): path.read_text(errors="replace")[-4000:]
            for path in sorted(self.directory.rglob("*.log"))
        }


def pause(seconds: float) -> None:
    """Let real time pass: the lab's subject is what happens meanwhile."""
    time.sleep(seconds)
