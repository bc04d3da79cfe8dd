"""The words of keepalived.conf(5): comments, quotes, continued lines, braces. PURE."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hafailover.errors import KeepalivedError

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_LINE = 8192
_ESCAPES = {"n": "\n", "t": "\t"}
_DOLLAR_BRACE = re.compile(r"\$\{[^{}\s]*(?: [^{}]*)?\}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written; `line` counts from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    def error(self, message: str) -> KeepalivedError:
        """Return an error that names this place."""
        return KeepalivedError(f"{self}: {message}")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a line; a brace that is no quoted one is a word of its own."""

    text: str
    quoted: bool = False

    def is_brace(self, brace: str) -> bool:
        """Tell whether this opens, or closes, a block."""
        return self.text == brace and not self.quoted


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its comment; `more` is what a backslash at its end continues, line by line."""

    text: str
    place: Place
    more: tuple[str, ...] = ()


def lines(text: str, file: str) -> Iterator[Line]:
    """Yield the lines that say something, with those that are continued put together.

    Raises KeepalivedError where a line is too long or has characters that no configuration has.
    """
    parts: list[str] = []
    start = 1
    for number, raw in enumerate(text.split("\n"), 1):
        place = Place(file, number)
        _judge(raw, place)
        start = start if parts else number
        bare = without_comment(raw.replace("\t", " ").rstrip("\r"))
        parts.append(bare.rstrip().removesuffix("\\"))
        if not bare.rstrip().endswith("\\"):
            yield from _whole(parts, Place(file, start))
            parts = []
    yield from _whole(parts, Place(file, start))


def _judge(raw: str, place: Place) -> None:
    if len(raw) > MOST_LINE:
        raise place.error(f"the line is longer than {MOST_LINE} characters")
    if any(c < " " and c not in "\t\r" for c in raw) or "\x7f" in raw:
        raise place.error("there is a control character in the line")


def _whole(parts: list[str], place: Place) -> Iterator[Line]:
    if any(part.strip() for part in parts):
        yield Line(parts[0].strip(), place, tuple(part.strip() for part in parts[1:]))


def without_comment(text: str) -> str:
    """Return what is before a "#" or "!" that is not quoted."""
    quote = ""
    position = 0
    while position < len(text):
        c = text[position]
        if c == "\\":
            position += 1
        elif quote:
            quote = "" if c == quote else quote
        elif c in "\"'":
            quote = c
        elif c in "#!":
            return text[:position]
        position += 1
    return text


def words(text: str, place: Place) -> list[Word]:
    """Return the words of a line. Raises KeepalivedError where a quote is not closed."""
    found: list[Word] = []
    position = 0
    while position < len(text):
        c = text[position]
        if c == " ":
            position += 1
        elif c in "{}":
            found.append(Word(c))
            position += 1
        else:
            word, position = _word(text, position, place)
            found.append(word)
    return found


def _word(text: str, position: int, place: Place) -> tuple[Word, int]:
    """Return the word that begins there, whose parts may be quoted or not, and where it ends."""
    made: list[str] = []
    quoted = False
    while position < len(text) and text[position] not in " {}":
        if text[position] in "\"'":
            part, position = _quoted(text, position, place)
            quoted = True
        elif reference := _DOLLAR_BRACE.match(text, position):
            part, position = reference[0], reference.end()
        elif text[position] == "\\" and position + 1 < len(text):
            part, position = text[position + 1], position + 2
        else:
            part, position = text[position], position + 1
        made.append(part)
    return Word("".join(made), quoted), position


def _quoted(text: str, start: int, place: Place) -> tuple[str, int]:
    """Return what is between quotes, and where it ends; in double ones a backslash escapes what follows."""
    quote, position = text[start], start + 1
    made: list[str] = []
    while position < len(text):
        c = text[position]
        if c == quote:
            return "".join(made), position + 1
        if c == "\\" and quote == '"' and position + 1 < len(text):
            position += 1
            made.append(_ESCAPES.get(text[position], text[position]))
        else:
            made.append(c)
        position += 1
    raise place.error(f"the quote {quote} is not closed in its line")
