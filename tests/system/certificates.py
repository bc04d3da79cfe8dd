"""Certificates as an operator would make them, with openssl(1)."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

DAYS = "2"


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


class Authority:
    """An authority whose certificate is at `pem`."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self.pem, self._key = directory / f"{name}.pem", directory / f"{name}.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", DAYS,
                 "-subj", f"/CN={name}", "-keyout", str(self._key), "-out", str(self.pem))  # fmt: skip

    def issue(self, name: str, alternative: str = "") -> tuple[Path, Path]:
        """Return certificate and key for a name; `alternative` as in subjectAltName, such as "IP:127.0.0.1"."""
        pem, key, request = (self._directory / f"{name}.{suffix}" for suffix in ("pem", "key", "csr"))
        _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request))  # fmt: skip
        extensions = self._directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternative}\n" if alternative else "basicConstraints=CA:FALSE\n")
        _openssl("x509", "-req", "-in", str(request), "-CA", str(self.pem), "-CAkey", str(self._key),
                 "-CAcreateserial", "-days", DAYS, "-extfile", str(extensions), "-out", str(pem))  # fmt: skip
        key.chmod(0o600)
        return pem, key
