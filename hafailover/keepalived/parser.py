"""Statements and blocks of keepalived.conf(5), of a file and of those that it includes. PURE."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from hafailover.keepalived import syntax
from hafailover.keepalived.macros import Macros

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hafailover.keepalived.syntax import Place, Word

MOST_BLOCKS = 16  # within each other
MOST_INCLUDES = 16  # within each other
MOST_FILES = 256
MOST_STATEMENTS = 20_000
INCLUDES = ("include", "includer", "includem", "includew", "includeb", "includea")


class Reader(Protocol):
    """Whoever can read files."""

    def text(self, name: str) -> str:
        """Return the text of a file. Raises KeepalivedError."""

    def names(self, pattern: str, including: str) -> Sequence[str]:
        """Return the files that an include in another file means, in order."""


@dataclass(slots=True)
class Statement:
    """A keyword, what follows it in its line, and the block that it opens; None where it opens none."""

    words: tuple[str, ...]
    place: Place
    block: list[Statement] | None = None

    @property
    def keyword(self) -> str:
        """The first word."""
        return self.words[0]

    @property
    def value(self) -> str:
        """The second word, empty where there is none."""
        return self.words[1] if len(self.words) > 1 else ""

    @property
    def inner(self) -> list[Statement]:
        """The statements of the block, none where there is no block."""
        return [] if self.block is None else self.block

    def all(self, *keywords: str) -> list[Statement]:
        """Return the statements of the block with one of these keywords."""
        return [each for each in self.inner if each.keyword in keywords]


@dataclass(slots=True)
class Parsed:
    """A file as one node reads it: its statements, the nodes that its conditions name, includes of nothing."""

    statements: list[Statement]
    ids: tuple[str, ...]
    empty_includes: list[Statement] = field(default_factory=list)


def parse(name: str, reader: Reader, config_id: str, environment: Mapping[str, str]) -> Parsed:
    """Return what the file says for the node of this id. Raises KeepalivedError, which names file and line."""
    parsing = _Parsing(reader, Macros(config_id, environment))
    root = Statement(("",), syntax.Place(name, 1), [])
    parsing.file(name, [root])
    return Parsed(root.inner, tuple(parsing.macros.ids), parsing.empty_includes)


class _Parsing:
    def __init__(self, reader: Reader, macros: Macros) -> None:
        self._reader = reader
        self.macros = macros
        self._files = 0
        self._statements = 0
        self._including: list[str] = []
        self.empty_includes: list[Statement] = []

    def file(self, name: str, stack: list[Statement]) -> None:
        """Read a file to its end; `stack` are the blocks that are open, and stay so."""
        depth = len(stack)
        self._including.append(name)
        last = syntax.Place(name, 1)
        for line in syntax.lines(self._reader.text(name), name):
            last = line.place
            for text in self.macros.apply(line):
                self._line(syntax.words(text, last), last, stack)
        self._including.pop()
        if len(stack) != depth:
            raise last.error(f"the block that begins at {stack[-1].place} is not closed")

    def _line(self, words: Sequence[Word], place: Place, stack: list[Statement]) -> None:
        for group in _groups(words):
            if group[0].is_brace("{"):
                self._open(place, stack)
            elif group[0].is_brace("}"):
                if len(stack) == 1:
                    raise place.error('there is a "}" too many')
                stack.pop()
            elif group[0].text in INCLUDES:
                self._include(Statement(tuple(word.text for word in group), place), stack)
            else:
                self._add(Statement(tuple(word.text for word in group), place), stack)

    def _add(self, statement: Statement, stack: list[Statement]) -> None:
        self._statements += 1
        if self._statements > MOST_STATEMENTS:
            raise statement.place.error(f"there are more than {MOST_STATEMENTS} statements")
        stack[-1].inner.append(statement)

    @staticmethod
    def _open(place: Place, stack: list[Statement]) -> None:
        if not stack[-1].inner or stack[-1].inner[-1].block is not None:
            raise place.error('there is no keyword before this "{"')
        if len(stack) > MOST_BLOCKS:
            raise place.error(f"blocks are nested more than {MOST_BLOCKS} deep")
        opened = stack[-1].inner[-1]
        opened.block = []
        stack.append(opened)

    def _include(self, statement: Statement, stack: list[Statement]) -> None:
        if not statement.value:
            raise statement.place.error(f"{statement.keyword} names no file")
        if len(self._including) > MOST_INCLUDES:
            raise statement.place.error(
                f"includes are nested more than {MOST_INCLUDES} deep, or go round in circles"
            )
        names = self._reader.names(statement.value, statement.place.file)
        if not names:
            self.empty_includes.append(statement)
        for name in names:
            self._files += 1
            if self._files > MOST_FILES:
                raise statement.place.error(f"more than {MOST_FILES} files are included")
            self.file(name, stack)


def _groups(words: Sequence[Word]) -> Iterator[list[Word]]:
    """Yield the words of a line in groups: a brace alone, or all between two braces."""
    group: list[Word] = []
    for word in words:
        if word.is_brace("{") or word.is_brace("}"):
            if group:
                yield group
            yield [word]
            group = []
        else:
            group.append(word)
    if group:
        yield group
