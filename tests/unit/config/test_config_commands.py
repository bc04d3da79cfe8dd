from __future__ import annotations

import argparse
import json
import resource
from typing import TYPE_CHECKING

import pytest

from hafailover.config import commands, files

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.config.conftest import Text


def check(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    commands.add_check_arguments(parser)
    return commands.run_check(parser.parse_args(arguments))


def keygen(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    commands.add_keygen_arguments(parser)
    return commands.run_keygen(parser.parse_args(arguments))


@pytest.fixture
def good(tmp_path: Path, text: Text, key_file: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text(cluster=f'[cluster]\nname = "web"\nkey_file = "{key_file}"\n'))
    return path


@pytest.fixture
def bad(good: Path) -> Path:
    good.write_text(good.read_text().replace("10.0.1.100", "10.0.1") + "[log]\nlevel = 5\n")
    return good


def test_check_reports_a_good_file_with_its_warnings(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check("-c", str(good)) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f'{good}: valid (cluster "web", 2 nodes, 1 group, digest ')
    assert "\nWarnings:\n" in out
    assert err == ""


def test_check_reports_a_good_file_as_json(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check("-c", str(good), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["valid"] is True
    assert said["times"]["outage_example_ms"] == 1620


LEVELS = '5 is an integer; allowed: "debug", "info", "warning" or "error"'
ADDRESS = '"10.0.1" is not an IP address; allowed: an IP address such as "10.0.1.100"'


def test_check_tells_every_problem_of_a_bad_file(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check("-c", str(bad)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f'{bad}: group "vip".addresses[1]: {ADDRESS}\n{bad}: log.level: {LEVELS}\n'


def test_check_tells_them_as_json(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check("-c", str(bad), "--json") == 2
    assert json.loads(capsys.readouterr().out) == {
        "valid": False,
        "problems": [
            {"file": str(bad), "key": 'group "vip".addresses[1]', "message": ADDRESS},
            {"file": str(bad), "key": "log.level", "message": LEVELS},
        ],
    }


def test_the_default_file_is_the_one_of_the_service() -> None:
    parser = argparse.ArgumentParser()
    commands.add_check_arguments(parser)
    assert parser.parse_args([]).config == commands.DEFAULT_CONFIG


def test_keygen_writes_a_key_that_the_loader_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = tmp_path / "one.key", tmp_path / "other.key"
    assert keygen(str(one)) == keygen(str(other)) == 0
    assert one.stat().st_mode & 0o777 == 0o600
    assert files.read_key(one) != files.read_key(other)
    assert one.read_text().endswith("\n")
    assert capsys.readouterr().out.startswith(f"{one}: written; every node needs the same")


def test_keygen_never_writes_over_a_file(key_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = key_file.read_text()
    assert keygen(str(key_file)) == 1
    assert key_file.read_text() == before
    assert capsys.readouterr().err == f"{key_file}: exists already and is not overwritten; remove it first\n"


def test_keygen_follows_no_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert keygen(str(tmp_path / "link")) == 1
    assert not (tmp_path / "target").exists()


def test_keygen_tells_why_it_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert keygen(str(tmp_path / "none" / "a.key")) == 1
    assert capsys.readouterr().err == f"{tmp_path}/none/a.key: cannot be written: No such file or directory\n"


def test_keygen_leaves_no_half_key_on_a_full_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))  # as good as a full disk, and easier to have
    try:
        assert keygen(str(tmp_path / "a.key")) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert capsys.readouterr().err == f"{tmp_path}/a.key: cannot be written: File too large\n"
    assert list(tmp_path.iterdir()) == []


def test_keygen_prints_a_key_instead(capsys: pytest.CaptureFixture[str]) -> None:
    assert keygen("-") == 0
    out, err = capsys.readouterr()
    assert len(bytes.fromhex(out.removesuffix("\n"))) == 32
    assert err == ""
