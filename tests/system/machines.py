"""Machines that boot: systemd-nspawn on an overlay of this machine's root file system, in a namespace of the lab.

What a machine writes goes to a tmpfs and is gone with it. Only what this module mounted is unmounted again, only
the processes that it started are ended, and all of it also after a failure.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hafailover.control import client
from hafailover.errors import ControlError, UnreachableError
from tests.lab.fabric import LabError
from tests.lab.processes import END_S, ENVIRONMENT, Process, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.lab.lab import Host

PROGRAM = "/opt/hafailover/bin/hafailover"
UNIT = "hafailover.service"
PYTHON = "/usr/bin/python3"  # the system's: a service does not see what somebody has in a home directory
TOOLS = ("systemd-nspawn", "nsenter", "setpriv", "mount", "dbus-daemon", "pkcheck", PYTHON)
BOOT_S = 30.0
COMMAND_S = 60.0
# What would start here besides systemd's own, and has nothing to do with the matter.
_NOT_STARTED = ("etc/systemd/system/*.wants", "etc/rc?.d", "etc/fstab", "etc/machine-id", "etc/hafailover")
_CGROUPS = Path("/sys/fs/cgroup")
_UP = ("running", "degraded")


def why_not() -> str:
    """Return why no machine can be booted here, or an empty string where it can."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


