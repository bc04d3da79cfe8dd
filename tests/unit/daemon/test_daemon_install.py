from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from importlib.resources import files
from pathlib import Path

import pytest

from hafailover import cli
from hafailover.daemon import install
from hafailover.errors import InstallError


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a program that a service can see, in a directory that it can not: what hides it is told elsewhere."""
    path = tmp_path / "bin/hafailover"
    path.parent.mkdir()
    path.touch(mode=0o755)
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(path.parent))
    monkeypatch.setattr(install, "HIDDEN", ())
    return path


def test_every_file_is_in_the_wheel_and_has_a_place() -> None:
    assert sorted(each.name for each in files("hafailover").joinpath("units").iterdir()) == sorted(install.PLACES)


def test_files_are_put_in_place_once(tmp_path: Path, program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "root"
    assert cli.main(["install-unit", "--root", str(root)]) == 0
    assert capsys.readouterr().out.count(": written\n") == len(install.PLACES)
    for place in install.PLACES.values():
        text = (root / place).read_text()
        assert install.PROGRAM not in text
        assert (root / place).stat().st_mode & 0o777 == 0o644
    assert f"ExecStart={program} run" in (root / install.PLACES[install.UNIT]).read_text()
    assert cli.main(["install-unit", "--root", str(root)]) == 0
    assert capsys.readouterr().out.count(": is up to date\n") == len(install.PLACES)
    assert not list(root.rglob("*.new"))


def test_what_was_installed_is_removed(tmp_path: Path, program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "root"
    assert program.exists()
    assert cli.main(["install-unit", "--root", str(root)]) == 0
    assert cli.main(["install-unit", "--root", str(root), "--remove"]) == 0
    assert not [path for path in root.rglob("*") if path.is_file()]
    assert cli.main(["install-unit", "--root", str(root), "--remove"]) == 0
    assert capsys.readouterr().out.count(": removed\n") == len(install.PLACES)


@pytest.mark.parametrize("words", [[], ["--remove"]])
def test_only_root_installs(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert cli.main(["install-unit", *words]) == 1
    assert capsys.readouterr().err == "only root can install a service\n"


def test_a_program_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    with pytest.raises(InstallError, match="not there; install hafailover in /opt/hafailover"):
        install.program_path()


def test_a_program_that_the_service_would_not_see(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "HIDDEN", (str(program.parent),))
    with pytest.raises(InstallError, match=f"{program}: the service does not see {program.parent}"):
        install.program_path()


def test_a_python_that_the_service_would_not_see(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = Path(sys.executable).resolve()
    assert not program.is_relative_to(python.parent)
    monkeypatch.setattr(install, "HIDDEN", (str(python.parent),))
    with pytest.raises(InstallError, match=f"{python}: the service does not see"):
        install.program_path()


def test_a_path_that_a_unit_cannot_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "a b/hafailover"
    path.parent.mkdir()
    path.touch(mode=0o755)
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(path.parent))
    monkeypatch.setattr(install, "HIDDEN", ())
    with pytest.raises(InstallError, match="a unit cannot name such a path"):
        install.program_path()


def test_a_place_that_cannot_be_written(tmp_path: Path, program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "root"
    root.write_text("a file")
    assert program.exists()
    assert cli.main(["install-unit", "--root", str(root)]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_a_step_that_fails_is_told_with_its_own_words() -> None:
    with pytest.raises(InstallError, match=r"^sh -c echo no >&2; exit 3: no$"):
        install._step("sh", "-c", "echo no >&2; exit 3")
    with pytest.raises(InstallError, match=r"^sh -c exit 3: exit code 3$"):
        install._step("sh", "-c", "exit 3")
    with pytest.raises(InstallError, match="nonexistent-program"):
        install._step("nonexistent-program")
    with pytest.raises(InstallError, match="timed out"):
        install._step("sleep", "5", limit_s=0.05)


@pytest.mark.system
def test_the_units_are_what_systemd_takes(tmp_path: Path) -> None:
    """Ask systemd itself; the path of the program is the only thing that is not there yet."""
    units = tmp_path / "units"
    units.mkdir()
    for name in install.PLACES:
        text = files("hafailover").joinpath("units", name).read_text().replace(install.PROGRAM, "/bin/true")
        (units / name).write_text(text)
    paths = [str(path) for path in sorted(units.glob("*.service"))]
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *paths], capture_output=True, text=True, check=False, timeout=30
    )
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    for path in paths:
        subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--threshold=20", path],
            check=True,
            capture_output=True,
            timeout=30,
        )
