"""The files that a configuration names, on a real file system."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hafailover.config import files
from hafailover.config.files import UnusableError

if TYPE_CHECKING:
    from collections.abc import Callable


def why(function: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(UnusableError) as caught:
        function(path)
    return str(caught.value)


def put(path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def test_the_text_of_a_file_is_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    assert files.read_text(put(tmp_path / "a", "[log]\n")) == "[log]\n"
    assert files.read_text(put(tmp_path / "b", b"\xef\xbb\xbf[log]\n")) == "[log]\n"


def test_what_is_not_a_readable_text_is_refused(tmp_path: Path) -> None:
    assert why(files.read_text, tmp_path / "none") == "does not exist"
    assert why(files.read_text, tmp_path) == "is a directory; allowed: a file"
    assert why(files.read_text, put(tmp_path / "a", b"a\xff")) == "is not UTF-8: byte 2 is wrong"
    assert why(files.read_text, put(tmp_path / "b", b"#" * (1 << 20) + b"\n")) == "is larger than 1048576 bytes"
    assert why(files.read_text, Path("/proc/self/mem")) == "cannot be read: Input/output error"
    assert why(files.read_text, tmp_path / ("a" * 300)) == "cannot be read: File name too long"
    assert why(files.read_text, tmp_path / "a\0b") == "cannot be read: not a path"


def test_a_pipe_or_device_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    message = "is a device, pipe or socket; allowed: a file"
    assert why(files.read_text, tmp_path / "pipe") == message
    assert why(files.read_text, Path("/dev/zero")) == message
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        assert why(files.read_text, tmp_path / "socket") == "cannot be read: No such device or address"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user to become")
def test_a_file_that_this_user_may_not_read_is_refused(tmp_path: Path, key_file: Path) -> None:
    key_file.chmod(0o600)
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_mode & 0o001 == 0:
            directory.chmod(directory.stat().st_mode | 0o001)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        try:
            files.read_key(key_file)
        except UnusableError as error:
            os.write(writer, str(error).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        assert answer.read() == b"cannot be read: Permission denied"
    os.waitpid(child, 0)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o440, 0o700])
def test_a_key_is_32_bytes_that_others_cannot_read(key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    assert files.read_key(key_file) == b"\x0f" * 32


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o601, 0o660, 0o620, 0o777])
def test_a_key_that_others_could_read_or_change_is_refused(key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    expected = f'has mode {mode:04o}; allowed: owner and group may read ("chmod 0640")'
    assert why(files.read_key, key_file) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is too short with 0 hex digits; needed: 64"),
        ("0f" * 31 + "\n", "is too short with 62 hex digits; needed: 64"),
        ("0f" * 33, "is too long with 66 hex digits; needed: 64"),
        ("geheim" * 12, "does not hold a key; needed: one line of 64 hex digits"),
        ("0f" * 16 + "\n" + "0f" * 16, "does not hold a key; needed: one line of 64 hex digits"),
        (b"\xff" * 32, "does not hold a key; needed: one line of 64 hex digits"),
        (b"0" * 70_000, "is larger than 65536 bytes"),
    ],
)
def test_a_malformed_key_is_refused_and_not_repeated(tmp_path: Path, content: str | bytes, message: str) -> None:
    assert why(files.read_key, put(tmp_path / "key", content)) == message


def test_credentials_are_a_pair_of_keys_and_perhaps_a_token(tmp_path: Path) -> None:
    path = put(tmp_path / "c", 'secret_id = "AKIDa"\nsecret_key = "b"\n')
    assert files.read_credentials(path) == files.SecretKeys("AKIDa", "b")
    path = put(tmp_path / "c", 'secret_id = "AKIDa"\nsecret_key = "b"\ntoken = "c"\n', 0o640)
    assert files.read_credentials(path) == files.SecretKeys("AKIDa", "b", "c")
    assert repr(files.read_credentials(path)) == "SecretKeys(secret_id='AKIDa')"


EACH = "each a string without spaces"
ALLOWED = "secret_id, secret_key and, for temporary keys, token"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", "is not TOML in UTF-8"),
        ("secret_id = geheim", "is not TOML in UTF-8"),
        ("a = " + "[" * 10_000, "is not TOML in UTF-8"),
        ("#" * 20_000, "is larger than 16384 bytes"),
        ('secretid = "geheim"', f'holds the unknown key "secretid"; allowed: {ALLOWED}'),
        ("", f"has no usable secret_id; needed: {ALLOWED}, {EACH}"),
        ('secret_id = "a"', f"has no usable secret_key; needed: {ALLOWED}, {EACH}"),
        (
            'secret_id = "a"\nsecret_key = 5',
            f"has no usable secret_key; needed: {ALLOWED}, {EACH}",
        ),
        (
            'secret_id = "a"\nsecret_key = "b"\ntoken = "geheim geheim"',
            f"has no usable token; needed: {ALLOWED}, {EACH}",
        ),
    ],
)
def test_malformed_credentials_are_refused_unrepeated(tmp_path: Path, content: str | bytes, message: str) -> None:
    told = why(files.read_credentials, put(tmp_path / "c", content))
    assert told == message
    assert "geheim" not in told


def test_credentials_that_others_could_read_are_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "c", 'secret_id = "a"\nsecret_key = "b"\n', 0o644)
    message = 'has mode 0644; allowed: owner and group may read ("chmod 0640")'
    assert why(files.read_credentials, path) == message


def test_a_program_must_be_there_executable_and_safe(tmp_path: Path, program: Path) -> None:
    def require(path: Path) -> None:
        files.require_program(str(path))

    require(program)
    assert why(require, tmp_path / "none") == "does not exist"
    assert why(require, tmp_path) == "is a directory; allowed: a file"
    program.chmod(0o644)
    assert why(require, program) == 'is not executable; needed: "chmod 0755"'
    for mode in (0o775, 0o757):
        program.chmod(mode)
        expected = f'has mode {mode:04o}; allowed: only its owner may write it ("chmod 0755")'
        assert why(require, program) == expected


def test_a_program_that_anyone_could_replace_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "open" / "hook"
    program.parent.mkdir()
    program.touch(mode=0o755)
    program.parent.chmod(0o777)

    def require(path: Path) -> None:
        files.require_program(str(path))

    assert why(require, program) == (
        f'could be replaced by anyone: {program.parent} has mode 0777; needed: "chmod o-w"'
    )
    program.parent.chmod(0o1777)
    require(program)


def test_a_credential_is_where_systemd_has_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "cluster.key", "a1" * 32, 0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert files.read_key(Path("credential:cluster.key")) == bytes.fromhex("a1" * 32)
    assert why(files.read_key, Path("credential:other.key")) == "does not exist"


def test_without_a_service_there_is_no_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    said = why(files.read_key, Path("credential:cluster.key"))
    assert said.startswith("is nowhere: only a service has credentials")
    assert "set CREDENTIALS_DIRECTORY" in said
