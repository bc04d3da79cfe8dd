from __future__ import annotations

from dataclasses import replace

import pytest

from hafailover.emulator.network import Eip, IpState, PrivateIp
from hafailover.emulator.world import PAIR, VIP, EniSpec, NodeSpec, build, mac_of


def test_a_pair_with_the_address_on_the_first() -> None:
    network = build()
    assert network.holder_of(VIP) == "eni-aaaaaaaa"
    assert network.holder_of("10.0.1.16") == "eni-bbbbbbbb"
    assert network.holder_of("eni-bbbbbbbb") == "ins-bbbbbbbb"
    assert network.holder_of("10.0.1.200") is None
    assert [eni.id for eni in network.enis_of("ins-aaaaaaaa")] == ["eni-aaaaaaaa"]


def test_other_networks_and_nodes() -> None:
    nodes = tuple(NodeSpec(f"n{i}", f"ins-0000000{i}", f"eni-0000000{i}", f"127.77.0.{i + 10}") for i in range(3))
    network = build(nodes, ("127.77.0.100",), cidr="127.77.0.0/24", region="r", eip_for="127.77.0.100")
    assert network.region == "r"
    assert network.holder_of("127.77.0.100") == "eni-00000000"
    assert network.eip_of("vpc-aaaaaaaa", "127.77.0.100") == network.eips["eip-aaaaaaaa"]
    assert network.eip_of("vpc-bbbbbbbb", "127.77.0.100") is None


def test_what_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="at least one node"):
        build(())
    with pytest.raises(ValueError, match=r"10\.0\.2\.1 is not within"):
        build(PAIR, ("10.0.2.1",))
    with pytest.raises(ValueError, match="nonsense"):
        build(PAIR, ("nonsense",))


def test_secondary_enis() -> None:
    network = build(enis=(EniSpec("eni-cccccccc", ("10.0.1.50", "10.0.1.51"), PAIR[0].instance_id),))
    eni = network.enis["eni-cccccccc"]
    assert [(ip.address, ip.primary) for ip in eni.ips] == [("10.0.1.50", True), ("10.0.1.51", False)]
    assert (eni.primary, eni.device_index, network.holder_of(eni.id)) == (False, 1, PAIR[0].instance_id)
    with pytest.raises(ValueError, match=r"10\.0\.2\.1 is not within"):
        build(enis=(EniSpec("eni-cccccccc", ("10.0.2.1",)),))


def test_macs_are_stable_local_and_upper_case() -> None:
    assert mac_of("eni-aaaaaaaa") == mac_of("eni-aaaaaaaa") != mac_of("eni-bbbbbbbb")
    assert mac_of("eni-aaaaaaaa").startswith("52:54:00:")
    assert mac_of("eni-aaaaaaaa").isupper()


def test_subnets_reserve_three_addresses() -> None:
    subnet = build().subnets["subnet-aaaaaaaa"]
    assert [a for a in ("10.0.1.0", "10.0.1.1", "10.0.1.2", "10.0.1.254", "10.0.1.255") if subnet.reserves(a)] == [
        "10.0.1.0",
        "10.0.1.1",
        "10.0.1.255",
    ]
    assert subnet.contains("10.0.1.7")
    assert not subnet.contains("10.0.2.7")


def test_a_network_is_a_value() -> None:
    network = build()
    eni = network.enis["eni-bbbbbbbb"]
    changed = network.with_enis(eni.with_ips(PrivateIp(VIP, state=IpState.PENDING)))
    assert network.enis["eni-bbbbbbbb"].ip(VIP) is None
    assert [e.id for e, _ in changed.carriers(VIP)] == ["eni-aaaaaaaa", "eni-bbbbbbbb"]
    assert list(changed.carriers(VIP, "vpc-bbbbbbbb")) == []
    pending = changed.with_enis(changed.enis["eni-aaaaaaaa"].without_ips(VIP))
    assert pending.holder_of(VIP) is None
    eip = Eip("eip-bbbbbbbb", "203.0.113.11")
    assert network.with_eip(eip).eips[eip.id] == eip
    stopped = replace(network.instances["ins-aaaaaaaa"], cpu=8)
    assert network.with_instance(stopped).instances["ins-aaaaaaaa"].cpu == 8
