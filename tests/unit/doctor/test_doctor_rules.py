"""The rules of the examinations that no planted fault reaches, one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from hafailover.cloud.quota import TABLE, quota_of, row_of
from hafailover.cloud.replies import Address, Eni, HaVip, Limits, Subnet
from hafailover.config import model
from hafailover.config.routing import route
from hafailover.doctor import access, addresses, probes, readiness, room
from hafailover.doctor.findings import Finding, Level
from hafailover.doctor.ground import Ground, moving_enis, placement, security_groups
from hafailover.doctor.guest import Guest, guest, leftovers
from hafailover.doctor.peers import Listened, by_listening
from hafailover.errors import CloudError
from tests.unit.daemon.stage import NODES, config

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

A, B = NODES
VIP = "10.0.1.100"
GROUP = model.Group("vip", addresses=(VIP,))


def eni(letter: str, *ips: str, **changes: Any) -> Eni:
    """Return an ENI whose first address is the primary one."""
    held = tuple(Address(ip, place == 0, "AVAILABLE") for place, ip in enumerate(ips))
    plain = Eni(
        id=f"eni-{letter * 8}",
        mac=f"52:54:00:00:00:0{letter}",
        instance_id=f"ins-{letter * 8}",
        primary=True,
        state="AVAILABLE",
        subnet_id="subnet-aaaaaaaa",
        zone="zone-3",
        addresses=held,
        security_groups=("sg-aaaaaaaa",),
        vpc_id="vpc-aaaaaaaa",
    )
    return replace(plain, **changes)


FIRST, SECOND = eni("a", "10.0.1.17", VIP), eni("b", "10.0.1.16")
MOVING = eni("c", "10.0.1.50", instance_id="ins-aaaaaaaa", primary=False)


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    own = {"web-a": FIRST.id, "web-b": SECOND.id}
    return Ground(config(tmp_path, GROUP), own, {each.id: each for each in (FIRST, SECOND)})


def grown(ground: Ground, *enis: Eni, **group: Any) -> Ground:
    """Return the ground with these ENIs, and another group."""
    changed = replace(ground.config, groups=(replace(ground.config.groups[0], **group),))
    return replace(ground, config=changed, enis={**ground.enis, **{each.id: each for each in enis}})


def names(findings: Iterable[Finding]) -> list[str]:
    return [finding.name for finding in findings]


# -- the ground ------------------------------------------------------------------------------------------------


def test_a_healthy_ground_has_nothing(ground: Ground) -> None:
    found = (*placement(ground), *moving_enis(ground), *security_groups(ground), *addresses.holders(ground))
    assert found == ()
    assert ground.instance(A) == "ins-aaaaaaaa"


def test_without_addresses_subnets_and_security_groups_are_no_matter(ground: Ground) -> None:
    apart = grown(ground, replace(SECOND, subnet_id="subnet-b", security_groups=()), addresses=())
    assert names((*placement(apart), *security_groups(apart))) == []


def test_the_order_of_security_groups_counts(ground: Ground) -> None:
    first, second = (
        replace(each, security_groups=groups)
        for each, groups in ((FIRST, ("sg-a", "sg-b")), (SECOND, ("sg-b", "sg-a")))
    )
    assert names(security_groups(grown(ground, first, second))) == ["security-groups"]


def test_a_node_without_an_instance_in_the_file_is_where_its_eni_is(ground: Ground) -> None:
    config_ = replace(ground.config, nodes=(replace(A, instance_id=None), B))
    assert Ground(config_, ground.own, ground.enis).instance(config_.nodes[0]) == "ins-aaaaaaaa"
    assert Ground(config_, {}, {}).instance(config_.nodes[0]) is None


def test_the_second_reason_is_not_told_where_the_first_is(ground: Ground) -> None:
    other = replace(MOVING, vpc_id="vpc-b", zone="zone-4")
    assert set(names(moving_enis(grown(ground, other, enis=(MOVING.id,))))) == {"eni-vpc"}


# -- addresses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "objects"),
    [
        ("10.0.1.0", True),
        ("10.0.1.1", True),
        ("10.0.1.2", False),
        ("10.0.1.254", False),
        ("10.0.1.255", True),
        ("10.0.2.5", True),
        ("fd00:1::5", False),
        ("fd00:2::5", True),
    ],
)
def test_what_a_subnet_can_give(ground: Ground, address: str, objects: bool) -> None:  # noqa: FBT001
    subnets = {"subnet-aaaaaaaa": Subnet("subnet-aaaaaaaa", "vpc-aaaaaaaa", "zone-3", "10.0.1.0/24", "fd00:1::/64")}
    found = names(addresses.ranges(grown(ground, addresses=(address,)), subnets))
    assert found == (["address-range"] if objects else [])


@pytest.mark.parametrize("subnets", [{}, {"subnet-aaaaaaaa": Subnet("subnet-aaaaaaaa", "v", "z", "x/24")}])
def test_a_subnet_that_is_not_told_is_no_objection(ground: Ground, subnets: dict[str, Subnet]) -> None:
    assert names(addresses.ranges(grown(ground, addresses=("192.0.2.1",)), subnets)) == []


def test_a_subnet_without_ipv6_can_give_none(ground: Ground) -> None:
    subnets = {"subnet-aaaaaaaa": Subnet("subnet-aaaaaaaa", "vpc-aaaaaaaa", "zone-3", "10.0.1.0/24")}
    (found,) = addresses.ranges(grown(ground, addresses=("fd00:1::5",)), subnets)
    assert found.what == "subnet-aaaaaaaa has no IPv6 block"


def test_ipv6_addresses_do_not_count_against_the_quota(ground: Ground) -> None:
    six = grown(ground, addresses=("fd00:1::5",))
    assert names(room.addresses(six, {"web-b": room.by_api(Limits(1, 1))})) == []


def test_ipv6_addresses_are_released_and_taken(ground: Ground) -> None:
    six = grown(ground, addresses=(VIP, "fd00:1::5"))
    assert [action for action, _ in sent(six)] == [
        "MigratePrivateIpAddress",
        "AssignPrivateIpAddresses",
        "UnassignIpv6Addresses",
        "AssignIpv6Addresses",
    ]
    assert all("fd00" not in str(each.parameters) for each in probes.probes(six, B))


def test_who_has_an_address_may_be_told_by_others(ground: Ground) -> None:
    away = grown(ground, replace(FIRST, addresses=FIRST.addresses[:1]))
    assert addresses.missing(away) == (VIP,)
    assert names(addresses.holders(away)) == ["address-vacant"]
    stranger = eni("d", "10.0.1.9", VIP, instance_id=None)
    assert names(addresses.holders(away, (stranger,))) == ["address-stranger"]


def test_a_havip_elsewhere_is_no_matter(ground: Ground) -> None:
    with_eni = grown(ground, MOVING, enis=(MOVING.id,))
    assert names(addresses.in_the_way(with_eni, [HaVip("havip-a", "10.0.1.99", ("ins-zzzzzzzz",))])) == []
    assert names(addresses.in_the_way(with_eni, [HaVip("havip-a", "", (MOVING.id,))])) == ["havip-range"]


# -- room ------------------------------------------------------------------------------------------------------


def test_what_is_there_already_needs_no_room(ground: Ground) -> None:
    tight = room.by_api(Limits(1, 1))
    assert names(room.addresses(ground, {"web-a": tight})) == []
    assert names(room.addresses(ground, {"web-b": tight})) == ["quota-addresses"]
    assert names(room.addresses(ground, {})) == []


@pytest.mark.parametrize(
    ("there", "limits", "found"),
    [
        ({"eni-bbbbbbbb"}, Limits(2, 6), []),
        ({"eni-bbbbbbbb", "eni-dddddddd"}, Limits(2, 6), ["quota-enis"]),
        ({"eni-bbbbbbbb"}, Limits(2, 0), ["quota-addresses"]),
        ({"eni-bbbbbbbb", MOVING.id}, Limits(2, 0), []),
    ],
)
def test_an_eni_brings_its_addresses(ground: Ground, there: set[str], limits: Limits, found: list[str]) -> None:
    moving = grown(ground, MOVING, enis=(MOVING.id, "eni-gone0000"))
    allowed = {"web-b": room.by_api(limits)}
    assert names(room.enis(moving, allowed, {"web-b": frozenset(there)})) == found
    assert names(room.enis(ground, allowed, {"web-b": frozenset(there)})) == []
    assert names(room.enis(moving, allowed, {})) == []


def test_every_size_has_a_row_and_its_page_is_within_its_bounds() -> None:
    for cpu in range(70):
        for memory_gb in (0, 1, 2, 8, 15, 16, 17, 64, 512):
            row = row_of(cpu, memory_gb)
            assert row.least.enis <= row.most.enis
            assert row.least.private_ips <= row.most.private_ips
            page = quota_of(cpu, memory_gb)
            if page is not None:
                assert row.least.enis <= page.enis <= row.most.enis
                assert row.least.private_ips <= page.private_ips <= row.most.private_ips
    assert [row.size.cores for row in TABLE if row.page is None] == [(3, 3), (4, 4), (5, 7)]


# -- access ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "name", "level"),
    [
        ("ClientCredentials", "credentials-absent", Level.FAILURE),
        ("ClientTimeout", "api-unreachable", Level.FAILURE),
        ("AuthFailure.SignatureExpire", "clock", Level.FAILURE),
        ("UnauthorizedOperation", "permission", Level.FAILURE),
        ("AuthFailure.SignatureFailure", "credentials-refused", Level.FAILURE),
        ("RequestLimitExceeded", "api-refused", Level.UNKNOWN),
        ("InternalError", "api-refused", Level.FAILURE),
        ("UnsupportedRegion", "api-refused", Level.FAILURE),
    ],
)
def test_what_an_error_of_the_api_comes_from(code: str, name: str, level: Level) -> None:
    found = access.of_error(CloudError(code, "so it is"), "DescribeNetworkInterfaces")
    assert (found.name, found.level) == (name, level)


def test_keys_that_do_not_end_or_end_late_are_in_order() -> None:
    assert names(access.keys(access.Keys())) == []
    assert names(access.keys(access.Keys(access.EXPIRY_S))) == []
    assert names(access.keys(access.Keys(-1.0))) == ["credentials-expiry"]


def test_a_clock_that_nobody_told_is_no_matter() -> None:
    assert names(access.clock(None)) == names(access.clock(-30.0)) == []


# -- probes ----------------------------------------------------------------------------------------------------


def probe(**changes: Any) -> probes.Probe:
    return replace(probes.Probe("AssignPrivateIpAddresses", {}, "on eni-bbbbbbbb"), **changes)


def test_an_accepted_probe_is_told_unless_it_is_a_read() -> None:
    assert names(probes.verdict(probe(), "OK").findings) == ["probe-accepted"]
    assert probes.verdict(probe(reads=True), "OK").findings == ()


@pytest.mark.parametrize(
    "code",
    [
        "UnauthorizedOperation.AttachmentNotFound",
        "UnauthorizedOperation.PrimaryIp",
        "ResourceInUse",
        "LimitExceeded",
        "InvalidParameterValue.Malformed",
    ],
)
def test_a_refusal_for_the_arguments_proves_the_right(code: str) -> None:
    seen = probes.verdict(probe(), code)
    assert (seen.findings, seen.notes) == ((), ())
    assert len(seen.proven) == 1


@pytest.mark.parametrize("code", ["UnauthorizedOperation", "AuthFailure.UnauthorizedOperation"])
def test_a_denial_proves_something_only_of_what_a_policy_names(code: str) -> None:
    assert names(probes.verdict(probe(), code).findings) == ["permission"]
    inexact = probes.verdict(probe(exact=False), code)
    assert (inexact.findings, len(inexact.notes)) == ((), 1)


@pytest.mark.parametrize("code", ["RequestLimitExceeded", "InternalError", "ClientTimeout", "ResourceNotFound"])
def test_what_says_nothing_of_rights_proves_nothing(code: str) -> None:
    asked = probe(action="DescribeVpcTaskResult")
    assert [each.level for each in probes.verdict(asked, code).findings] == [Level.UNKNOWN]


def sent(ground: Ground, me: model.Node = B) -> list[tuple[str, str]]:
    return [(each.action, each.about) for each in probes.probes(ground, me) if not each.reads]


def test_no_probe_names_an_address_or_eni_that_could_move(ground: Ground) -> None:
    """Whatever is sent about addresses is about this node's primary one, and none leads an ENI to another node."""
    for strategy in ("migrate", "reassign"):
        cloud = replace(ground.config.cloud, strategy=strategy)
        where = grown(ground, MOVING, enis=(MOVING.id,), fence="stop-instance")
        where = replace(where, config=replace(where.config, cloud=cloud))
        for each in probes.probes(where, B):
            text = str(each.parameters)
            assert VIP not in text
            if each.action in ("MigratePrivateIpAddress", "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"):
                assert "10.0.1.16" in text
            if each.action == "MigrateNetworkInterface":
                assert each.parameters["SourceInstanceId"] == each.parameters["DestinationInstanceId"]
            if each.action in ("AttachNetworkInterface", "DetachNetworkInterface"):
                assert each.parameters["NetworkInterfaceId"] == SECOND.id
            if each.action == "StopInstances":
                assert each.parameters["InstanceIds"] == [probes.NO_INSTANCE]


