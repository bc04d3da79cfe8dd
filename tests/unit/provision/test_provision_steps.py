from __future__ import annotations

from dataclasses import replace
from typing import Literal

from hafailover.cloud.policy import policy
from hafailover.config.model import Cloud, Group
from hafailover.provision.steps import MAX_NAME, Create, Place, eni_name
from tests.unit.provision.test_provision_plan import CONFIG

STRATEGIES: tuple[Literal["migrate"], Literal["reassign"]] = ("migrate", "reassign")

AT = Place("web-a", "eni-aaaaaaaa", "ins-aaaaaaaa")
CREATE = Create(AT, "hafailover web vip", "vpc-1", "subnet-1", ("sg-2", "sg-1"), 3)


def test_a_name_that_is_too_long_is_cut_and_still_of_its_own() -> None:
    assert eni_name("web", "vip") == "hafailover web vip"
    assert len(eni_name("c" * 24, "g" * 24)) == MAX_NAME
    long, other = eni_name("c" * 63, "g" * 63), eni_name("c" * 63, "h" * 63)
    assert long.startswith("hafailover ccc")
    assert (len(long), len(other), len({long, other})) == (MAX_NAME, MAX_NAME, 2)


def test_a_creation_asks_for_what_the_plan_says() -> None:
    body = CREATE.parameters(0)
    token = body.pop("ClientToken")
    assert body == {
        "VpcId": "vpc-1",
        "SubnetId": "subnet-1",
        "NetworkInterfaceName": "hafailover web vip",
        "SecurityGroupIds": ["sg-2", "sg-1"],
        "SecondaryPrivateIpAddressCount": 2,
    }
    assert isinstance(token, str)
    assert token.isascii()
    assert len(token) == 64


def test_a_creation_may_come_to_delete() -> None:
    assert CREATE.actions == ("CreateNetworkInterface", "AttachNetworkInterface", "DeleteNetworkInterface")


def test_the_least_is_left_to_the_cloud() -> None:
    body = replace(CREATE, security_groups=(), addresses=1).parameters(0)
    assert sorted(body) == ["ClientToken", "NetworkInterfaceName", "SubnetId", "VpcId"]


def test_the_token_is_that_of_the_same_request_and_of_no_other() -> None:
    def token(create: Create, attempt: int = 0) -> object:
        return create.parameters(attempt)["ClientToken"]

    assert token(CREATE) == token(replace(CREATE))
    others = (replace(CREATE, addresses=2), replace(CREATE, subnet_id="subnet-2"), replace(CREATE, name="x"))
    assert len({token(CREATE), token(CREATE, 1), *map(token, others)}) == 5


def test_the_daemons_policy_lets_nobody_create_or_delete() -> None:
    group = Group("vip", addresses=("10.0.1.100",), enis=("eni-cccccccc",))
    for strategy in STRATEGIES:
        config = replace(CONFIG, cloud=Cloud(region="ap-guangzhou", strategy=strategy), groups=(group,))
        granted = {action for statement in policy(config, "1")["statement"] for action in statement["action"]}
        assert "vpc:AttachNetworkInterface" in granted
        assert granted.isdisjoint({"vpc:CreateNetworkInterface", "vpc:DeleteNetworkInterface"})
