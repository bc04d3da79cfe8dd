"""cloud.credentials and config.files: a credentials file to keys."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from hafailover.cloud.credentials import is_header_text, read_credentials_file
from hafailover.config.files import UnusableError, read_credentials
from hafailover.errors import ConfigError

_DIRECTORY = Path(tempfile.mkdtemp(prefix="hafailover-fuzz-"))
atexit.register(shutil.rmtree, _DIRECTORY, ignore_errors=True)
FILE = _DIRECTORY / "credentials.toml"
LONGEST_MESSAGE = 512

SEEDS = (
    b'secret_id = "AKIDexample"\nsecret_key = "0123456789abcdef"\n',
    b'# temporary\nsecret_id = "AKIDexample"\nsecret_key = "key"\ntoken = "token"\n',
    b'secret_id = "AKIDexample"\nsecret_key = "a key with spaces"\n',
    b'\xef\xbb\xbfsecret_id = "AKIDexample"\nsecret_key = "key"\n',
    b'secret_id = 1\nsecret_key = ["key"]\n',
    b"secret_id = " + b"[" * 1500,
    b"secret_id = 0x" + b"f" * 60,
)


def one(data: bytes) -> None:
    """Any file gives keys that can stand in a header, or a ConfigError that names the file and no secret.

    `hafailover check` takes a file exactly where the daemon does, and reads the same keys.
    """
    descriptor = os.open(FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    checked, used = _checked(), _used()
    assert (checked is None) == (used is None), f"check: {checked is not None}, daemon: {used is not None}"
    assert checked == used
    for text in used or ():
        assert is_header_text(text)


def _checked() -> tuple[str, str, str] | None:
    try:
        keys = read_credentials(FILE)
    except UnusableError as error:
        _check_texts(str(error))
        return None
    return keys.secret_id, keys.secret_key, keys.token or ""


def _used() -> tuple[str, str, str] | None:
    try:
        found = read_credentials_file(FILE)
    except ConfigError as error:
        _check_texts(*(problem.message for problem in error.problems))
        return None
    return found.secret_id, found.secret_key, found.token


def _check_texts(*texts: str) -> None:
    assert all(0 < len(text) <= LONGEST_MESSAGE and text.isprintable() for text in texts)