def test_what_is_not_known_is_not_probed(ground: Ground) -> None:
    assert sent(replace(ground, own={})) == []
    nameless = grown(ground, replace(SECOND, addresses=()))
    assert sent(nameless) == []
    assert probes.width(nameless, B) is None
    assert probes.width(replace(ground, own={}), B) is None
    assert sent(grown(ground, replace(SECOND, instance_id=None), MOVING, enis=(MOVING.id,), addresses=())) == []


def test_an_eni_that_is_here_or_nowhere_is_not_probed(ground: Ground) -> None:
    for instance in ("ins-bbbbbbbb", None):
        held = grown(ground, replace(MOVING, instance_id=instance), enis=(MOVING.id, "eni-gone0000"), addresses=())
        assert [action for action, _ in sent(held)] == ["AttachNetworkInterface", "DetachNetworkInterface"]


def test_only_a_primary_eni_is_safe_to_probe_with(ground: Ground) -> None:
    secondary = grown(ground, replace(SECOND, primary=False), MOVING, enis=(MOVING.id,), addresses=())
    assert [action for action, _ in sent(secondary)] == ["MigrateNetworkInterface"]


def test_a_node_alone_detaches_from_nobody(ground: Ground) -> None:
    cloud = replace(ground.config.cloud, strategy="reassign")
    alone = grown(ground, MOVING, enis=(MOVING.id,), addresses=())
    alone = replace(alone, config=replace(alone.config, cloud=cloud), own={"web-b": SECOND.id})
    assert [action for action, _ in sent(alone)] == ["AttachNetworkInterface"]


