from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hafailover.config.digest import LENGTH, digest
from hafailover.election.values import Handover

if TYPE_CHECKING:
    from tests.unit.config.conftest import Made

GROUP = '[[group]]\nname = "vip"\naddresses = ["10.0.1.100"]\n'


def test_the_digest_is_short_and_stays_the_same_over_versions(made: Made) -> None:
    assert len(made().digest) == LENGTH
    assert made().digest.hex() == "53dbd731c06a174c"


@pytest.mark.parametrize(
    "parts",
    [
        {"group": "# a comment\n" + GROUP.replace(" = ", "   =   ")},
        {"group": '[[group]]\naddresses = ["10.0.1.100"]\nname = "vip"\n'},
        {"group": GROUP + 'preempt = false\nguards = ["cloud"]\nhandover = "overlap"\n'},
        {"heartbeat": '[heartbeat]\ninterval = "0.2s"\nrestart_grace = "3000ms"\n', "rest": "[log]\n"},
        {"notify": '[group.notify]\ntimeout = "30s"\n'},
        {"rest": '[metrics]\nlisten = "127.0.0.1:1"\n[control]\nsocket = "/c"\n[state]\ndirectory = "/d"\n'},
        {"rest": '[log]\nlevel = "debug"\n'},
    ],
)
def test_what_means_the_same_has_the_same_digest(made: Made, parts: dict[str, str]) -> None:
    assert made(**parts).digest == made().digest


def test_the_place_of_the_file_and_the_key_material_do_not_count(made: Made) -> None:
    config = made()
    moved = replace(config, path=Path("/elsewhere"), keys=(b"x" * 32,), digest=b"")
    assert digest(moved) == config.digest


@pytest.mark.parametrize(
    "parts",
    [
        {"cluster": '[cluster]\nname = "web"\nkey_file = "/other.key"\n'},
        {"heartbeat": '[heartbeat]\ninterval = "100ms"\n'},
        {"cloud": '[cloud]\nregion = "ap-guangzhou"\n'},
        {"group": GROUP.replace("100", "101")},
        {"group": GROUP + "preempt = true\n"},
        {"check": '[[group.check]]\nname = "c"\ntype = "tcp"\naddress = "a:1"\n'},
        {"notify": '[group.notify]\nmaster = "/m"\n'},
        {"nodes": '[[node]]\nname = "web-a"\naddress = "10.0.1.17:7694"\n'},
    ],
)
def test_what_means_something_else_has_another_digest(made: Made, parts: dict[str, str]) -> None:
    assert made(**parts).digest != made().digest


def test_a_choice_counts_by_its_word(made: Made) -> None:
    config = made()
    strict = replace(config.groups[0], handover=Handover.STRICT)
    assert digest(replace(config, groups=(strict,))) != config.digest


def test_the_order_of_the_nodes_counts_for_it_breaks_ties(made: Made) -> None:
    config = made()
    assert digest(replace(config, nodes=config.nodes[::-1])) != config.digest
