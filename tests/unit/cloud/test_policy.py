"""`hafailover policy`: exactly what the calls of this configuration need, and no more."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hafailover import cli
from hafailover.cloud import policy
from hafailover.cloud.eips import Binding
from hafailover.config import loader, model
from hafailover.election.values import Outcome, Resource, ResourceKind
from hafailover.emulator.world import PAIR, VIP, build
from tests.unit.cloud.test_cloud_emulator import rig

if TYPE_CHECKING:
    from hafailover.config.model import Config

EXAMPLE = Path(__file__).parents[3] / "config"
ACCOUNT = "100000000001"
MINIMAL = """
[cluster]
name = "web"
key_file = "/nowhere/cluster.key"
[cloud]
region = "ap-guangzhou"
strategy = "{strategy}"
[[node]]
name = "web-a"
address = "10.0.1.17:7694"
eni = "eni-aaaaaaaa"
instance_id = "ins-aaaaaaaa"
[[node]]
name = "web-b"
address = "10.0.1.16:7694"
eni = "eni-bbbbbbbb"
instance_id = "ins-bbbbbbbb"
[[node]]
name = "judge"
address = "10.0.9.9:7700"
role = "witness"
[[group]]
name = "vip"
addresses = ["10.0.1.100"]
{group}
"""


def config(tmp_path: Path, group: str = "", strategy: str = "migrate") -> Config:
    path = tmp_path / "config.toml"
    path.write_text(MINIMAL.format(group=group, strategy=strategy))
    return loader.load_alone(path)


def granted(document: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the resources of each action; an action is granted once."""
    grants: dict[str, tuple[str, ...]] = {}
    for statement in document["statement"]:
        assert statement["effect"] == "allow"
        for action in statement["action"]:
            assert action not in grants
            grants[action] = tuple(statement["resource"])
    return grants


ENIS = tuple(f"qcs::vpc:ap-guangzhou:uin/{ACCOUNT}:eni/eni-{letter * 8}" for letter in "ab")
INSTANCES = tuple(f"qcs::cvm:ap-guangzhou:uin/{ACCOUNT}:instance/ins-{letter * 8}" for letter in "ab")


@pytest.mark.parametrize(
    ("strategy", "writes"),
    [
        ("migrate", {"vpc:MigratePrivateIpAddress", "vpc:AssignPrivateIpAddresses"}),
        ("reassign", {"vpc:UnassignPrivateIpAddresses", "vpc:AssignPrivateIpAddresses"}),
    ],
)
def test_writes_name_the_enis_of_the_members_and_reads_everything(
    tmp_path: Path, strategy: str, writes: set[str]
) -> None:
    grants = granted(policy.policy(config(tmp_path, "guards = []", strategy), ACCOUNT))
    assert {action for action, resources in grants.items() if resources == ENIS} == writes
    anywhere = {"vpc:DescribeNetworkInterfaces", "vpc:DescribeVpcTaskResult", *policy.FORESIGHT}
    if strategy == "reassign":  # which releases EIPs
        anywhere |= {"vpc:DescribeAddresses", "vpc:DescribeTaskResult", "vpc:AssociateAddress"}
    assert {action for action, resources in grants.items() if resources == ("*",)} == anywhere


def test_the_cloud_guard_looks_at_instances_and_a_fence_stops_them(tmp_path: Path) -> None:
    guarded = granted(policy.policy(config(tmp_path, 'guards = ["cloud"]'), ACCOUNT))
    assert guarded["cvm:DescribeInstancesStatus"] == ("*",)
    assert "cvm:StopInstances" not in guarded
    fenced = granted(policy.policy(config(tmp_path, 'guards = []\nfence = "stop-instance"'), ACCOUNT))
    assert fenced["cvm:DescribeInstancesStatus"] == ("*",)
    assert fenced["cvm:StopInstances"] == INSTANCES


def test_repairs_are_only_granted_to_who_heeds_them(tmp_path: Path) -> None:
    plain = config(tmp_path, "guards = []")
    spot, repair = (replace(plain, announced=model.Announced((source,))) for source in ("spot", "repair"))
    assert granted(policy.policy(repair, ACCOUNT))["cvm:DescribeTaskInfo"] == ("*",)
    for each in (plain, spot):
        assert "cvm:DescribeTaskInfo" not in granted(policy.policy(each, ACCOUNT))


