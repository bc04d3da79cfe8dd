"""Definitions ($NAME=text), conditional lines (@host) and repetitions (~SEQ, ~LST) of keepalived.conf(5). PURE."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hafailover.keepalived.syntax import Line, Place

MOST_WORK = 4_000_000  # characters looked at, in all lines of a file together
_STEP = 64  # what looking at a line costs besides its characters
_DEFINITION = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)=\s*(.*)", re.DOTALL)
_REFERENCE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?: ([^{}]*))?\}|([A-Za-z_][A-Za-z0-9_]*)(?=\s|$))")
_CONDITION = re.compile(r"@(\^?)([A-Za-z0-9][A-Za-z0-9._-]*)\s+(.*)", re.DOTALL)
_REPEAT = re.compile(r"~(SEQx?|LST)\(([^()]*)\)(.*)", re.DOTALL)
_ITEM = re.compile(r"\s*(\{[^{}]*\}|[^,{}]*?)\s*(?:,|$)")
_NUMBER = re.compile(r"-?(0[xX][0-9a-fA-F]{1,8}|[0-9]{1,9})")
_REPEATS_NEED = "~SEQ needs a name and one to three whole numbers, ~LST a name and values for it"


class Macros:
    """The definitions made so far, for the node `config_id` (keepalived's -i; the host's name by default).

    `environment` is what ${_ENV NAME} is read from. `ids` are the names that conditions ask for.
    """

    def __init__(self, config_id: str, environment: Mapping[str, str]) -> None:
        self._config_id = config_id
        self._environment = environment
        self._known: dict[str, tuple[str, ...]] = {}
        self._work = 0
        self.ids: dict[str, None] = {}

    def apply(self, line: Line) -> list[str]:
        """Return the lines that this one stands for: none for a definition, or one that is for another node.

        What a reference stands for is looked at like a line of the file: it may hold conditions and definitions.
        Raises KeepalivedError where definitions go round in circles, or make too much of the file.
        """
        done: list[str] = []
        waiting = deque([(line.text, line.more)])
        while waiting:
            text, more = waiting.popleft()
            self._spend(text, line.place)
            rest = self._conditional(text)
            if rest is not None:
                waiting.extendleft((part, more) for part in rest)
            elif not self._define(text, more):
                whole = " ".join((text, *more)).strip()
                made = self._made_of(whole, line.place)
                if made is None:
                    done.append(whole)
                else:
                    waiting.extendleft((part.strip(), ()) for part in reversed(made))
        return done

    def _spend(self, text: str, place: Place) -> None:
        self._work += len(text) + _STEP
        if self._work > MOST_WORK:
            raise place.error("definitions refer to themselves here, or make too much of the file")

    def _conditional(self, text: str) -> list[str] | None:
        """Return what is left of a conditional line, empty where that is nothing; None for any other line."""
        condition = _CONDITION.fullmatch(text)
        if condition is None:
            return None
        negated, config_id, rest = condition.groups()
        self.ids[config_id] = None
        return [rest] if (config_id == self._config_id) is not bool(negated) else []

    def _define(self, text: str, more: tuple[str, ...]) -> bool:
        """Take in a definition; False where the line is none."""
        definition = _DEFINITION.fullmatch(text)
        if definition is None:
            return False
        name, first = definition.groups()
        self._known[name] = (first, *more) if first else more or ("",)
        return True

    def _made_of(self, text: str, place: Place) -> list[str] | None:
        """Return the lines that take the place of this one; None where it stays as it is."""
        repeat = _REPEAT.fullmatch(text)
        if repeat is not None and not _REFERENCE.search(repeat[2]):
            kind, arguments, rest = repeat.groups()
            values = _listed(arguments) if kind == "LST" else _counted(arguments, as_hex=kind == "SEQx")
            if values is None:
                raise place.error(_REPEATS_NEED)
            return self._repeated(values, rest, place)
        return self._replaced(text, place)

    def _repeated(self, values: Iterator[list[tuple[str, str]]], rest: str, place: Place) -> list[str]:
        made: list[str] = []
        for pairs in values:
            definitions = [f"${name}={value}" for name, value in pairs]
            self._spend("".join((*definitions, rest)), place)
            made += [*definitions, rest]
        return made

    def _replaced(self, text: str, place: Place) -> list[str] | None:
        """Return the text with its first known reference replaced; None where it has none."""
        for reference in _REFERENCE.finditer(text):
            value = self._value(reference, place)
            if value is not None:
                made = list(value)
                made[0] = text[: reference.start()] + made[0]
                made[-1] += text[reference.end() :]
                return made
        return None

    def _value(self, reference: re.Match[str], place: Place) -> tuple[str, ...] | None:
        """Return what a reference stands for; None for an unknown one, which stays as it is (a "$" in a script)."""
        name, argument = reference[1] or reference[3], reference[2] or ""
        if name in self._known:
            return self._known[name]
        if name == "_ENV":
            return (self._environment.get(argument.strip(), ""),)
        folder = place.file.rpartition("/")[0] or "."
        predefined = {"_PWD": folder, "_INSTANCE": self._config_id, "_HASH": "\\#", "_BANG": "\\!"}
        return (predefined[name],) if name in predefined else None


def _counted(arguments: str, *, as_hex: bool) -> Iterator[list[tuple[str, str]]] | None:
    """Return the values of ~SEQ(name, start, step, end), of which the end is needed; None where it is none."""
    name, *numbers = [each.strip() for each in arguments.split(",")]
    if not name.isidentifier() or not 1 <= len(numbers) <= 3 or not all(map(_NUMBER.fullmatch, numbers)):  # noqa: PLR2004 - start, step and end
        return None
    values = [int(each, 0) if "x" in each.lower() else int(each) for each in numbers]
    end = values[-1]
    start = values[0] if len(values) > 1 else (1 if end > 0 else -1)
    step = values[1] if len(values) > 2 else (1 if end >= start else -1)  # noqa: PLR2004 - as above
    if step == 0:
        return None
    counted = range(start, end + (1 if step > 0 else -1), step)
    return ([(name, f"{value:x}" if as_hex else str(value))] for value in counted)


def _listed(arguments: str) -> Iterator[list[tuple[str, str]]] | None:
    """Return the values of ~LST(name, a, b) or ~LST({name, name}, {a, b}, {c, d}); None where it is none."""
    items = [[part.strip() for part in item.strip("{}").split(",")] for item in _ITEM.findall(arguments) if item]
    if not items or not all(name.isidentifier() for name in items[0]):
        return None
    names, *values = items
    if any(len(value) != len(names) for value in values):
        return None
    return (list(zip(names, value, strict=True)) for value in values)
