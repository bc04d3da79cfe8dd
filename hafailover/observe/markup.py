"""HTML that cannot be broken out of: whatever is not markup already is cleaned, cut and escaped. PURE.

Names of nodes, words of checks and codes of the cloud come from outside. So escaping is what happens by itself, and
markup is what has to be said: only `tag` and `join` make `Markup`.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from hafailover.words import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Part = Mapping[str, Any]

MAX_TEXT = 300  # characters of one text; a check's detail is the longest that is meant to be seen

_EMPTY = frozenset({"meta", "rect", "line"})


class Markup(str):
    """A piece of HTML that is complete in itself."""

    __slots__ = ()


def text(value: object) -> Markup:
    """Return a value as one line of at most `MAX_TEXT` characters; "-" for None and for nothing."""
    said = str("" if value is None else value)
    cut = said if len(said) <= MAX_TEXT else f"{said[:MAX_TEXT]}…"
    return Markup(escape(clean(cut)))


def join(pieces: Iterable[str], between: str = "") -> Markup:
    """Return the pieces one after the other; what is no markup becomes text."""
    return Markup(_piece(between).join(map(_piece, pieces)))


def tag(name: str, /, *children: str, **attributes: object) -> Markup:
    """Return an element. In an attribute's name `_` stands for `-`, and one at its end is dropped (`class_`).

    An attribute of None is left out. Names of elements and attributes are the caller's own, never from outside.
    """
    head = name + "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _EMPTY:
        return Markup(f"<{head}/>")
    return Markup(f"<{head}>{''.join(map(_piece, children))}</{name}>")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> Markup:
    """Return a table. Each cell carries its column's head too: a phone shows one row as a list (see `style`)."""
    body = (
        tag("tr", *(tag("td", cell, data_head=head) for head, cell in zip(heads, row, strict=True))) for row in rows
    )
    return tag(
        "table",
        tag("caption", caption) if caption else "",
        tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads))),
        tag("tbody", *body),
    )


def _piece(part: str) -> str:
    return part if isinstance(part, Markup) or not part else text(part)


def parts(part: Part, key: str) -> Sequence[Part]:
    """Return the list of records under a key, empty where the daemon says nothing of it."""
    return part.get(key) or ()