def test_without_a_guard_or_fence_nobody_asks_for_instances(ground: Ground) -> None:
    asked = [each.action for each in probes.probes(grown(ground, guards=()), B) if each.reads]
    assert asked == ["DescribeVpcTaskResult"]


def test_who_heeds_repairs_may_have_to_read_them(ground: Ground) -> None:
    heeding = replace(ground.config, announced=model.Announced(("repair",)))
    found = {each.action: each for each in probes.probes(replace(ground, config=heeding), B)}
    asked = found["DescribeTaskInfo"]
    assert (asked.service, asked.reads) == ("cvm", True)
    assert "DescribeTaskInfo" not in {each.action for each in probes.probes(ground, B)}


def test_the_width_of_the_role_is_told_as_far_as_it_can_be(ground: Ground) -> None:
    wide = probes.width(ground, B)
    assert "any ENI" in probes.excess(wide, "ResourceNotFound").text
    for code in ("UnauthorizedOperation", "RequestLimitExceeded"):
        assert "any ENI" not in probes.excess(wide, code).text
    assert "any ENI" not in probes.excess(None, "").text


def test_a_role_that_reassigns_is_probed_by_releasing(ground: Ground) -> None:
    cloud = replace(ground.config.cloud, strategy="reassign")
    wide = probes.width(replace(ground, config=replace(ground.config, cloud=cloud)), B)
    assert wide is not None
    assert (wide.action, wide.parameters["NetworkInterfaceId"]) == ("UnassignPrivateIpAddresses", probes.NO_ENI)


