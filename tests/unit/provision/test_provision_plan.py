"""What is made of what is seen: the steps, and every reason for which there are none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hafailover.cloud.replies import Address, Eni, HaVip, Limits, Subnet
from hafailover.config.model import Cluster, Config, Group, Node
from hafailover.doctor.ground import Ground
from hafailover.errors import Problem
from hafailover.provision.plan import make
from hafailover.provision.steps import Assign, Attach, Create, NewEni, Place, Plan, Seen

VIP, MORE, SIX = "10.0.1.100", "10.0.1.101", "fd00::100"
AT = Place("web-a", "eni-aaaaaaaa", "ins-aaaaaaaa")
SPARE = "eni-cccccccc"
NEW = NewEni("vip")
NAME = "hafailover web vip"
STRANGE = "which is no node's own ENI; nothing is taken from it"
GONE = (
    "does not exist in this region, and the cloud alone gives ids: "
    "`hafailover provision --new-eni vip` creates an ENI"
)


def eni(eni_id: str, instance: str | None, *addresses: str, **changes: Any) -> Eni:
    held = tuple(Address(address, primary=place == 0, state="AVAILABLE") for place, address in enumerate(addresses))
    made = Eni(
        id=eni_id,
        mac="",
        instance_id=instance,
        primary=False,
        state="AVAILABLE",
        subnet_id="subnet-1",
        zone="zone-1",
        addresses=held,
        security_groups=("sg-2", "sg-1"),
        vpc_id="vpc-1",
    )
    return replace(made, **changes)


A = eni("eni-aaaaaaaa", "ins-aaaaaaaa", "10.0.1.17", primary=True)
B = eni("eni-bbbbbbbb", "ins-bbbbbbbb", "10.0.1.16", primary=True)
CONFIG = Config(
    path=Path("file"),
    digest=b"",
    keys=(),
    cluster=Cluster("web", ()),
    nodes=(
        Node("web-b", "10.0.1.16", 7694, priority=100),
        Node("web-a", "10.0.1.17", 7694, priority=110),
        Node("equal", "10.0.1.18", 7694, priority=110),
        Node("witness", "10.0.1.15", 7694, priority=255, role="witness"),
    ),
    groups=(Group("vip"),),
)
C = eni("eni-dddddddd", "ins-dddddddd", "10.0.1.18", primary=True)
OWN = {"web-b": B.id, "web-a": A.id, "equal": C.id}


def seen(
    *more: Eni,
    addresses: tuple[str, ...] = (),
    enis: tuple[str, ...] = (),
    own: tuple[Eni, ...] = (A, B, C),
    **what: Any,
) -> Seen:
    config = replace(CONFIG, groups=(Group("vip", addresses=addresses, enis=enis), Group("other")))
    subnets = {"subnet-1": Subnet("subnet-1", "vpc-1", "zone-1", "10.0.1.0/24", "fd00::/64")}
    return Seen(
        **{
            "ground": Ground(config, OWN, {each.id: each for each in (*own, *more)}),
            "subnets": subnets,
            "limits": Limits(2, 10),
            "attached": 1,
            **what,
        }
    )


def problems(plan: Plan) -> list[tuple[str, str]]:
    assert plan.steps == ()
    return [(problem.key, problem.message) for problem in plan.problems]


def with_address(on: Eni, address: str, state: str = "AVAILABLE") -> Eni:
    return replace(on, addresses=(*on.addresses, Address(address, primary=False, state=state)))


def test_what_nobody_has_goes_to_the_member_of_the_highest_priority_that_is_first_in_the_file() -> None:
    spare = eni(SPARE, None, "10.0.1.50")
    plan = make(seen(spare, addresses=(VIP, SIX, MORE), enis=(SPARE,)))
    assert plan == Plan(
        AT,
        steps=(Assign(AT, (VIP, MORE)), Assign(AT, (SIX,)), Attach(AT, SPARE)),
        existing=(SPARE,),
    )
    assert plan.actions == (
        "vpc:AssignPrivateIpAddresses",
        "vpc:AssignIpv6Addresses",
        "vpc:AttachNetworkInterface",
    )


def test_what_a_node_has_stays_there() -> None:
    spare = eni(SPARE, "ins-bbbbbbbb", "10.0.1.50")
    plan = make(seen(spare, addresses=(VIP,), enis=(SPARE,), own=(A, with_address(B, VIP), C), notes=("a note",)))
    assert (plan.steps, plan.problems, plan.notes) == ((), (), ("a note",))
    assert plan.present == (
        f"{VIP} on eni-bbbbbbbb of web-b",
        f"{SPARE} attached to ins-bbbbbbbb of web-b",
    )


@pytest.mark.parametrize(
    ("own", "key", "message"),
    [
        ({**OWN, "web-b": ""}, "eni", "the cloud names no ENI for this node, or several; set it"),
        ({"web-a": A.id, "equal": C.id}, "eni", "the cloud names no ENI for this node, or several; set it"),
        ({**OWN, "web-b": "eni-00000000"}, "eni", "eni-00000000 does not exist in this region"),
        ({**OWN, "web-b": "eni-loose000"}, "eni", "eni-loose000 is attached to no instance"),
    ],
)
def test_every_nodes_own_eni_has_to_be_known(own: dict[str, str], key: str, message: str) -> None:
    ground = seen(eni("eni-loose000", None), addresses=(VIP,)).ground
    plan = make(Seen(replace(ground, own=own), {}))
    assert problems(plan) == [(f'node "web-b".{key}', message)]


def test_the_preferred_node_itself_has_to_be_known() -> None:
    plan = make(Seen(replace(seen(addresses=(VIP,)).ground, own={**OWN, "web-a": ""}), {}))
    assert plan.at is None
    assert problems(plan) == [('node "web-a".eni', "the cloud names no ENI for this node, or several; set it")]


def test_an_instance_that_is_another_one_than_the_files_forbids_all() -> None:
    ground = seen(addresses=(VIP,)).ground
    nodes = tuple(
        replace(node, instance_id="ins-zzzzzzzz") if node.name == "web-b" else node for node in CONFIG.nodes
    )
    plan = make(Seen(replace(ground, config=replace(ground.config, nodes=nodes)), {}))
    said = "ins-zzzzzzzz is given, and eni-bbbbbbbb is attached to ins-bbbbbbbb"
    assert problems(plan) == [('node "web-b".instance_id', said)]


ADDRESSES = 'group "vip".addresses'


@pytest.mark.parametrize(
    ("carrier", "message"),
    [
        (
            eni("eni-zzzzzzzz", "ins-zzzzzzzz", VIP),
            f"{VIP} is the primary address of eni-zzzzzzzz, which cannot move",
        ),
        (
            with_address(eni("eni-zzzzzzzz", "ins-zzzzzzzz", "10.0.1.9"), VIP),
            f"{VIP} is on eni-zzzzzzzz, attached to ins-zzzzzzzz, {STRANGE}",
        ),
        (
            with_address(eni("eni-zzzzzzzz", None, "10.0.1.9"), VIP, "MIGRATING"),
            f"{VIP} is on eni-zzzzzzzz, {STRANGE}",
        ),
    ],
)
def test_an_address_that_somebody_else_has_is_not_taken(carrier: Eni, message: str) -> None:
    plan = make(seen(carrier, addresses=(MORE, VIP)))
    assert problems(plan) == [(ADDRESSES, message)]
    assert not plan.unsettled


@pytest.mark.parametrize("state", ["PENDING", "MIGRATING", "DELETING"])
def test_an_address_that_is_being_moved_is_waited_for(state: str) -> None:
    plan = make(seen(addresses=(VIP,), own=(with_address(A, VIP, state), B, C)))
    said = f"{VIP} is {state} on eni-aaaaaaaa: the cloud is at work on it, try again when it is done"
    assert problems(plan) == [(ADDRESSES, said)]
    assert plan.unsettled


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("10.0.2.1", "it is not within 10.0.1.0/24, the range of subnet-1"),
        ("fd01::1", "it is not within fd00::/64, the range of subnet-1"),
        ("10.0.1.1", "the cloud keeps it for itself in subnet-1"),
        ("10.0.1.200", "it is the address of the HAVIP havip-1"),
    ],
)
def test_an_address_that_no_eni_can_have_is_not_asked_for(address: str, message: str) -> None:
    plan = make(seen(addresses=(address,), havips=(HaVip("havip-1", "10.0.1.200", ()),)))
    assert problems(plan) == [(ADDRESSES, f"{address}: {message}")]


def test_addresses_need_all_nodes_in_one_subnet() -> None:
    plan = make(seen(addresses=(VIP,), own=(A, replace(B, subnet_id="subnet-2"), C)))
    where = "eni-bbbbbbbb of web-b is in subnet-2, and eni-aaaaaaaa in subnet-1"
    assert problems(plan) == [(ADDRESSES, f"{VIP}: addresses move within one subnet, and {where}")]


def test_of_a_subnet_of_which_nothing_is_known_the_cloud_will_say() -> None:
    assert make(seen(addresses=("10.0.2.1",), subnets={})).steps == (Assign(AT, ("10.0.2.1",)),)


def test_the_quota_of_addresses_is_for_ipv4_and_counts_the_primary_one() -> None:
    own = (with_address(A, SIX), B, C)
    ground = seen(addresses=(VIP, MORE, "fd00::7"), own=own, limits=Limits(2, 2))
    said = f"eni-aaaaaaaa of web-a has 1 of at most 2 addresses, and {VIP}, {MORE} would be 2 more"
    assert problems(make(ground)) == [("group.addresses", said)]
    assert len(make(replace(ground, limits=Limits(2, 3))).steps) == 2
    assert len(make(replace(ground, limits=None)).steps) == 2


ENIS = 'group "vip".enis'


@pytest.mark.parametrize(
    ("spare", "message"),
    [
        (
            eni("eni-zzzzzzzz", None),
            f"{SPARE} {GONE}",
        ),
        (eni(SPARE, "ins-9", primary=True), f"{SPARE} is the primary ENI of ins-9, which cannot move"),
        (
            eni(SPARE, "ins-9"),
            f"{SPARE} is attached to ins-9, which is no node's; nothing is taken from it",
        ),
        (
            eni(SPARE, None, vpc_id="vpc-2"),
            f"{SPARE} is in vpc-2, and eni-aaaaaaaa of web-a in vpc-1: an ENI stays in its VPC",
        ),
        (
            eni(SPARE, None, zone="zone-2"),
            f"{SPARE} is in zone-2, and eni-aaaaaaaa of web-a in zone-1: an ENI stays in its zone",
        ),
        (
            eni(SPARE, None, *(f"10.0.1.{last}" for last in range(50, 61))),
            f"{SPARE} has 11 addresses, and 10 are allowed there",
        ),
    ],
)
def test_an_eni_that_cannot_be_attached(spare: Eni, message: str) -> None:
    plan = make(seen(spare, enis=(SPARE,)))
    assert problems(plan) == [(ENIS, message)]
    assert not plan.unsettled


@pytest.mark.parametrize(
    "spare", [eni(SPARE, None, state="ATTACHING"), with_address(eni(SPARE, None), "10.0.1.50", "ATTACHING")]
)
def test_an_eni_at_which_the_cloud_is_at_work_is_waited_for(spare: Eni) -> None:
    plan = make(seen(spare, enis=(SPARE,)))
    said = f"{SPARE} is ATTACHING: the cloud is at work on it, try again when it is done"
    assert (problems(plan), plan.unsettled) == ([(ENIS, said)], True)


def test_an_eni_may_be_in_another_subnet_and_what_is_not_told_is_no_difference() -> None:
    spare = eni(SPARE, None, subnet_id="subnet-2", zone="")
    assert make(seen(spare, enis=(SPARE,), limits=None)).steps == (Attach(AT, SPARE),)


def test_the_quota_of_enis_counts_all_that_would_come() -> None:
    spare, other = eni(SPARE, None), eni("eni-eeeeeeee", None)
    ground = seen(spare, other, enis=(SPARE, other.id))
    said = "ins-aaaaaaaa of web-a has 1 of at most 2 ENIs, and this would be 2 more"
    assert problems(make(ground)) == [("group.enis", said)]
    assert len(make(replace(ground, limits=Limits(3, 10))).steps) == 2
    assert len(make(replace(ground, attached=None)).steps) == 2
    assert len(make(replace(ground, limits=None)).steps) == 2


def test_all_that_is_wrong_is_said_at_once() -> None:
    plan = make(seen(addresses=(VIP, "10.0.2.1", "10.0.1.1"), enis=(SPARE,)))
    assert [problem.key for problem in plan.problems] == [ADDRESSES, ADDRESSES, ENIS]
    assert all(isinstance(problem, Problem) and problem.file == "file" for problem in plan.problems)


def test_a_new_eni_is_where_the_nodes_own_is_with_its_groups_in_their_order() -> None:
    plan = make(seen(addresses=(VIP,), enis=("eni-00000000",)), NewEni("vip", 3))
    assert plan.steps == (Create(AT, NAME, "vpc-1", "subnet-1", ("sg-2", "sg-1"), 3),)
    assert (plan.ready, plan.existing) == ("", ())


def test_a_new_eni_that_is_there_is_not_made_again() -> None:
    there = eni(SPARE, "ins-bbbbbbbb", "10.0.1.50")
    plan = make(seen(there, enis=(SPARE,), named=(there,)), NewEni("vip", 2))
    assert (plan.steps, plan.ready, plan.existing) == ((), SPARE, (SPARE,))
    assert plan.present == (f"{SPARE} attached to ins-bbbbbbbb of web-b",)
    assert plan.notes == (f'{SPARE}, called "{NAME}", has 1 of the 2 addresses',)
    loose = make(seen(named=(replace(there, instance_id=None),)), NEW)
    assert (loose.steps, loose.ready, loose.notes) == ((Attach(AT, SPARE),), SPARE, ())


def test_of_several_of_that_name_none_is_chosen() -> None:
    plan = make(seen(named=(eni(SPARE, None), eni("eni-eeeeeeee", None))), NEW)
    said = f'several ENIs are called "{NAME}": {SPARE}, eni-eeeeeeee; rename or delete all but one'
    assert problems(plan) == [("--new-eni", said)]


def test_one_of_that_name_that_a_stranger_has_is_not_taken() -> None:
    plan = make(seen(named=(eni(SPARE, "ins-9", "10.0.1.50"),)), NEW)
    said = f"{SPARE} is attached to ins-9, which is no node's; nothing is taken from it"
    assert problems(plan) == [("--new-eni", said)]


def test_the_quotas_hold_for_a_new_eni() -> None:
    plan = make(seen(limits=Limits(1, 2)), NewEni("vip", 3))
    assert problems(plan) == [
        ("--addresses", "3 is given, and an ENI of ins-aaaaaaaa may have 2"),
        ("group.enis", "ins-aaaaaaaa of web-a has 1 of at most 1 ENIs, and this would be 1 more"),
    ]
    assert len(make(seen(limits=None), NewEni("vip", 3)).steps) == 1
