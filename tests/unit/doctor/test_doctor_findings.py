from __future__ import annotations

import json

import pytest

from hafailover.doctor.catalogue import CATALOGUE
from hafailover.doctor.findings import (
    Level,
    Note,
    Report,
    Seen,
    as_json,
    as_text,
    failure,
    in_order,
    joined,
    judged,
    unknown,
    warning,
)

FULL = failure("quota-addresses", "web-b", "eni-bbbbbbbb has 10 addresses and would get 1 more; 10 are allowed")
GROUPS = warning("security-groups", "nodes", "they differ")
RIGHTS = unknown("permission", "MigratePrivateIpAddress", "throttled")


def report(*findings: object, notes: tuple[Note, ...] = (), proven: tuple[str, ...] = ()) -> Report:
    return Report("/etc/hafailover/config.toml", "00ff", "web", "web-b", in_order(findings), notes, proven)  # type: ignore[arg-type]


def test_the_worst_comes_first_and_each_once() -> None:
    peer = failure("peer-silent", "web-a", "nothing is heard of it")
    assert in_order([RIGHTS, GROUPS, FULL, peer, FULL]) == (peer, FULL, GROUPS, RIGHTS)


def test_the_json_has_the_documented_fields() -> None:
    made = report(FULL, GROUPS, notes=(Note("role", "not asked"),), proven=("there are keys",))
    said = json.loads(json.dumps(as_json(made)))
    assert set(said) == {"ok", "file", "config_digest", "cluster", "node", "findings", "notes", "proven"}
    assert (said["ok"], said["config_digest"], said["node"]) == (False, "00ff", "web-b")
    assert said["findings"][0] == {
        "name": "quota-addresses",
        "level": "failure",
        "about": "web-b",
        "what": FULL.what,
        "why": CATALOGUE["quota-addresses"].why,
        "mend": CATALOGUE["quota-addresses"].mend,
    }
    assert said["notes"] == [{"about": "role", "text": "not asked"}]
    assert said["proven"] == ["there are keys"]


@pytest.mark.parametrize(
    ("findings", "failed", "summary"),
    [
        ((), False, "nothing stands in the way of a failover to this node"),
        ((GROUPS,), False, "1 warning"),
        ((RIGHTS, RIGHTS), False, "1 unknown"),
        ((FULL, failure("eni-gone", "web-a", "x"), RIGHTS), True, "2 failures, 1 unknown"),
    ],
)
def test_a_report_counts_what_it_has(findings: tuple[object, ...], failed: bool, summary: str) -> None:  # noqa: FBT001
    made = report(*findings)
    assert made.failed is failed
    assert as_json(made)["ok"] is not failed
    assert as_text(made).splitlines()[0] == f'web-b of cluster "web": {summary}'


def test_the_text_says_what_why_and_how_to_mend() -> None:
    text = as_text(report(FULL, notes=(Note("role", "not asked"),), proven=("there are keys",)))
    lines = [line.strip() for line in text.splitlines()]
    assert lines[2] == "FAILURE   quota-addresses  web-b"
    assert lines[3].startswith("what    eni-bbbbbbbb has 10 addresses")
    joined_text = " ".join(lines)
    assert CATALOGUE["quota-addresses"].why in joined_text
    assert CATALOGUE["quota-addresses"].mend in joined_text
    assert "Not proven: role: not asked" in joined_text
    assert joined_text.endswith("In order: there are keys")
    assert max(map(len, text.splitlines())) <= 100


def test_what_came_from_outside_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in as_text(report(failure("api-refused", "x\x1b[2J", "y\x1b[2J")))


def test_examinations_are_joined_in_their_order() -> None:
    first, second = judged([], "in order"), judged([FULL], "not told")
    assert joined([first, Seen(notes=(Note("a", "b"),)), second]) == Seen((FULL,), (Note("a", "b"),), ("in order",))


def test_every_entry_says_why_and_how() -> None:
    for name, entry in CATALOGUE.items():
        assert entry.why.endswith("."), name
        assert entry.mend.endswith((".", "?")), name
        assert unknown(name, "x", "y").why == entry.why
    assert [level.value for level in Level] == ["failure", "warning", "unknown"]
