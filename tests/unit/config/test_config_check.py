from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hafailover.config import check
from hafailover.config.times import ServiceTimes, Times
from tests.unit.config.conftest import PARTS

if TYPE_CHECKING:
    from tests.unit.config.conftest import Made

CHECK = '[[group.check]]\nname = "nginx"\ntype = "tcp"\naddress = "a:1"\ninterval = "400ms"\nfall = 3\n'
CLOUD = '[cloud]\nregion = "ap-guangzhou"\n'


def test_the_times_follow_from_the_intervals(made: Made) -> None:
    said = check.report(made(check=CHECK))
    assert said.times == Times(
        interval_ms=200,
        suspicion_ms=500,
        detection_ms=1000,
        restart_grace_ms=3000,
        outage_example_ms=1620,
        services=(ServiceTimes("vip", "nginx", 400, 300, 3, 3, 1200, 1500, 1820),),
    )


def test_the_report_reads_like_this(made: Made) -> None:
    said = check.report(made(cloud=CLOUD, check=CHECK))
    assert check.as_text(said) == (
        f'f.toml: valid (cluster "web", 2 nodes, 1 group, digest {said.digest})\n'
        "\n"
        "Times that follow, where A is one API request and T the time that the cloud takes to apply a move\n"
        "(in the examples A = 100ms, T = 500ms):\n"
        "  heartbeats are sent every 200ms\n"
        "  a silent peer is suspected after 500ms and taken for dead after 1s\n"
        "  a peer whose host answers but whose daemon is gone is waited for 3s\n"
        "  a lost host costs at most 1s + A + T + 20ms (example: 1.62s)\n"
        '  group "vip", check "nginx": a fault is found after 1.2s (400ms x 3), 1.5s where it hangs,'
        " and costs at most 1.2s + A + T + 20ms (example: 1.82s)\n"
    )


def test_a_fence_adds_to_the_times(made: Made) -> None:
    group = '[[group]]\nname = "db"\naddresses = ["10.0.1.100"]\nfence = "stop-instance"\n'
    said = check.report(made(cloud=CLOUD, group=group, check=CHECK))
    assert said.times.fenced == ("db",)
    assert (
        '  group "db", fence: a claim without the old master\'s word waits until that is off, for 3A + P + at most'
        " 1s more, where P is the time that the cloud takes to stop an instance (seconds to minutes)\n"
    ) in check.as_text(said)


def test_a_witness_counts_as_a_node_and_changes_no_time(made: Made) -> None:
    witness = '[[node]]\nname = "w"\naddress = "10.0.1.9:7694"\npriority = 200\nrole = "witness"\n'
    guards = '[[group]]\nname = "vip"\naddresses = ["10.0.1.100"]\nguards = ["quorum"]\npreempt = true\n'
    check_ = CHECK + "weight = -11\n"
    plain = check.report(made(cloud=CLOUD, check=check_, group=guards.replace("quorum", "cloud")))
    said = check.report(made(cloud=CLOUD, check=check_, group=guards, nodes=PARTS["nodes"] + witness))
    assert said.nodes == 3
    assert said.times == plain.times
    assert said.warnings == plain.warnings == ()


def test_the_warnings_follow(made: Made) -> None:
    text = check.as_text(check.report(made(cloud=CLOUD)))
    assert text.endswith(
        "\n\nWarnings:\n"
        '  group "vip".check: none: a service that fails while its host and daemon live is not noticed\n'
    )


def test_the_json_report_says_the_same(made: Made) -> None:
    config = made(cloud=CLOUD)
    said = json.loads(json.dumps(check.as_json(check.report(config))))
    assert said["valid"] is True
    assert said["digest"] == config.digest.hex()
    assert (said["file"], said["cluster"], said["nodes"], said["groups"]) == ("f.toml", "web", 2, 1)
    assert said["times"]["detection_ms"] == 1000
    assert said["warnings"][0]["key"] == 'group "vip".check'


@pytest.mark.parametrize(
    ("fall", "found"),
    [
        (1, "a fault is found at once, 800ms where it hangs, and costs at most 0ms + A"),
        (3, "found after 1s (500ms x 2)"),
    ],
)
def test_what_is_told_of_a_change_at_once_takes_an_interval_less(made: Made, fall: int, found: str) -> None:
    check_ = f'[[group.check]]\nname = "nginx"\ntype = "process"\nfall = {fall}\n'
    assert found in check.as_text(check.report(made(check=check_)))
