from __future__ import annotations

import re
from pathlib import Path

from hafailover.election import reasons
from hafailover.election.reasons import Reason


def test_labels_are_names_in_lower_case() -> None:
    assert Reason.MASTER_DEAD.label == "master_dead"


def test_each_reason_has_a_sentence_of_its_own() -> None:
    texts = [reason.value for reason in Reason]
    assert len(set(texts)) == len(Reason.__members__) == len(texts)
    assert all(re.fullmatch(r"[a-z][^.]*", text) for text in texts), "they follow a colon, and end with no stop"


def test_every_reason_is_given_somewhere() -> None:
    folder = Path(reasons.__file__).parent
    code = "".join(path.read_text() for path in folder.glob("*.py") if path.name != "reasons.py")
    assert [reason.name for reason in Reason if f"Reason.{reason.name}" not in code] == []
