"""Faults planted one at a time in a healthy pair: doctor finds each by its name, and nothing else."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

import pytest

from hafailover.doctor import examine
from hafailover.doctor.catalogue import CATALOGUE
from hafailover.doctor.findings import Level
from hafailover.emulator.faults import Fault, Kind
from hafailover.emulator.network import Eni, HaVip, PrivateIp, Subnet, Vpc
from hafailover.emulator.world import SUBNET_ID, VPC_ID, build
from tests.unit.doctor.clinic import ENI, HOST, A, B, healthy, with_secondary

if TYPE_CHECKING:
    from collections.abc import Callable

    from hafailover.config.model import Config
    from hafailover.emulator.server import Emulator
    from tests.unit.doctor.clinic import Clinic

    Plant = Callable[[Clinic], None]

VIP, VIP6 = "10.0.1.100", "fd00:1::100"
OTHER_KEY = b"k" * 32


# -- ways of planting ------------------------------------------------------------------------------------------


def eni(eni_id: str, **changes: Any) -> Plant:
    """Change an ENI of the cloud."""

    def plant(clinic: Clinic) -> None:
        clinic.network = clinic.network.with_enis(replace(clinic.network.enis[eni_id], **changes))

    return plant


def more_addresses(eni_id: str, count: int) -> Plant:
    def plant(clinic: Clinic) -> None:
        extra = (PrivateIp(f"10.0.1.{200 + number}") for number in range(count))
        clinic.network = clinic.network.with_enis(clinic.network.enis[eni_id].with_ips(*extra))

    return plant


def text(old: str, new: str) -> Plant:
    """Write another file."""

    def plant(clinic: Clinic) -> None:
        assert old in clinic.text
        clinic.text = clinic.text.replace(old, new)

    return plant


def environment(**variables: str) -> Plant:
    def plant(clinic: Clinic) -> None:
        for name, value in variables.items():
            clinic.environment(f"TENCENTCLOUD_{name}", value)

    return plant


def befall(kind: Kind, action: str, **what: Any) -> Plant:
    """Have something befall a request."""
    return emulating(lambda emulator: emulator.faults.add(Fault(kind, action=action, **what)))


def refuse(action: str, code: str = "") -> Plant:
    return befall(Kind.DENIED, action, code=code)


def emulating(change: Callable[[Emulator], object]) -> Plant:
    def plant(clinic: Clinic) -> None:
        before = clinic.emulate

        def emulate(emulator: Emulator) -> None:
            before(emulator)
            change(emulator)

        clinic.emulate = emulate

    return plant


def daemon(**changes: Any) -> Plant:
    """Have the daemon say something else."""

    def plant(clinic: Clinic) -> None:
        clinic.told = lambda config: [{**healthy(config), **changes}]

    return plant


def peer(*, rejects: str = "", **changes: Any) -> Plant:
    """Have the daemon say something else of its peer, and of what it throws away meanwhile."""

    def told(config: Config) -> list[dict[str, Any]]:
        said = healthy(config)
        said["peers"] = [{**said["peers"][0], **changes}]
        before, after = ({"udp": {rejects: count}} if rejects else {} for count in (3, 9))
        return [{**said, "rejected": before}, {**said, "rejected": after}]

    def plant(clinic: Clinic) -> None:
        clinic.told = told

    return plant


def no_daemon(clinic: Clinic) -> None:
    clinic.told = lambda _config: []


def speaking(change: Callable[[Config], Config] = lambda config: config) -> Plant:
    """Have no daemon here, and one on the other node."""

    def plant(clinic: Clinic) -> None:
        no_daemon(clinic)
        clinic.peer = change

    return plant


def moving(*enis: str, **changes: Any) -> Plant:
    """Have a group with an ENI, which is on the first node unless changed, in the place of an address."""

    def plant(clinic: Clinic) -> None:
        clinic.network = with_secondary(clinic.network, **changes)
        group(addresses=(), enis=enis or (ENI,))(clinic)

    return plant


def group(**changes: Any) -> Plant:
    """Change the group of the file, also to what no file may say yet."""

    def plant(clinic: Clinic) -> None:
        before = clinic.amend
        clinic.amend = lambda config: _with_group(before(config), **changes)

    return plant


def _with_group(config: Config, **changes: Any) -> Config:
    return replace(config, groups=(replace(config.groups[0], **changes),))


def both(*plants: Plant) -> Plant:
    def plant(clinic: Clinic) -> None:
        for each in plants:
            each(clinic)

    return plant


# -- single faults ---------------------------------------------------------------------------------------------


def in_another_subnet(clinic: Clinic) -> None:
    subnet = Subnet("subnet-bbbbbbbb", VPC_ID, "other", "ap-guangzhou-3", IPv4Network("10.0.2.0/24"))
    network = replace(clinic.network, subnets={**clinic.network.subnets, subnet.id: subnet})
    clinic.network = network.with_enis(replace(network.enis[B.eni_id], subnet_id=subnet.id))


def elsewhere(zone: str, vpc_id: str) -> Plant:
    """Have the moving ENI in a subnet of another zone or VPC."""

    def plant(clinic: Clinic) -> None:
        subnet = Subnet("subnet-bbbbbbbb", vpc_id, "other", zone, IPv4Network("10.0.2.0/24"))
        vpc = Vpc(vpc_id, "other", IPv4Network("10.0.0.0/16"))
        clinic.network = replace(
            clinic.network,
            subnets={**clinic.network.subnets, subnet.id: subnet},
            vpcs={**clinic.network.vpcs, vpc_id: vpc},
        )
        moving(subnet_id=subnet.id, vpc_id=vpc_id)(clinic)

    return plant


def havip(**fields: Any) -> Plant:
    def plant(clinic: Clinic) -> None:
        made = HaVip(
            "havip-aaaaaaaa", "other", **{"vip": "10.0.1.99", **fields}, vpc_id=VPC_ID, subnet_id=SUBNET_ID
        )
        clinic.network = replace(clinic.network, havips={made.id: made})

    return plant


def with_ipv6(clinic: Clinic) -> None:
    clinic.network = build(addresses=(VIP, VIP6), ipv6_cidr="fd00:1::/64")


def on_a_stranger(clinic: Clinic) -> None:
    network = build(addresses=())
    other = replace(network.enis[B.eni_id], id="eni-dddddddd", instance_id=None, primary=False)
    clinic.network = network.with_enis(replace(other, ips=(PrivateIp("10.0.1.9", primary=True), PrivateIp(VIP))))


def full_of_enis(clinic: Clinic) -> None:
    moving()(clinic)
    more: list[Eni] = []
    for number in range(3):
        ips = (PrivateIp(f"10.0.1.{60 + number}", primary=True),)
        base = clinic.network.enis[ENI]
        more.append(
            replace(base, id=f"eni-eeeeeee{number}", ips=ips, instance_id=B.instance_id, device_index=number + 1)
        )
    clinic.network = clinic.network.with_enis(*more)


def sized(cpu: int, memory_gb: int) -> Plant:
    """Have both instances of a size, and the API say nothing of what they may have."""

    def plant(clinic: Clinic) -> None:
        for node in (A, B):
            instance = replace(clinic.network.instances[node.instance_id], cpu=cpu, memory_gb=memory_gb)
            clinic.network = clinic.network.with_instance(instance)
        refuse("DescribeNetworkInterfaceLimit", "InternalServerError")(clinic)

    return plant


def temporary_keys(clinic: Clinic) -> None:
    def issue(emulator: Emulator) -> None:
        key = emulator.keys.issue(B.instance_id, emulator.service.now_s())
        environment(SECRET_ID=key.secret_id, SECRET_KEY=key.secret_key, TOKEN=key.token)(clinic)

    emulating(issue)(clinic)


def metadata_down(emulator: Emulator) -> None:
    emulator.settings.metadata_down = True


def short_lived(emulator: Emulator) -> None:
    emulator.keys.lifetime_s = 120


def another_instance(clinic: Clinic) -> None:
    clinic.instance_id = A.instance_id


def ahead(seconds: float) -> Plant:
    def plant(clinic: Clinic) -> None:
        clinic.clock_s = seconds

    return plant


def nowhere(clinic: Clinic) -> None:
    clinic.endpoint = "http://127.0.0.1:1"


def port_taken(clinic: Clinic) -> None:
    no_daemon(clinic)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((HOST, clinic.ports[1]))
    clinic.open.append(sock)


ROLE = text('credentials = "env"', 'credentials = "role"')
REASSIGN = text('credentials = "env"', 'credentials = "env"\nstrategy = "reassign"')
IPV6 = both(with_ipv6, group(addresses=(VIP, VIP6)))
FENCED = text('guest = "none"', 'guest = "none"\nfence = "stop-instance"')

FAULTS: dict[str, tuple[Plant, set[str]]] = {
    "the file has a group that nothing watches": (group(checks=()), {"check"}),
    "the file asks for fencing, which needs a right": (FENCED, {"check"}),
    "a policy names the instances to be fenced alone": (both(FENCED, refuse("StopInstances")), {"check"}),
    # peers, by the daemon
    "the peer is silent": (peer(alive=False), {"peer-silent"}),
    "the peer is silent and another key signs": (peer(alive=False, rejects="bad_mac"), {"heartbeat-key"}),
    "the peer is of another cluster": (peer(alive=False, rejects="wrong_cluster"), {"heartbeat-cluster"}),
    "the peer is of another version": (peer(alive=False, rejects="bad_version"), {"heartbeat-version"}),
    "the peer has another name": (peer(alive=False, rejects="unknown_node"), {"heartbeat-stranger"}),
    "somebody has this node's name": (peer(rejects="own_name"), {"heartbeat-name"}),
    "the peer does not hear this node": (peer(hears_us=False), {"peer-deaf"}),
    "the peer has another file": (peer(config_match=False), {"peer-config"}),
    "a path is down": (peer(paths={"udp": {"up": True}, "mqtt": {"up": False}}), {"peer-path"}),
    "the broker is away": (daemon(mqtt={"connected": False, "reason": "mqtt.host: no"}), {"broker"}),
    "the daemon is another node's": (daemon(node="web-a"), {"daemon-node"}),
    "the daemon has an older file": (daemon(config_digest="00" * 8), {"file-not-loaded"}),
    # peers, by listening
    "no daemon runs, and the peer is heard": (speaking(), {"daemon-absent"}),
    "no daemon runs anywhere": (no_daemon, {"daemon-absent", "peer-silent"}),
    "no daemon runs, and the peer has another key": (
        speaking(lambda config: replace(config, keys=(OTHER_KEY,))),
        {"daemon-absent", "heartbeat-key"},
    ),
    "no daemon runs, and the peer has another file": (
        speaking(lambda config: replace(config, digest=b"12345678")),
        {"daemon-absent", "peer-config"},
    ),
    "no daemon runs, and its port is taken": (port_taken, {"daemon-absent", "heartbeat-address"}),
    "no daemon runs, and the address is another machine's": (
        both(text("127.0.0.1:{port_b}", "192.0.2.1:{port_b}"), no_daemon),
        {"daemon-absent", "heartbeat-address"},
    ),
    # metadata, keys, clock, API
    "the role's keys are not to be had": (both(ROLE, emulating(metadata_down)), {"metadata"}),
    "this is another instance": (another_instance, {"metadata-instance"}),
    "the file has another region": (text("ap-guangzhou", "ap-beijing"), {"metadata-region"}),
    "there are no keys": (environment(SECRET_KEY=""), {"credentials-absent"}),
    "the key is wrong": (environment(SECRET_KEY="wrong"), {"credentials-refused"}),
    "the keys end soon": (both(ROLE, emulating(short_lived)), {"credentials-expiry"}),
    "nobody renews the keys": (temporary_keys, {"credentials-renewal"}),
    "the clock is a minute behind": (ahead(60), {"clock"}),
    "the clock is so wrong that the API refuses": (ahead(-400), {"clock"}),
    "there is no API": (nowhere, {"api-unreachable"}),
    "the API is at fault": (befall(Kind.HTTP_500_BEFORE, "DescribeNetworkInterfaces"), {"api-refused"}),
    # rights
    **{
        f"{action} is denied": (refuse(action), {"permission"})
        for action in (
            "DescribeNetworkInterfaces",
            "DescribeVpcTaskResult",
            "DescribeInstancesStatus",
            "MigratePrivateIpAddress",
            "AssignPrivateIpAddresses",
        )
    },
    "UnassignPrivateIpAddresses is denied": (both(REASSIGN, refuse("Unassign*")), {"permission"}),
    "AssociateAddress is denied": (both(REASSIGN, refuse("AssociateAddress")), {"permission"}),
    "UnassignIpv6Addresses is denied": (both(IPV6, refuse("UnassignIpv6*")), {"permission"}),
    "an ENI moves, and DescribeSubnets is denied": (both(moving(), refuse("DescribeSubnets")), {"permission"}),
    "MigrateNetworkInterface is denied": (both(moving(), refuse("MigrateNetwork*")), {"permission"}),
    "the gateway denies": (refuse("Migrate*", "AuthFailure.UnauthorizedOperation"), {"permission"}),
    "an approval is needed": (refuse("Migrate*", "UnauthorizedOperation.NeedApproval"), {"permission"}),
    "a probe is not answered": (befall(Kind.HTTP_500_BEFORE, "Assign*"), {"permission"}),
    "a probe is throttled": (befall(Kind.THROTTLE, "Assign*"), {"permission"}),
    # the nodes' ENIs
    "the cloud knows no ENI of a node": (
        both(text('eni = "eni-aaaaaaaa"\n', ""), eni(A.eni_id, primary=False)),
        {"check", "eni-unnamed"},
    ),
    "a node's ENI is gone": (text("eni-bbbbbbbb", "eni-dddddddd"), {"eni-gone"}),
    "a node's ENI is attached to nothing": (eni(B.eni_id, instance_id=None), {"eni-detached"}),
    "a node's ENI is another instance's": (eni(B.eni_id, instance_id=A.instance_id), {"eni-instance"}),
    "the nodes are in two subnets": (in_another_subnet, {"eni-subnet"}),
    "a security group is missing": (eni(B.eni_id, security_groups=()), {"security-groups"}),
    # the addresses
    "the address is a primary one": (text(VIP, A.address), {"address-primary"}),
    "the address is another machine's": (on_a_stranger, {"address-stranger"}),
    "nobody has the address": (text(VIP, "10.0.1.101"), {"address-vacant"}),
    "the address is outside the subnet": (text(VIP, "10.0.2.100"), {"address-range"}),
    "the address is the gateway's": (text(VIP, "10.0.1.1"), {"address-range"}),
    "the subnet has no IPv6 block": (group(addresses=(VIP, VIP6)), {"address-range"}),
    "the address is a HAVIP": (havip(vip=VIP), {"havip-address"}),
    "a node's ENI has traffic protection": (eni(A.eni_id, traffic_protection=True), {"traffic-protection"}),
    # room
    "the standby's ENI is full": (more_addresses(B.eni_id, 9), {"quota-addresses"}),
    "the ENI is full by the table": (both(more_addresses(B.eni_id, 9), sized(2, 4)), {"quota-addresses"}),
    "the table leaves open whether it is": (both(more_addresses(B.eni_id, 9), sized(4, 16)), {"quota-addresses"}),
    "nobody says how much there may be": (
        both(refuse("DescribeNetworkInterfaceLimit"), refuse("DescribeInstances")),
        {"quota-addresses"},
    ),
    "the standby has no room for an ENI": (full_of_enis, {"quota-enis"}),
    # ENIs that move
    "the ENI that moves is held by a HAVIP": (
        both(moving(), havip(drift_range=(A.instance_id, B.instance_id))),
        {"havip-range"},
    ),
    "the ENI that moves has traffic protection": (moving(traffic_protection=True), {"traffic-protection"}),
    "the ENI that moves is gone": (moving("eni-dddddddd"), {"eni-gone"}),
    "the ENI that moves is a primary one": (moving(A.eni_id), {"eni-primary"}),
    "the ENI that moves is nobody's": (moving(instance_id=None), {"eni-vacant"}),
    "the ENI that moves is a stranger's": (moving(instance_id="ins-dddddddd"), {"eni-stranger"}),
    "the ENI that moves is in another zone": (elsewhere("ap-guangzhou-4", VPC_ID), {"eni-zone"}),
    "the ENI that moves is in another VPC": (elsewhere("ap-guangzhou-3", "vpc-bbbbbbbb"), {"eni-vpc"}),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_found_by_its_name_and_nothing_else(fault: str, clinic: Clinic) -> None:
    plant, names = FAULTS[fault]
    plant(clinic)
    report = await clinic.examine()
    assert {finding.name for finding in report.findings} == names
    assert clinic.unchanged()


HEALTHY: dict[str, Plant] = {
    "a pair": both(),
    "by its role": ROLE,
    "beside a HAVIP": havip(drift_range=(A.instance_id,)),
    "reassigning": REASSIGN,
    "with an ENI": moving(),
    "with an IPv6 address": IPV6,
    "reassigning an ENI": both(REASSIGN, moving()),
    "where only the table knows the quota": sized(4, 8),
    "where a policy names the configured ENIs alone": both(moving(), REASSIGN, refuse("DetachNetwork*")),
    "without metadata where they are not needed": emulating(metadata_down),
    "without the reads that are doctor's own": both(refuse("DescribeSubnets"), refuse("DescribeHaVips")),
}


@pytest.mark.parametrize("pair", HEALTHY)
async def test_nothing_is_found_on_a_healthy_pair(pair: str, clinic: Clinic) -> None:
    HEALTHY[pair](clinic)
    report = await clinic.examine()
    assert report.findings == ()
    assert not report.failed
    assert clinic.unchanged()


@pytest.mark.parametrize(
    ("fault", "level"),
    [
        ("the standby's ENI is full", Level.FAILURE),
        ("the table leaves open whether it is", Level.UNKNOWN),
        ("a probe is throttled", Level.UNKNOWN),
        ("MigratePrivateIpAddress is denied", Level.FAILURE),
        ("the clock is a minute behind", Level.WARNING),
        ("the clock is so wrong that the API refuses", Level.FAILURE),
        ("somebody has this node's name", Level.WARNING),
    ],
)
async def test_a_finding_has_the_level_of_what_it_means(fault: str, level: Level, clinic: Clinic) -> None:
    FAULTS[fault][0](clinic)
    report = await clinic.examine()
    assert [finding.level for finding in report.findings] == [level]


async def test_of_a_witness_only_what_it_hears_is_looked_at(clinic: Clinic) -> None:
    witness = '[[node]]\nname = "judge"\naddress = "127.0.0.1:1"\nrole = "witness"\n'
    text("[[group]]", witness + "[[group]]")(clinic)
    text('guest = "none"', 'guest = "none"\nguards = ["quorum"]')(clinic)
    daemon(node="judge")(clinic)
    report = await clinic.examine("judge")
    assert (report.findings, report.notes, report.node) == ((), (), "judge")
    assert report.proven == ("heard, and hearing this node: web-a",)
    assert clinic.emulator is not None
    assert not clinic.emulator.service.calls


async def test_what_is_no_daemon_is_said_to_be_none(clinic: Clinic) -> None:
    no_daemon(clinic)

    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(speak, clinic.folder / "control.sock")
    async with server:
        report = await clinic.examine()
    assert [(each.name, each.level) for each in report.findings] == [("daemon-unreadable", Level.UNKNOWN)]


async def test_a_daemon_that_hangs_is_not_taken_for_absent(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examine, "STATUS_TIMEOUT_S", 0.2)
    no_daemon(clinic)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(clinic.folder / "control.sock"))
        listener.listen()
        report = await clinic.examine()
    assert [each.name for each in report.findings] == ["daemon-unreadable"]


async def test_a_healthy_pair_leaves_only_the_role_unproven(clinic: Clinic) -> None:
    report = await clinic.examine()
    assert [note.about for note in report.notes] == ["role"]
    assert "there is room on every node for all that may move there" in report.proven
    assert "no HAVIP and no traffic protection is in the way" in report.proven


async def test_what_cannot_be_read_is_a_note_and_no_finding(clinic: Clinic) -> None:
    for action in ("DescribeSubnets", "DescribeHaVips"):
        refuse(action)(clinic)
    report = await clinic.examine()
    assert [note.about for note in report.notes] == ["DescribeSubnets", "DescribeHaVips", "role"]


async def test_the_cloud_is_asked_about_a_dozen_times(clinic: Clinic) -> None:
    await clinic.examine()
    assert clinic.emulator is not None
    assert len(clinic.emulator.service.calls) <= 12


def test_the_table_has_only_findings_that_there_are() -> None:
    assert {name for _, names in FAULTS.values() for name in names} <= set(CATALOGUE)
