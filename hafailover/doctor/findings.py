"""What the doctor says: findings, and notes on what remains unproven; as text and as JSON. PURE."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from hafailover.doctor.catalogue import CATALOGUE
from hafailover.words import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_WIDTH = 100
_INDENT = 10


class Level(Enum):
    """How much a finding matters, the worst first."""

    FAILURE = "failure"  # a failover would not work, or not always
    WARNING = "warning"  # it would work, and something about it is not as it should be
    UNKNOWN = "unknown"  # it could not be found out


_RANK = {level: rank for rank, level in enumerate(Level)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `name` is one of the catalogue and never changes; `about` is the node, ENI, address or action.

    `what` was found, in a sentence without its end. Why it matters and how to mend it are the catalogue's.
    """

    name: str
    level: Level
    about: str
    what: str

    @property
    def why(self) -> str:
        """Why it matters."""
        return CATALOGUE[self.name].why

    @property
    def mend(self) -> str:
        """How to mend it."""
        return CATALOGUE[self.name].mend


@dataclass(frozen=True, slots=True)
class Note:
    """What was not looked at, or cannot be proven from here, and why."""

    about: str
    text: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What an examination came to. `proven` is what was looked at and found in order."""

    findings: tuple[Finding, ...] = ()
    notes: tuple[Note, ...] = ()
    proven: tuple[str, ...] = ()


def joined(parts: Iterable[Seen]) -> Seen:
    """Return several as one."""
    listed = list(parts)
    return Seen(
        tuple(finding for part in listed for finding in part.findings),
        tuple(note for part in listed for note in part.notes),
        tuple(text for part in listed for text in part.proven),
    )


def judged(findings: Iterable[Finding], proven: str) -> Seen:
    """Return the findings, or where there are none, what was proven by that."""
    found = tuple(findings)
    return Seen(found, proven=() if found else (proven,))


@dataclass(frozen=True, slots=True)
class Report:
    """All of it. `digest` is that of the file, in hex; `proven` is what was looked at and found in order."""

    file: str
    digest: str
    cluster: str
    node: str
    findings: tuple[Finding, ...]
    notes: tuple[Note, ...]
    proven: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Whether there is any failure."""
        return any(finding.level is Level.FAILURE for finding in self.findings)


def failure(name: str, about: str, what: str) -> Finding:
    """Return a finding with which a failover would not work."""
    return Finding(name, Level.FAILURE, about, what)


def warning(name: str, about: str, what: str) -> Finding:
    """Return a finding with which it would."""
    return Finding(name, Level.WARNING, about, what)


def unknown(name: str, about: str, what: str) -> Finding:
    """Return what could not be found out."""
    return Finding(name, Level.UNKNOWN, about, what)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings, the worst first, else in the order of the catalogue; each once."""
    places = {name: place for place, name in enumerate(CATALOGUE)}
    return tuple(sorted(dict.fromkeys(findings), key=lambda each: (_RANK[each.level], places[each.name])))


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as `--json` prints it; fields are added, never renamed."""
    return {
        "ok": not report.failed,
        "file": report.file,
        "config_digest": report.digest,
        "cluster": report.cluster,
        "node": report.node,
        "findings": [_finding_json(finding) for finding in report.findings],
        "notes": [{"about": note.about, "text": note.text} for note in report.notes],
        "proven": list(report.proven),
    }


def _finding_json(finding: Finding) -> dict[str, str]:
    return {
        "name": finding.name,
        "level": finding.level.value,
        "about": finding.about,
        "what": finding.what,
        "why": finding.why,
        "mend": finding.mend,
    }


def as_text(report: Report) -> str:
    """Return the report for people, with a line feed at its end."""
    lines = [f'{clean(report.node)} of cluster "{clean(report.cluster)}": {_summary(report)}']
    for finding in report.findings:
        lines += ["", *_lines(finding)]
    if report.notes:
        lines += ["", "Not proven:"]
        for note in report.notes:
            lines += _wrapped(f"  {clean(note.about)}: ", clean(note.text), 4)
    if report.proven:
        lines += ["", "In order:", *(f"  {clean(each)}" for each in report.proven)]
    return "\n".join(lines) + "\n"


def _summary(report: Report) -> str:
    counts = Counter(finding.level for finding in report.findings)
    said = [_count(counts[level], level) for level in Level if counts[level]]
    return ", ".join(said) or "nothing stands in the way of a failover to this node"


def _count(number: int, level: Level) -> str:
    return f"{number} {_PLURALS[level] if number > 1 else level.value}"


_PLURALS = {Level.FAILURE: "failures", Level.WARNING: "warnings", Level.UNKNOWN: "unknown"}


def _lines(finding: Finding) -> Iterator[str]:
    yield f"{finding.level.value.upper():<8}  {finding.name}  {clean(finding.about)}"
    for head, text in (("what", finding.what), ("why", finding.why), ("mend", finding.mend)):
        yield from _wrapped(f"  {head:<8}", clean(text), _INDENT)


def _wrapped(first: str, text: str, indent: int) -> list[str]:
    return wrap(text, _WIDTH, initial_indent=first, subsequent_indent=" " * indent, break_long_words=False)
