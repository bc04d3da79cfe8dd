"""`hafailover install-unit`: makes this installation a service of systemd, and `--remove` undoes it.

A command of the wheel rather than a Debian package: it needs nothing but what is installed already, works on every
distribution with systemd, and the unit names the program that it was asked of, wherever that is. Doing it again
changes nothing, or what an upgrade has changed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from hafailover.errors import HafailoverError, InstallError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

UNIT = "hafailover.service"
PLACES = {  # the file in the wheel, and where it belongs
    "hafailover.service": "etc/systemd/system/hafailover.service",
    "hafailover-guest.service": "etc/systemd/system/hafailover-guest.service",
    "hafailover.sysusers": "etc/sysusers.d/hafailover.conf",
    "hafailover.tmpfiles": "etc/tmpfiles.d/hafailover.conf",
    "hafailover.8": "usr/local/share/man/man8/hafailover.8",
}
PROGRAM = "/opt/hafailover/bin/hafailover"  # as the files name it
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - what the unit does not let the daemon see
ADVICE = "install hafailover in /opt/hafailover, with the system's own Python (README.md)"
STEP_S = 30.0
STOP_S = 3700.0  # a stop hands over first, and a hook may take an hour


def add_arguments(parser: ArgumentParser) -> None:
    """Add what `run` reads."""
    parser.add_argument("--remove", action="store_true", help="stop the service and remove what was installed")
    help_root = "write the files below DIR and run nothing (for packages and images)"
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help=help_root)


def run(args: Namespace) -> int:
    """Install or remove; return 0, or 1 where something refused."""
    here = args.root == Path("/")
    try:
        _require_root(here=here)
        for line in _remove(args.root, here=here) if args.remove else _install(args.root, here=here):
            sys.stdout.write(f"{line}\n")
    except HafailoverError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _require_root(*, here: bool) -> None:
    if here and os.geteuid() != 0:
        raise InstallError("only root can install a service")


def _install(root: Path, *, here: bool) -> Iterator[str]:
    program = program_path()
    for name, place in PLACES.items():
        text = files("hafailover").joinpath("units", name).read_text(encoding="utf-8").replace(PROGRAM, program)
        yield f"{root / place}: {_put(root / place, text)}"
    if not here:
        return
    _step("systemd-sysusers", "hafailover.conf")
    _step("systemd-tmpfiles", "--create", "hafailover.conf")
    if _systemd_runs():
        _step("systemctl", "daemon-reload")
    yield f"next: /etc/hafailover/config.toml and a key, `hafailover check`, `systemctl enable --now {UNIT}`"


def program_path() -> str:
    """Return the program that the unit is to run: the one of this installation. Raises InstallError."""
    program = Path(sysconfig.get_path("scripts")) / "hafailover"
    if not os.access(program, os.X_OK):
        raise InstallError(f"{program}: not there; {ADVICE}")
    for needed in (program, Path(sys.executable).resolve()):
        hidden = next((each for each in HIDDEN if needed.is_relative_to(each)), None)
        if hidden is not None:
            raise InstallError(f"{needed}: the service does not see {hidden}; {ADVICE}")
    if any(character.isspace() or character in "%\"'\\$" for character in str(program)):
        raise InstallError(f"{program}: a unit cannot name such a path; {ADVICE}")
    return str(program)


def _put(path: Path, text: str) -> str:
    """Write a file of mode 0644, as a whole or not at all; say what was done."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return "is up to date"
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(text, encoding="utf-8")
        fresh.chmod(0o644)
        fresh.replace(path)
    except (OSError, UnicodeDecodeError) as error:
        raise InstallError(f"{path}: cannot be written: {error}") from None
    return "written"


def _remove(root: Path, *, here: bool) -> Iterator[str]:
    unit = root / PLACES[UNIT]
    if here and _systemd_runs() and unit.exists():
        _step("systemctl", "disable", "--now", UNIT, limit_s=STOP_S)
    for place in PLACES.values():
        path = root / place
        try:
            path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise InstallError(f"{path}: cannot be removed: {error.strerror}") from None
        yield f"{path}: removed"
    if here and _systemd_runs():
        _step("systemctl", "daemon-reload")
    yield "kept: /etc/hafailover, /var/lib/hafailover, the user and group hafailover"


def _systemd_runs() -> bool:
    return Path("/run/systemd/system").is_dir()  # sd_booted(3)


def _step(*argv: str, limit_s: float = STEP_S) -> None:
    """Run one of systemd's own programs. Raises InstallError with what it said where it fails."""
    try:
        subprocess.run(argv, check=True, capture_output=True, text=True, timeout=limit_s)  # noqa: S603 - fixed words
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip()
        raise InstallError(f"{' '.join(argv)}: {said or f'exit code {error.returncode}'}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallError(f"{' '.join(argv)}: {error}") from None