def _run(*argv: str, timeout_s: float = COMMAND_S) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=timeout_s, env=ENVIRONMENT)
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def sweep() -> None:
    """End and remove what a run left behind whose process no longer exists."""
    for root in _hierarchies():
        for place in root.glob("hf*-*"):
            if _orphaned(place.name):
                ControlGroup(place.name).remove()
    mounts = [line.split()[:2] for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    for source, point in reversed(mounts):
        if _orphaned(source):
            subprocess.run(["umount", "-l", point], check=False, capture_output=True, timeout=10)


def _orphaned(name: str) -> bool:
    owner = name.removeprefix("hf").partition("-")[0]
    return name.startswith("hf") and owner.isdigit() and not Path(f"/proc/{owner}").exists()


def _hierarchies() -> list[Path]:
    roots = (_CGROUPS, _CGROUPS / "unified", _CGROUPS / "systemd")
    return [root for root in roots if (root / "cgroup.procs").exists()]


class Disks:
    """The machines' file systems, in a tmpfs of their own: `base` is what they share. Use as a context manager."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.directory.mkdir()
        self._mount("-t", "tmpfs", "-o", "size=1g,mode=0755", f"hf{os.getpid()}-disks", self.directory)
        try:
            self._make_base()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def _mount(self, *arguments: object) -> None:
        place = str(arguments[-1])
        _run("mount", *map(str, arguments))
        self._exit.callback(subprocess.run, ["umount", "-l", place], check=False, capture_output=True, timeout=10)

    def overlay(self, name: str, *lower: Path) -> Path:
        """Mount a file system that shows the lower ones and can be written; return its root."""
        parts = {part: self.directory / name / part for part in ("upper", "work", "root")}
        for part in parts.values():
            part.mkdir(parents=True)
        layers = ":".join(map(str, (*lower, Path("/"))))
        options = f"lowerdir={layers},upperdir={parts['upper']},workdir={parts['work']}"
        self._mount("-t", "overlay", "-o", options, f"hf{os.getpid()}-{name}", parts["root"])
        return parts["root"]

    def _make_base(self) -> None:
        self.base = self.overlay("base")
        for pattern in _NOT_STARTED:
            for path in self.base.glob(pattern):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        (self.base / "etc/machine-id").touch()

    def run_in_base(self, *argv: str) -> str:
        """Run a program in the shared file system, without a network and without booting it."""
        options = ["--quiet", "--pipe", "--register=no", "--keep-unit", "--private-network", "--resolv-conf=off"]
        return _run("systemd-nspawn", *options, "--directory", str(self.base), "--", *argv, timeout_s=240.0)

    def machine_root(self, name: str) -> Path:
        """Return the file system of one machine, on top of what the machines share."""
        return self.overlay(name, self.directory / "base" / "upper")


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str


class ControlGroup:
    """A control group of a machine's own, in each hierarchy that systemd keeps: two machines must not share one."""

    def __init__(self, name: str) -> None:
        self._places = [root / name for root in _hierarchies()]

    def entering(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs another one within it; it is made for that."""
        for place in self._places:
            place.mkdir(exist_ok=True)
        enter = 'until [ "$1" = -- ]; do echo $$ > "$1/cgroup.procs"; shift; done; shift; exec "$@"'
        return ["sh", "-ec", enter, "sh", *map(str, self._places), "--", *command]

    def remove(self) -> None:
        """Kill what still runs in it, and remove it."""
        with contextlib.suppress(LabError):
            wait_for("the control group is empty", self._removed, END_S, pause_s=0.05)

    def _removed(self) -> bool:
        for place in self._places:
            for procs in place.rglob("cgroup.procs"):
                self._kill(procs)
        for place in self._places:
            for directory, _, _ in os.walk(place, topdown=False):
                with contextlib.suppress(OSError):
                    Path(directory).rmdir()
        return not any(place.exists() for place in self._places)

    @staticmethod
    def _kill(procs: Path) -> None:
        with contextlib.suppress(OSError):  # it may be gone meanwhile, group or process
            for pid in procs.read_text(encoding="ascii").split():
                os.kill(int(pid), signal.SIGKILL)


class Machine:
    """One of the lab's hosts as a machine that boots. `root` is its file system."""

    def __init__(self, host: Host, root: Path, prefix: str) -> None:
        self.name = host.port.name
        self.root = root
        self._host = host
        self._machine = f"{prefix}-{self.name}"
        self._group = ControlGroup(self._machine)
        self._process: Process | None = None
        self._leader = 0

    # -- power -------------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether it is switched on."""
        return self._process is not None and self._process.running

    def boot(self) -> None:
        """Switch it on and wait until systemd has started everything."""
        self.kill()
        self.write("/etc/hostname", f"{self.name}\n")
        command = [
            *("setpriv", "--pdeathsig", "KILL", "--"),
            *self._group.entering(("systemd-nspawn", "--boot", "--quiet", "--console=pipe")),
            *("--register=no", "--keep-unit", "--link-journal=no", "--resolv-conf=off", "--timezone=off"),
            *(f"--machine={self._machine}", f"--hostname={self.name}", f"--directory={self.root}"),
            *(
                f"--network-namespace-path=/run/netns/{self._host.namespace}",
                "--capability=CAP_NET_ADMIN,CAP_NET_RAW",
            ),
            *("systemd.unit=multi-user.target", "systemd.mask=systemd-timesyncd.service"),
        ]
        self._process = Process(command, self._host.directory / "machine.log")
        wait_for(f"{self.name} has booted", self._is_up, BOOT_S, pause_s=0.05)

    def _is_up(self) -> bool:
        self._leader = self._find_leader()
        return self._leader != 0 and self.run("systemctl", "is-system-running", check=False).out.strip() in _UP

    def _find_leader(self) -> int:
        """Return the id of the process that is number 1 inside, 0 where there is none yet."""
        if self._process is None or not self._process.running:
            raise LabError(f"{self.name} is off: {(self._host.directory / 'machine.log').read_text()[-2000:]}")
        pid = self._process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
            with contextlib.suppress(FileNotFoundError):
                if "\nNSpid:\t" + child + "\t1\n" in Path(f"/proc/{child}/status").read_text(encoding="utf-8"):
                    return int(child)
        return 0

    def power_off(self, timeout_s: float = 40.0) -> None:
        """Shut it down as `poweroff` does, and wait until it is off."""
        self.run("systemctl", "poweroff", "--no-block")
        self.wait_off(timeout_s)

    def wait_off(self, timeout_s: float) -> None:
        """Wait until it is off."""
        wait_for(f"{self.name} is off", lambda: not self.running, timeout_s, pause_s=0.05)

    def kill(self) -> None:
        """Take its power away; what it wrote stays."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            self._group.remove()  # systemd-nspawn leaves alone what it has booted
            left = Path("/run/systemd/nspawn/propagate") / self._machine
            subprocess.run(["umount", "-l", str(left)], check=False, capture_output=True, timeout=10)
            with contextlib.suppress(OSError):
                left.rmdir()

    # -- inside ------------------------------------------------------------------------------------------------

    def command(self, *argv: str) -> list[str]:
        """Return the command that runs a program inside."""
        return ["nsenter", f"--target={self._leader}", "-m", "-u", "-i", "-n", "-p", "-C", "--", *argv]

    def run(self, *argv: str, check: bool = True, timeout_s: float = COMMAND_S) -> Done:
        """Run a program inside to its end, as root. Raises LabError where it fails, unless told not to."""
        done = subprocess.run(
            self.command(*argv), capture_output=True, text=True, check=False, timeout=timeout_s, env=ENVIRONMENT
        )
        if check and done.returncode != 0:
            raise LabError(f"{self.name}: {' '.join(argv)}: {(done.stderr or done.stdout).strip()[-2000:]}")
        return Done(done.returncode, done.stdout, done.stderr)

    def systemctl(self, *words: str, check: bool = True) -> Done:
        """Run systemctl inside."""
        return self.run("systemctl", *words, check=check)

    def show(self, name: str, unit: str = UNIT) -> str:
        """Return a property of a unit."""
        return self.systemctl("show", "--value", "-p", name, unit).out.strip()

    @property
    def main_pid(self) -> int:
        """The daemon's process id, as inside."""
        return int(self.show("MainPID"))

    def signal_daemon(self, number: signal.Signals) -> None:
        """Send the daemon's process a signal."""
        self.run("kill", f"-{number.value}", str(self.main_pid))

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file inside."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        place.chmod(mode)

    def drop_in(self, text: str, unit: str = UNIT) -> None:
        """Change a unit, as `systemctl edit` does."""
        self.write(f"/etc/systemd/system/{unit}.d/test.conf", text)
        self.systemctl("daemon-reload")

    def forget_drop_ins(self) -> None:
        """Undo every `drop_in`."""
        for path in (self.root / "etc/systemd/system").glob("hafailover*.service.d/test.conf"):
            path.unlink()
        self.systemctl("daemon-reload")

    def status(self) -> dict[str, Any]:
        """Return what the daemon says of itself, {} while it does not answer."""
        path = Path(f"/proc/{self._leader}/root/run/hafailover/control.sock")
        try:
            return client.request(path, {"command": "status"}, 5.0)
        except (UnreachableError, ControlError):
            return {}

    def state(self) -> str:
        """Return the group's state, "" while no daemon answers."""
        groups = self.status().get("groups", ())
        return str(groups[0]["state"]) if groups else ""

    def wait_state(self, state: str, timeout_s: float = 15.0) -> None:
        """Wait until the daemon says that it is in this state."""
        wait_for(f"{self.name} is {state}", lambda: self.state() == state, timeout_s, pause_s=0.05)

    def journal(self, unit: str = UNIT) -> Iterator[str]:
        """Yield the lines of a unit's log, and what systemd says of it."""
        yield from self.run("journalctl", "--quiet", "--output=cat", "--boot", f"--unit={unit}").out.splitlines()

    def said(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Return the lines of the daemon's log that tell of such an event, with these fields."""
        wanted = {"event": event, **fields}
        entries = (json.loads(line) for line in self.journal() if line.startswith("{"))
        return [entry for entry in entries if wanted.items() <= entry.items()]
