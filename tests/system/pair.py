"""The pair as its users run it: two machines that boot, each with hafailover as a service of systemd."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING, Self

from tests.lab.fabric import LabError
from tests.lab.lab import ADDRESS
from tests.lab.pair import GROUP, Pair
from tests.lab.processes import wait_for
from tests.system import wheels
from tests.system.machines import PROGRAM, PYTHON, UNIT, Disks, Machine

if TYPE_CHECKING:
    from types import TracebackType

    from tests.lab.lab import Lab, Probe

MASTER, BACKUP = "web-a", "web-b"
KEY = "/etc/hafailover/cluster.key"
NEXT_VERSION = "99.0"


class SystemPair:
    """`master` (web-a) and `backup` (web-b), installed and enabled. Use as a context manager."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.config = Pair(lab).config.read_text("utf-8").replace("/var/lib/hafailover/cluster.key", KEY)
        self.key = (lab.hosts[MASTER].directory / "lib/hafailover/cluster.key").read_text("ascii")
        self.machines: dict[str, Machine] = {}
        self._writes_before = 0
        self._moves_before = 0
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            folder = self.lab.directory
            disks = stack.enter_context(Disks(folder / "disks"))
            self._install(disks)
            for name in (MASTER, BACKUP):
                machine = Machine(self.lab.hosts[name], disks.machine_root(name), self.lab.fabric.prefix)
                self.machines[name] = machine
                stack.callback(machine.kill)
                try:
                    self._set_up(machine)
                except LabError as error:
                    raise LabError(f"{error}\n{self.logs()[name]}") from None
            self._exit = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.__exit__(kind, error, trace)

    def _install(self, disks: Disks) -> None:
        """Make the virtual environment of README.md in what both machines share."""
        built = wheels.build(self.lab.directory / "now")
        newer = wheels.build(self.lab.directory / "newer", version=NEXT_VERSION, dependencies=False)
        shutil.copytree(built, disks.base / "wheels")
        shutil.copytree(newer, disks.base / "wheels", dirs_exist_ok=True)
        this = next(path.name for path in built.glob("hafailover-*.whl"))
        disks.run_in_base(PYTHON, "-m", "venv", "/opt/hafailover")
        pip = ("/opt/hafailover/bin/pip", "install", "--quiet", "--no-index", "--find-links", "/wheels")
        disks.run_in_base(*pip, f"/wheels/{this}")

    def _set_up(self, machine: Machine) -> None:
        """Install the service as README.md says, and boot into it."""
        machine.boot()
        machine.run(PROGRAM, "install-unit")
        machine.write("/etc/hafailover/config.toml", self.config)
        machine.write(KEY, self.key, 0o600)
        machine.run(PROGRAM, "check")
        machine.systemctl("enable", "--now", UNIT)

    @property
    def master(self) -> Machine:
        """The machine that every test finds as master."""
        return self.machines[MASTER]

    @property
    def backup(self) -> Machine:
        """The other one."""
        return self.machines[BACKUP]

    def make_ready(self) -> None:
        """Undo what a test has done: web-a master, web-b able to take over, everything as installed."""
        for machine in self.machines.values():
            self._restore(machine)
        if self.master.state() != "MASTER":
            self.backup.run(PROGRAM, "failover", GROUP, "--to", MASTER, "--wait", check=False)
        self.master.wait_state("MASTER")
        self.backup.wait_state("BACKUP")
        self.wait_eligible()
        wait_for("the address is where it belongs", lambda: self.carriers() == {MASTER})
        self._writes_before = self.lab.cloud.writes()
        self._moves_before = len(self.lab.cloud.moves())

    def _restore(self, machine: Machine) -> None:
        if not machine.running:
            machine.boot()
        machine.forget_drop_ins()
        machine.write("/etc/hafailover/config.toml", self.config)
        machine.systemctl("reset-failed", UNIT, check=False)
        if machine.show("ActiveState") != "active":
            machine.systemctl("start", UNIT)
        wait_for(f"{machine.name} answers", lambda: machine.state() in ("MASTER", "BACKUP"), 15.0, pause_s=0.05)

    def wait_eligible(self) -> None:
        """Wait until the backup could take over."""
        wait_for("the backup could take over", self._backup_could, pause_s=0.05)

    def _backup_could(self) -> bool:
        groups = self.backup.status().get("groups", ())
        return bool(groups) and bool(groups[0]["eligible"])

    def carriers(self) -> set[str]:
        """Return which machines' networks carry the address."""
        return {name for name in self.machines if self.lab.carries(name)}

    def probe(self) -> Probe:
        """Start the client."""
        return self.lab.probe()

    def writes(self) -> int:
        """Return how many API calls that change something have come in since the pair was ready."""
        return self.lab.cloud.writes() - self._writes_before

    def moves(self) -> list[str]:
        """Return who got the address by each move since the pair was ready."""
        return self.lab.cloud.moves()[self._moves_before :]

    def logs(self, most_lines: int = 60) -> dict[str, str]:
        """Return the end of each machine's journal, for a failure's message."""
        said = {}
        for name, machine in self.machines.items():
            try:
                units = (f"--unit={UNIT}", "--unit=hafailover-guest.service")
                journal = machine.run(
                    "journalctl", "--quiet", f"--lines={most_lines}", "--output=short-precise", *units
                )
                said[name] = journal.out
            except (LabError, OSError) as error:
                said[name] = str(error)
        return said


__all__ = ["ADDRESS", "BACKUP", "GROUP", "MASTER", "SystemPair"]
