from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hafailover.config.identity import find_self, is_witness
from hafailover.errors import ConfigError

if TYPE_CHECKING:
    from tests.unit.config.conftest import Made

NODES = """
[[node]]
name = "web-a"
address = "10.0.0.1:1"
instance_id = "ins-aaaaaaaa"
[[node]]
name = "web-b.example.com"
address = "10.0.0.2:1"
"""


@pytest.mark.parametrize(
    ("node_option", "hostname", "instance_id", "name"),
    [
        ("web-b.example.com", "web-a", None, "web-b.example.com"),
        ("web-b.example.com", "other", "ins-zzzzzzzz", "web-b.example.com"),
        ("web-a", "other", "ins-aaaaaaaa", "web-a"),
        (None, "other", "ins-aaaaaaaa", "web-a"),
        (None, "web-b.example.com", "ins-aaaaaaaa", "web-a"),
        (None, "WEB-A", None, "web-a"),
        (None, "web-a.example.com", None, "web-a"),
        (None, "web-b.example.com", None, "web-b.example.com"),
        (None, "web-b.example.com", "ins-zzzzzzzz", "web-b.example.com"),
    ],
)
def test_a_node_finds_itself(
    made: Made, node_option: str | None, hostname: str, instance_id: str | None, name: str
) -> None:
    config = made(nodes=NODES)
    assert find_self(config, node_option=node_option, hostname=hostname, instance_id=instance_id).name == name


ALLOWED = 'allowed: --node with "web-a" or "web-b.example.com", or an instance_id in the file'


@pytest.mark.parametrize(
    ("node_option", "hostname", "instance_id", "problem"),
    [
        ("web-c", "web-a", None, f'f.toml: --node: "web-c" is not a node of this file; {ALLOWED}'),
        ("", "web-a", None, f'f.toml: --node: "" is not a node of this file; {ALLOWED}'),
        (None, "db", None, f'f.toml: node: none is this machine, host "db", an unknown instance; {ALLOWED}'),
        (
            None,
            "web-b",
            "ins-zzzzzzzz",
            f'f.toml: node: none is this machine, host "web-b", instance "ins-zzzzzzzz"; {ALLOWED}',
        ),
        (
            None,
            "web-a",
            "ins-zzzzzzzz",
            (
                'f.toml: node "web-a".instance_id: "ins-aaaaaaaa" is not this machine, host "web-a",'
                ' instance "ins-zzzzzzzz"; is it a copy of another node?'
            ),
        ),
    ],
)
def test_a_machine_that_is_no_node_is_told(
    made: Made, node_option: str | None, hostname: str, instance_id: str | None, problem: str
) -> None:
    config = made(nodes=NODES)
    with pytest.raises(ConfigError) as caught:
        find_self(config, node_option=node_option, hostname=hostname, instance_id=instance_id)
    assert str(caught.value) == problem


def test_a_copy_started_under_the_name_of_another_node_is_refused(made: Made) -> None:
    with pytest.raises(ConfigError, match="is it a copy of another node"):
        find_self(made(nodes=NODES), node_option="web-a", hostname="web-a", instance_id="ins-bbbbbbbb")


@pytest.mark.parametrize(
    ("node_option", "hostname", "witness"),
    [
        ("Judge", "web-a", True),
        ("web-a", "judge", False),
        ("nobody", "judge", False),
        (None, "JUDGE.example.com", True),
        (None, "judge", True),
        (None, "web-a", False),
        (None, "other", False),
    ],
)
def test_a_witness_is_known_by_name(node_option: str | None, hostname: str, witness: bool) -> None:  # noqa: FBT001 - pytest's way
    roles: dict[str, str | None] = {"web-a": "member", "Judge": "witness", "odd": None}
    assert is_witness(roles, node_option=node_option, hostname=hostname) is witness
