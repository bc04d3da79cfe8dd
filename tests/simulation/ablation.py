"""A rule that can be switched off, in either tier, to see whether that is noticed."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Patches = tuple[tuple[object, str, object], ...]


@dataclass(frozen=True)
class Ablation:
    """One rule: what replaces what, the faults that bring it out, and the findings of which one must be made."""

    rule: str
    patches: Patches
    kinds: tuple[str, ...]
    breaks: tuple[str, ...]
    settings: tuple[tuple[str, Any], ...] = ()


@contextmanager
def without(ablation: Ablation) -> Iterator[None]:
    """Switch a rule off for a while."""
    with ExitStack() as stack:
        for owner, name, value in ablation.patches:
            # Some are attributes that only instances have: these are shadowed by their class.
            stack.enter_context(patch.object(owner, name, value, create=True))
        yield


def in_place(ablations: Iterable[Ablation]) -> list[object]:
    """Return what now stands where each rule can be switched off."""
    return [vars(owner).get(name) for each in ablations for owner, name, _ in each.patches]