# -- peers and guest -------------------------------------------------------------------------------------------


def test_nobody_heard_leaves_nothing_to_note() -> None:
    seen = by_listening(Listened(1.0), ["web-a"], "web-b", "00")
    assert (names(seen.findings), seen.notes) == (["peer-silent"], ())


def test_of_several_silent_peers_none_is_explained_by_a_reason() -> None:
    seen = by_listening(Listened(1.0, rejected={"bad_mac": 1}), ["web-a", "web-c"], "web-b", "00")
    assert names(seen.findings) == ["heartbeat-key", "peer-silent", "peer-silent"]


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        (Guest(capable=True, interface="eth0", present=frozenset()), []),
        (Guest(capable=False, interface="eth0", present=frozenset()), ["guest-capability"]),
        (Guest(capable=None, interface="eth0", present=frozenset()), ["guest-capability"]),
        (Guest(capable=True, error="no answer"), ["guest-unreadable"]),
        (Guest(capable=True, link_error="there is none", present=frozenset()), ["guest-interface"]),
        (Guest(capable=True, link_error="there is none"), ["guest-interface"]),
        (Guest(capable=True, writers=(("eth1", "one"), ("eth1", "two"))), ["second-writer", "second-writer"]),
    ],
)
def test_what_is_seen_of_the_machine(ground: Ground, seen: Guest, found: list[str]) -> None:
    assert names(guest(ground, B, seen, ())) == found


