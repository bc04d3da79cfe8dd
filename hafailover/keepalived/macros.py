"""Definitions ($NAME=text) and conditional lines (@host) of keepalived.conf(5). PURE."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hafailover.keepalived.syntax import Line, Place

MOST_REPLACED = 500  # references of one line
MOST_CHARACTERS = 64 * 1024
_DEFINITION = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)", re.DOTALL)
_REFERENCE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?: ([^{}]*))?\}|([A-Za-z_][A-Za-z0-9_]*))")
_CONDITION = re.compile(r"@(\^?)([A-Za-z0-9][A-Za-z0-9._-]*)\s+(.*)", re.DOTALL)
_REPEATS = re.compile(r"~(?:SEQx?|LST)\(")


class Macros:
    """The definitions made so far, for the node `config_id` (keepalived's -i; the host's name by default).

    `environment` is what ${_ENV NAME} is read from. `ids` are the names that conditions ask for.
    """

    def __init__(self, config_id: str, environment: Mapping[str, str]) -> None:
        self._config_id = config_id
        self._environment = environment
        self._known: dict[str, tuple[str, ...]] = {}
        self.ids: dict[str, None] = {}

    def apply(self, line: Line) -> list[str]:
        """Return the lines that this one stands for: none for a definition, or one that is for another node.

        Raises KeepalivedError where definitions go round in circles, or make too much of it.
        """
        texts = (line.text, *line.more)
        condition = _CONDITION.fullmatch(texts[0])
        if condition is not None:
            negated, config_id, rest = condition.groups()
            self.ids[config_id] = None
            if (config_id == self._config_id) is bool(negated):
                return []
            texts = (rest, *texts[1:])
        definition = _DEFINITION.fullmatch(texts[0])
        if definition is not None:
            self._define(definition[1], definition[2], texts[1:])
            return []
        return self._expand(" ".join(texts), line.place)

    def _define(self, name: str, first: str, more: tuple[str, ...]) -> None:
        self._known[name] = (first, *more) if first else more or ("",)

    def _expand(self, text: str, place: Place) -> list[str]:
        """Return the text with each reference replaced; a definition of several lines makes several lines."""
        if _REPEATS.search(text):
            raise place.error("~SEQ and ~LST are not understood here; write out the lines that they stand for")
        done: list[str] = []
        waiting, replaced = [text], 0
        while waiting:
            text = waiting.pop(0)
            made = self._replace_one(text, place)
            if made is None:
                done.append(text)
                continue
            replaced += 1
            if replaced > MOST_REPLACED or sum(map(len, made)) > MOST_CHARACTERS:
                raise place.error("definitions refer to themselves here, or make too much of this line")
            waiting[:0] = made
        return done

    def _replace_one(self, text: str, place: Place) -> list[str] | None:
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
