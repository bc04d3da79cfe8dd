"""The problems of one file: collected in any order, told in the order of the file, bounded in number."""

from __future__ import annotations

from hafailover.errors import ConfigError, Problem

MOST = 200


class Findings:
    """Problems found so far in the file of this name, each under the path of the key that it is about."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._places: dict[str, int] = {}
        self._found: list[tuple[int, Problem]] = []
        self._untold = 0

    def visit(self, path: str) -> None:
        """Note that the reader has come to this path: problems are sorted by when that was."""
        self._places.setdefault(path, len(self._places))

    def add(self, path: str, message: str) -> None:
        """Note a problem of the key at `path`; the empty path is the file itself."""
        if self.full:
            self._untold += 1
            return
        place = self._places.get(path, len(self._places))
        self._found.append((place, Problem(self._file, path, message)))

    def problems(self) -> tuple[Problem, ...]:
        """Return what was found, in the file's order; beyond 200 problems only their number."""
        found = [problem for _, problem in sorted(self._found, key=lambda each: each[0])]
        if self._untold:
            found.append(Problem(self._file, "", f"{self._untold} more problems"))
        return tuple(found)

    @property
    def full(self) -> bool:
        """Whether further problems are only counted."""
        return len(self._found) >= MOST

    def error(self) -> ConfigError:
        """Return all problems as one error."""
        return ConfigError(self.problems())

    def raise_if_any(self) -> None:
        """Raise that error if there are any problems."""
        if self._found:
            raise self.error()