def test_the_enis_of_a_node_are_its_own_and_all_that_may_come(ground: Ground) -> None:
    assert [each.id for each in ground.enis_for(A)] == [A.eni]
    coming = grown(ground, eni("c", "10.0.1.50"), addresses=(), enis=("eni-cccccccc", "eni-gone"))
    assert [each.id for each in coming.enis_for(B)] == [B.eni, "eni-cccccccc"]


def test_a_leftover_is_one_where_another_has_the_address(ground: Ground) -> None:
    assert names(leftovers(ground, B, {VIP}, ())) == ["guest-leftover"]
    assert names(leftovers(ground, A, {VIP}, ())) == []
    assert names(leftovers(ground, B, {VIP}, {"vip"})) == []
    assert names(leftovers(grown(ground, guest="none"), B, {VIP}, ())) == []
    assert names(leftovers(grown(ground, eni("a", "10.0.1.17")), B, {VIP}, ())) == []


@pytest.mark.parametrize(
    ("node", "present", "busy", "lacking", "found"),
    [
        (A, {VIP}, (), {}, []),
        (A, {VIP}, (), {"x": ""}, [("x", f'it is not there, though {A.name} has group "vip"')]),
        (
            A,
            {VIP},
            (),
            {"x": "", "y": "no"},
            [("x", f'it is not there, though {A.name} has group "vip"'), ("y", "no")],
        ),
        (A, {VIP}, ("vip",), {"x": "", "y": "no"}, [("y", "no")]),
        (A, (), (), {"x": ""}, []),
        (B, (), (), {"x": "", "y": "no"}, [("y", "no")]),
        (B, {VIP}, ("vip",), {"x": ""}, []),
    ],
)
def test_routes_are_there_where_the_address_is_and_nothing_is_in_their_way(
    ground: Ground,
    node: model.Node,
    present: Collection[str],
    busy: tuple[str, ...],
    lacking: dict[str, str],
    found: list[tuple[str, str]],
) -> None:
    seen = Guest(capable=True, interface="eth0", present=frozenset(present), lacking={"vip": lacking})
    findings = list(guest(ground, node, seen, busy))
    assert [(each.about, each.what) for each in findings] == found
    assert set(names(findings)) <= {"guest-route"}


# -- what the daemon repeats -----------------------------------------------------------------------------------

SOUND = Guest(capable=True, interface="eth0", present=frozenset())


def test_all_checks_are_in_order_on_a_healthy_ground(ground: Ground) -> None:
    moving = grown(ground, MOVING, enis=(MOVING.id,))
    seen = readiness.examine(moving, B, Limits(4, 10), SOUND, ())
    expected = (*readiness.PLACES, *readiness.ADDRESSES, *readiness.ENIS, *readiness.QUOTA, *readiness.GUEST)
    assert seen.checks == dict.fromkeys(expected, True)
    assert seen.as_json() == {"checks": dict(seen.checks), "findings": []}


def test_routes_are_looked_for_where_a_group_has_any(ground: Ground) -> None:
    routed = grown(ground, routes=(route("10.8.0.0/16 via 10.0.1.1"),))
    assert readiness.examine(routed, B, None, SOUND, ()).checks["guest-route"] is None
    for lacking, sound in (({}, True), ({"x": ""}, True), ({"x": "it is taken"}, False)):
        seen = readiness.examine(routed, B, None, replace(SOUND, lacking={"vip": lacking}), ())
        assert seen.checks["guest-route"] is sound


def test_only_what_the_groups_need_is_looked_for(ground: Ground) -> None:
    bare = grown(ground, addresses=(), guest="none")
    assert tuple(readiness.examine(bare, B, None, None, ()).checks) == readiness.PLACES


def test_what_is_not_known_is_neither_in_order_nor_not(ground: Ground) -> None:
    seen = readiness.examine(ground, B, None, replace(SOUND, error="no answer", capable=None), ())
    assert seen.checks["quota-addresses"] is None
    assert {seen.checks[name] for name in readiness.GUEST} == {None}
    assert seen.checks["eni-gone"] is True


def test_what_is_wrong_is_told_with_its_words(ground: Ground) -> None:
    seen = readiness.examine(ground, B, Limits(4, 1), replace(SOUND, present=frozenset({VIP})), ())
    wrong = [name for name, is_right in seen.checks.items() if is_right is False]
    assert wrong == ["quota-addresses", "guest-leftover"]
    assert [each["name"] for each in seen.as_json()["findings"]] == wrong
    assert seen.as_json()["findings"][1] == {
        "name": "guest-leftover",
        "level": "failure",
        "about": VIP,
        "what": "it is configured here, and the cloud says that eni-aaaaaaaa has it",
    }
