"""The files that a configuration names, and the file itself: read within bounds, refused where others could.

Nothing here follows from the file alone: it is what holds on this machine, now. No message repeats content.
"""

from __future__ import annotations

import os
import pathlib
import re
import stat
import tomllib
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from hafailover.config import wording

if TYPE_CHECKING:
    from collections.abc import Callable

    from hafailover.config.findings import Findings
    from hafailover.config.section import Section

MOST_CONFIG_BYTES = 1 << 20
_MOST_SECRET_BYTES = 1 << 16
_MOST_CREDENTIALS_BYTES = 1 << 14  # tomllib's time grows with the square: a second, of which nothing is honest
_MOST_PASSWORD_BYTES = 4096
_MOST_PEM_BYTES = 1 << 20
_CREDENTIAL = "credential:"
_KEY_DIGITS = 64
_NOT_FOR_OTHERS = 0o027  # what a file with a secret must not allow: writing by the group, anything by others
_WRITABLE_BY_OTHERS = 0o022


class UnusableError(ValueError):
    """A file cannot be used; the text completes a sentence that begins with its path: "is a directory"."""


@dataclass(frozen=True, slots=True)
class SecretKeys:
    """What a credentials file holds: an API key; `token` only where it is a temporary one."""

    secret_id: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


def read(path: pathlib.Path, most: int, *, secret: bool = False) -> bytes:
    """Return the content of a regular file of at most this many bytes; others may not read a secret one."""
    path = located(path)
    try:
        # Without O_NONBLOCK the opening of a pipe would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise UnusableError(_why(error)) from None
    try:
        status = os.fstat(descriptor)
        _require_regular(status)
        if secret:
            _require_closed(status, _NOT_FOR_OTHERS, 'allowed: owner and group may read ("chmod 0640")')
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(most + 1)
    except OSError as error:
        raise UnusableError(_why(error)) from None
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise UnusableError(f"is larger than {most} bytes")
    return content


def located(path: pathlib.Path) -> pathlib.Path:
    """Return where a file is; a credential of systemd's (systemd.exec(5)) is in a directory of the service."""
    name = str(path)
    if not name.startswith(_CREDENTIAL):
        return path
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        raise UnusableError(
            "is nowhere: only a service has credentials (LoadCredential= in its unit); "
            "to look at a file in its place, set CREDENTIALS_DIRECTORY to the directory that has it"
        )
    return pathlib.Path(directory) / name.removeprefix(_CREDENTIAL)


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return "cannot be read: not a path"


def _require_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise UnusableError("is a directory; allowed: a file")
    if not stat.S_ISREG(status.st_mode):
        raise UnusableError("is a device, pipe or socket; allowed: a file")


def _require_closed(status: os.stat_result, forbidden: int, allowed: str) -> None:
    if status.st_mode & forbidden:
        raise UnusableError(f"has mode {stat.S_IMODE(status.st_mode):04o}; {allowed}")


def read_text(path: pathlib.Path) -> str:
    """Return the configuration file's text, which is UTF-8."""
    try:
        return read(path, MOST_CONFIG_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnusableError(f"is not UTF-8: byte {error.start + 1} is wrong") from None


def read_key(path: pathlib.Path) -> bytes:
    """Return the 32 bytes of a heartbeat key, as `hafailover keygen` writes it: one line of 64 hex digits."""
    content = read(path, _MOST_SECRET_BYTES, secret=True)
    digits = content.strip()
    if not re.fullmatch(rb"[0-9a-fA-F]*", digits):
        raise UnusableError(f"does not hold a key; needed: one line of {_KEY_DIGITS} hex digits")
    if len(digits) != _KEY_DIGITS:
        length = "short" if len(digits) < _KEY_DIGITS else "long"
        raise UnusableError(f"is too {length} with {len(digits)} hex digits; needed: {_KEY_DIGITS}")
    return bytes.fromhex(digits.decode())


def read_password(path: pathlib.Path) -> str:
    """Return a password: the first and only line of its file."""
    content = read(path, _MOST_PASSWORD_BYTES, secret=True)
    try:
        password = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise UnusableError("is not UTF-8") from None
    if not password or not password.isprintable():
        raise UnusableError("does not hold a password; needed: one line")
    return password


def read_pem(path: pathlib.Path, *, secret: bool = False) -> None:
    """Refuse a file that cannot be read or holds no PEM; TLS will find out the rest."""
    if b"-----BEGIN " not in read(path, _MOST_PEM_BYTES, secret=secret):
        raise UnusableError('does not hold PEM; needed: "-----BEGIN " and what follows it')


def read_credentials(path: pathlib.Path) -> SecretKeys:
    """Return what a credentials file says: TOML with secret_id, secret_key and, for temporary keys, token."""
    content = read(path, _MOST_CREDENTIALS_BYTES, secret=True)
    try:
        raw = tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):  # its text could repeat the secret
        raise UnusableError("is not TOML in UTF-8") from None
    allowed = "secret_id, secret_key and, for temporary keys, token"
    for key in raw:
        if key not in SecretKeys.__slots__:
            raise UnusableError(f"holds the unknown key {wording.quote(key)}; allowed: {allowed}")
    for key in ("secret_id", "secret_key", *raw):
        value = raw.get(key)
        if not isinstance(value, str) or not re.fullmatch(r"[!-~]{1,4096}", value):
            raise UnusableError(f"has no usable {key}; needed: {allowed}, each a string without spaces")
    return SecretKeys(**raw)


