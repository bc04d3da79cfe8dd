"""What the importer says of each line that it has read. PURE."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hafailover.keepalived.parser import Statement
    from hafailover.keepalived.syntax import Place


class Verdict(Enum):
    """What has become of a line; the values are an operator's words."""

    CARRIED = "carried over"
    CHANGED = "changed"
    MEANINGLESS = "no meaning in a VPC"
    FILL = "to be filled in"
    MISSING = "not carried over"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Remark:
    """One line of the report; `keyword` is what it is about."""

    place: Place
    verdict: Verdict
    keyword: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.verdict.value}: {self.keyword}{': ' if self.text else ''}{self.text}"


@dataclass(slots=True)
class Remarks:
    """The remarks so far: at most one of each text for a line, since two nodes may share a file."""

    said: dict[Remark, None] = field(default_factory=dict)
    places: set[Place] = field(default_factory=set)

    def add(self, statement: Statement, verdict: Verdict, text: str = "") -> None:
        """Say something of a statement."""
        self.said[Remark(statement.place, verdict, statement.keyword, text)] = None
        self.places.add(statement.place)

    def take(self, others: Remarks) -> None:
        """Say also what has been said there."""
        self.said |= others.said
        self.places |= others.places

    def carried(self, statement: Statement, text: str = "") -> None:
        """Say that a statement means the same as before."""
        self.add(statement, Verdict.CARRIED, text)

    def changed(self, statement: Statement, text: str) -> None:
        """Say that a statement has become something that is not quite the same."""
        self.add(statement, Verdict.CHANGED, text)

    def missing(self, statement: Statement, text: str) -> None:
        """Say that nothing has been made of a statement that meant something."""
        self.add(statement, Verdict.MISSING, text)

    def fill(self, statement: Statement, text: str) -> None:
        """Say that something has to be written into the result by hand."""
        self.add(statement, Verdict.FILL, text)

    def in_order(self, files: list[str]) -> Iterator[Remark]:
        """Yield the remarks by file, in the order given, then by line."""
        order = {file: number for number, file in enumerate(files)}
        last = len(order)
        yield from sorted(
            self.said, key=lambda each: (order.get(each.place.file, last), each.place.file, each.place.line)
        )

    def counts(self) -> dict[Verdict, int]:
        """Return how many remarks there are of each kind."""
        return {verdict: sum(each.verdict is verdict for each in self.said) for verdict in Verdict}