@pytest.mark.parametrize("strategy", ["migrate", "reassign"])
async def test_it_grants_what_the_client_really_calls(tmp_path: Path, strategy: str) -> None:
    first, second = PAIR
    async with rig(strategy=strategy, network=build(eip_for=VIP)) as at:
        resource = Resource(ResourceKind.ADDRESS, VIP)
        await at.cloud.describe_enis((first.eni_id, second.eni_id))
        moved = await at.cloud.move(resource, first.eni_id, second.eni_id, deadline_s=10)
        assert moved.outcome is Outcome.APPLIED
        if strategy == "reassign":
            assert await at.cloud.bind_eip(Binding(VIP, "eip-aaaaaaaa", second.eni_id), deadline_s=10) == ""
        at.emulator.model.move(VIP, None, at.emulator.service.now_ms())
        taken = await at.cloud.move(resource, None, first.eni_id, deadline_s=10)
        assert taken.outcome is Outcome.APPLIED
        called = {f"vpc:{call.action}" for call in at.calls}
    allowed = set(granted(policy.policy(config(tmp_path, "guards = []", strategy), ACCOUNT)))
    assert called == allowed - set(policy.FORESIGHT)


def test_each_node_lets_in_the_others_heartbeats_and_members_the_guards_question(tmp_path: Path) -> None:
    rules = policy.rules(config(tmp_path, "vip_port = 443"))
    heartbeats = [(rule.node, rule.port, rule.source) for rule in rules if rule.protocol == "UDP"]
    assert heartbeats == [
        ("web-a", 7694, "10.0.1.16"),
        ("web-a", 7694, "10.0.9.9"),
        ("web-b", 7694, "10.0.1.17"),
        ("web-b", 7694, "10.0.9.9"),
        ("judge", 7700, "10.0.1.17"),
        ("judge", 7700, "10.0.1.16"),
    ]
    asked = [(rule.node, rule.port, rule.source) for rule in rules if rule.protocol == "TCP"]
    assert asked == [("web-a", 443, "10.0.1.16"), ("web-b", 443, "10.0.1.17")]


def test_what_the_file_leaves_to_the_cloud_has_to_be_named(tmp_path: Path) -> None:
    whole = config(tmp_path, 'fence = "stop-instance"')
    assert policy.missing(whole) == ()
    first, *others = whole.nodes
    vague = replace(
        whole,
        cloud=replace(whole.cloud, region=None),
        nodes=(replace(first, eni=None, instance_id=None), *others),
    )
    assert policy.missing(vague) == ("cloud.region", 'eni of node "web-a"', 'instance_id of node "web-a"')


def test_the_command_prints_a_policy_to_paste_and_says_the_rest_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(tmp_path).path
    assert cli.main(["policy", "-c", str(path)]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == policy.policy(config(tmp_path), "ACCOUNT")
    assert err.startswith("put the id of your main account in the place of ACCOUNT, or give --account\n")
    assert "  web-a        UDP 7694  from 10.0.1.16       heartbeats\n" in err
    assert cli.main(["policy", "-c", str(path), "--account", ACCOUNT, "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["policy"] == policy.policy(config(tmp_path), ACCOUNT)
    assert len(json.loads(out)["security_group"]) == len(policy.rules(config(tmp_path)))
    assert err == ""


def test_a_vague_or_wrong_file_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "vague.toml"
    path.write_text(MINIMAL.format(group="", strategy="migrate").replace('region = "ap-guangzhou"\n', ""))
    assert cli.main(["policy", "-c", str(path)]) == 2
    assert capsys.readouterr().err == f"{path}: a policy names its resources, so set cloud.region\n"
    assert cli.main(["policy", "-c", str(tmp_path / "none.toml")]) == 2
    assert "none.toml" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["policy", "-c", str(path), "--account", "me"])
    assert "'me' is not an account id; a number such as 100000000001 is" in capsys.readouterr().err