def require_program(path: str) -> None:
    """Refuse a program that is not there, cannot be run, or could be replaced by somebody else."""
    try:
        status = os.stat(path)  # noqa: PTH116 - Path would say no more
    except OSError as error:
        raise UnusableError(_why(error)) from None
    _require_regular(status)
    if not os.access(path, os.X_OK):
        raise UnusableError('is not executable; needed: "chmod 0755"')
    _require_closed(status, _WRITABLE_BY_OTHERS, 'allowed: only its owner may write it ("chmod 0755")')
    folder = os.path.dirname(path)  # noqa: PTH120 - as above
    mode = os.stat(folder).st_mode  # noqa: PTH116 - as above
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise UnusableError(
            f'could be replaced by anyone: {folder} has mode {stat.S_IMODE(mode):04o}; needed: "chmod o-w"'
        )


def judge(root: Section, findings: Findings, *, witness: bool = False) -> tuple[bytes, ...]:
    """Note what is wrong with the files that the configuration names; return the heartbeat keys.

    The other files are of no use to a `witness`, which need not have them.
    """
    keys = _keys(root.one("cluster"), findings)
    for mqtt in root.many("mqtt"):
        _mqtt(mqtt, findings)
    if witness:
        return keys
    _credentials(root.one("cloud"), findings)
    known: dict[str, str] = {}
    for group in root.many("groups"):
        for check in group.many("checks"):
            _program(check, "command", findings, known)
        notify = group.one("notify")
        for hook in notify.values.keys() - {"timeout"}:
            _program(notify, hook, findings, known)
    return keys


def _keys(cluster: Section, findings: Findings) -> tuple[bytes, ...]:
    keys = []
    for key in ("key_file", "key_files"):
        paths = cluster.values.get(key, ())
        for place, path in enumerate(paths, 1):
            try:
                keys.append(read_key(path))
            except UnusableError as error:
                at = cluster.at(key) if key == "key_file" else f"{cluster.at(key)}[{place}]"
                findings.add(at, f"{path} {error}")
    return tuple(keys)


def _mqtt(mqtt: Section, findings: Findings) -> None:
    """Note what is wrong with the files for the broker: whether it takes them, only the broker knows."""
    readers: dict[str, Callable[[pathlib.Path], object]] = {
        "ca_file": read_pem,
        "cert_file": read_pem,
        "key_file": partial(read_pem, secret=True),
        "password_file": read_password,
    }
    for key, reader in readers.items():
        path = mqtt.values.get(key)
        if path is None:
            continue
        try:
            reader(path)
        except UnusableError as error:
            findings.add(mqtt.at(key), f"{path} {error}")


def _credentials(cloud: Section, findings: Findings) -> None:
    named = str(cloud.get("credentials"))
    if not named.startswith(("file:", _CREDENTIAL)):
        return
    path = named.removeprefix("file:")
    try:
        read_credentials(pathlib.Path(path))
    except UnusableError as error:
        findings.add(cloud.at("credentials"), f"{path} {error}")


def _program(section: Section, key: str, findings: Findings, known: dict[str, str]) -> None:
    """Note what is wrong with the program of this command; `known` keeps the answer for the other groups."""
    command = section.values.get(key)
    if command is None:
        return
    path = command[0]
    if path not in known:
        try:
            require_program(path)
            known[path] = ""
        except UnusableError as error:
            known[path] = str(error)
    if known[path]:
        findings.add(section.at(key), f"{path} {known[path]}")
