"""Reads the files that are imported, within bounds."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING

from hafailover.errors import KeepalivedError

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_BYTES = 1024 * 1024


class Disk:
    """The files of this machine. A relative include begins where the file is that includes it."""

    @staticmethod
    def text(name: str) -> str:
        """Return the text of a file. Raises KeepalivedError where it cannot be read or is too long."""
        try:
            path = Path(name)
            if not path.is_file():
                raise KeepalivedError(f"{name}: is not a file")
            with path.open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise KeepalivedError(f"{name}: cannot be read: {error.strerror}") from None
        if len(data) > MOST_BYTES:
            raise KeepalivedError(f"{name}: is longer than {MOST_BYTES} bytes")
        return data.decode("utf-8", "replace")

    @staticmethod
    def names(pattern: str, including: str) -> Sequence[str]:
        """Return the files that an include means, sorted."""
        found = glob.glob(str(Path(including).parent / pattern))  # noqa: PTH207 - pathlib takes no absolute patterns
        return sorted(name for name in found if Path(name).is_file())
