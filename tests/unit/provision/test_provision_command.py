"""The real command against the emulator: what it creates, and that it creates it once."""

from __future__ import annotations

import asyncio
import os
import pty
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hafailover.emulator.faults import Kind
from hafailover.emulator.network import HaVip, InstanceState, PrivateIp
from hafailover.emulator.world import GROUP_ID, SUBNET_ID, VIP, VPC_ID, NodeSpec, build
from tests.unit.provision.site import ENI, NAME, SIX, A, B, lacking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.provision.conftest import Open
    from tests.unit.provision.site import Site


async def test_all_that_the_file_names_is_made_for_the_preferred_node_and_only_once(site: Site) -> None:
    site.name((VIP, SIX, "10.0.1.101"), (ENI,))
    code, out, err = await site.provision("--yes")
    assert (code, err) == (0, "")
    assert f"to do     assign {VIP}, 10.0.1.101 to {A.eni_id} of web-a\n" in out
    assert f"done: assign {SIX} to {A.eni_id} of web-a\n" in out
    assert "by        vpc:AssignPrivateIpAddresses, vpc:AssignIpv6Addresses, vpc:AttachNetworkInterface\n" in out
    assert {site.holder(each) for each in (VIP, SIX, "10.0.1.101")} == {A.eni_id}
    assert site.holder(ENI) == A.instance_id
    writes = site.writes()
    code, out, err = await site.provision("--yes")
    assert (code, err) == (0, "")
    assert f"there     {VIP} on {A.eni_id} of web-a\n" in out
    assert f"there     {ENI} attached to {A.instance_id} of web-a\n" in out
    assert out.endswith("nothing to do\n")
    assert site.writes() == writes


async def test_twelve_addresses_take_two_requests_or_one_more_that_is_turned_away(open_site: Open) -> None:
    network = lacking()
    big = replace(network.instances[A.instance_id], cpu=16, memory_gb=32)
    site = await open_site(network.with_instance(big))
    addresses = tuple(f"10.0.1.{100 + number}" for number in range(12))
    site.name(addresses)
    code, _out, _err = await site.provision("--yes")
    assert code == 0
    assert set(site.writes()) == {"AssignPrivateIpAddresses"}
    assert len(site.writes()) in (2, 3)  # this cloud works on an ENI for one request at a time
    assert {site.holder(address) for address in addresses} == {A.eni_id}


async def test_a_new_eni_is_like_the_nodes_own_and_its_line_is_for_the_file(site: Site) -> None:
    site.name((), (ENI, "eni-00000000"))
    code, out, err = await site.provision("--new-eni", "vip", "--addresses", "3", "--yes")
    assert (code, err) == (0, "")
    (eni,) = site.created()
    assert (eni.instance_id, eni.subnet_id, eni.security_groups) == (A.instance_id, SUBNET_ID, (GROUP_ID,))
    assert [ip.primary for ip in eni.ips] == [True, False, False]
    assert f'create the ENI "{NAME}" in {SUBNET_ID} of vpc-aaaaaaaa, with 3 addresses and {GROUP_ID}, and' in out
    assert "vpc:CreateNetworkInterface, vpc:AttachNetworkInterface, vpc:DeleteNetworkInterface\n" in out
    assert out.endswith(f'in the [[group]] "vip":\n  enis = ["{ENI}", "{eni.id}"]\n')
    code, again, _err = await site.provision("--new-eni", "vip", "--addresses", "3", "--yes")
    assert code == 0
    assert "nothing to do\n" in again
    assert again.endswith(f'  enis = ["{ENI}", "{eni.id}"]\n')
    site.name((), (eni.id,))
    _code, again, _err = await site.provision("--new-eni", "vip", "--yes")
    assert again.endswith(f'  enis = ["{eni.id}"]\n')
    assert len(site.created()) == 1


async def test_an_eni_that_an_interrupted_run_has_left_is_attached(open_site: Open) -> None:
    site = await open_site(lacking(name=NAME))
    site.name((VIP,))
    code, out, _err = await site.provision("--new-eni", "vip", "--addresses", "2", "--yes")
    assert code == 0
    assert f'{ENI}, called "{NAME}", has 1 of the 2 addresses' in out
    assert f"done: attach {ENI} to {A.instance_id} of web-a\n" in out
    assert site.writes() == ["AttachNetworkInterface"]


async def test_json_shows_the_plan_and_does_nothing_without_yes(site: Site) -> None:
    site.name((VIP,))
    code, said = await site.as_json()
    assert (code, said["ok"], said["confirmed"]) == (1, False, False)
    assert [step["state"] for step in said["steps"]] == ["planned"]
    assert site.writes() == []
    code, said = await site.as_json("--yes")
    assert (code, said["ok"], said["confirmed"]) == (0, True, True)
    assert said["node"] == {"node": "web-a", "eni": A.eni_id, "instance": A.instance_id}
    assert said["steps"] == [
        {
            "does": f"assign {VIP} to {A.eni_id} of web-a",
            "state": "done",
            "error": "",
            "eni": "",
            "left": "",
        }
    ]
    code, said = await site.as_json()
    assert (code, said["ok"], said["steps"]) == (0, True, [])
    code, said = await site.as_json("--new-eni", "vip", "--yes")
    (eni,) = site.created()
    assert (code, said["line"], said["steps"][0]["eni"]) == (0, f'enis = ["{eni.id}"]', eni.id)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Let standard input be a terminal, and give what types on it."""
    typist, line = pty.openpty()
    with os.fdopen(line, encoding="ascii") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield typist
    os.close(typist)


async def test_a_typed_yes_is_a_yes(site: Site, terminal: int) -> None:
    site.name((VIP,))
    os.write(terminal, b"yes\n")
    code, out, _err = await site.provision()
    assert code == 0
    assert 'type "yes" to have it done: done: assign' in out
    assert site.holder(VIP) == A.eni_id


@pytest.mark.parametrize("typed", [b"y\n", b"\n", b"\x04"])
async def test_anything_else_is_a_no(site: Site, terminal: int, typed: bytes) -> None:
    site.name((VIP,))
    os.write(terminal, typed)
    code, _out, err = await site.provision()
    assert (code, err) == (1, "nothing was done\n")
    assert site.writes() == []


async def test_without_a_terminal_nothing_is_asked(site: Site) -> None:
    site.name((VIP,))
    code, out, err = await site.provision()
    assert (code, err) == (1, "nothing was done: this is no terminal, so give --yes to have it done\n")
    assert "to do     assign" in out
    assert site.writes() == []


async def test_what_has_changed_since_it_was_shown_is_not_done(site: Site, terminal: int) -> None:
    site.name((VIP,))
    running = asyncio.create_task(site.provision())
    shown: list[str] = []

    def is_asked() -> bool:
        shown.append(site.capsys.readouterr().out)
        return 'type "yes"' in "".join(shown)

    await site.until(is_asked)
    site.emulator.model.move(VIP, B.eni_id, site.emulator.service.now_ms())
    os.write(terminal, b"yes\n")
    code, _out, err = await running
    assert (code, err) == (1, "nothing was done: what there is has changed meanwhile; run this again\n")
    assert site.holder(VIP) == B.eni_id
    assert site.writes() == []


async def test_a_note_that_has_changed_since_is_no_reason(site: Site) -> None:
    site.name((VIP,))
    site.befall(Kind.THROTTLE, "DescribeNetworkInterfaceLimit", count=1)
    code, out, _err = await site.provision("--yes")
    assert (code, site.holder(VIP)) == (0, A.eni_id)
    assert f"note      the quota of {A.instance_id} is not known" in out


async def test_the_region_is_told_by_the_metadata_service_where_the_file_has_none(site: Site) -> None:
    site.name((VIP,))
    metadata = f'metadata_url = "http://127.0.0.1:{site.emulator.metadata_port}"'
    site.file.write_text(site.file.read_text().replace('region = "ap-guangzhou"', metadata))
    code, _out, err = await site.provision("--yes")
    assert (code, err) == (1, "hafailover: placement/region: there is none on this instance\n")
    site.emulator._metadata._sources["127.0.0.1"] = B.instance_id
    code, _out, _err = await site.provision("--yes")
    assert (code, site.holder(VIP)) == (0, A.eni_id)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("no.toml", "[cluster]\nname = 1\n"),
        ("absent.toml", ""),
    ],
)
async def test_a_file_that_is_wrong(site: Site, name: str, text: str) -> None:
    site.file = site.file.with_name(name)
    if text:
        site.file.write_text(text)
    code, _out, err = await site.provision("--yes")
    assert (code, err.startswith(f"{site.file}: ")) == (2, True)
    code, said = await site.as_json("--yes")
    assert (code, said["ok"], said["problems"][0]["file"]) == (2, False, str(site.file))
    assert site.writes() == []


async def test_what_forbids_a_step_is_told_by_key_and_nothing_is_done(site: Site) -> None:
    strange = "10.0.1.50"  # the primary one of the spare ENI
    site.name((VIP, strange, "10.0.2.7"), ("eni-00000000",))
    code, out, _err = await site.provision("--yes")
    assert code == 1
    assert f'forbidden group "vip".addresses: {strange} is the primary address of {ENI}, which cannot move\n' in out
    assert 'forbidden group "vip".addresses: 10.0.2.7: it is not within 10.0.1.0/24, the range of ' in out
    assert 'forbidden group "vip".enis: eni-00000000 does not exist in this region' in out
    assert out.endswith("\nnothing is done\n")
    code, said = await site.as_json("--yes")
    assert (code, len(said["problems"]), said["steps"]) == (1, 3, [])
    assert site.writes() == []


async def test_a_cloud_that_has_no_room_forbids_it(open_site: Open) -> None:
    network = lacking(ips=tuple(PrivateIp(f"10.0.1.{50 + last}", primary=not last) for last in range(7)))
    small = replace(network.instances[A.instance_id], cpu=1, memory_gb=2)  # two ENIs with six addresses each
    site = await open_site(network.with_instance(small))
    site.name(tuple(f"10.0.1.{100 + last}" for last in range(6)), (ENI,))
    code, out, _err = await site.provision("--yes")
    assert code == 1
    assert f"forbidden group.addresses: {A.eni_id} of web-a has 1 of at most 6 addresses, and 10.0.1.100" in out
    assert f'forbidden group "vip".enis: {ENI} has 7 addresses, and 6 are allowed there\n' in out
    assert site.writes() == []


async def test_an_eni_and_an_address_of_a_stranger_are_left_alone(open_site: Open) -> None:
    strange = NodeSpec("stranger", "ins-zzzzzzzz", "eni-zzzzzzzz", "10.0.1.9")
    network = build((A, B, strange), addresses=())
    site = await open_site(network.with_enis(replace(lacking().enis[ENI], instance_id="ins-zzzzzzzz")))
    site.emulator.model.move(VIP, "eni-zzzzzzzz", 0)
    site.name((VIP,), (ENI,))
    code, out, _err = await site.provision("--yes")
    assert code == 1
    assert (
        f"{VIP} is on eni-zzzzzzzz, attached to ins-zzzzzzzz, which is no node's own ENI; nothing is taken" in out
    )
    assert f"{ENI} is attached to ins-zzzzzzzz, which is no node's; nothing is taken from it\n" in out
    assert site.writes() == []


async def test_a_havips_address_is_left_alone(site: Site) -> None:
    network = site.emulator.model.network
    havip = HaVip("havip-aaaaaaaa", "floating", VIP, VPC_ID, SUBNET_ID)
    site.emulator.model._keep(replace(network, havips={havip.id: havip}), site.emulator.service.now_ms())
    site.name((VIP,))
    code, out, _err = await site.provision("--yes")
    assert (code, site.writes()) == (1, [])
    assert f'forbidden group "vip".addresses: {VIP}: it is the address of the HAVIP havip-aaaaaaaa\n' in out


async def test_a_group_that_is_not_in_the_file_is_a_mistake_in_the_call(site: Site) -> None:
    site.name((VIP,))
    code, _out, err = await site.provision("--new-eni", "db")
    assert code == 2
    assert err == f'{site.file}: --new-eni: "db" is not a group of this file; allowed: "vip"\n'
    code, said = await site.as_json("--new-eni", "db")
    assert (code, said["ok"], said["problems"][0]["key"]) == (2, False, "--new-eni")


@pytest.mark.parametrize(
    "words", [("--addresses", "11"), ("--addresses", "0"), ("--addresses", "x"), ("--credentials", "mine")]
)
async def test_wrong_usage(site: Site, words: tuple[str, ...]) -> None:
    site.name((VIP,))
    with pytest.raises(SystemExit) as end:
        await site.provision("--new-eni", "vip", *words)
    assert end.value.code == 2


async def test_an_operators_own_key_takes_the_place_of_the_files(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = site.file.parent / "keys.toml"
    keys.write_text('secret_id = "AKIDemulator"\nsecret_key = "emulator-secret-key"\n')
    keys.chmod(0o600)
    monkeypatch.delenv("TENCENTCLOUD_SECRET_ID")
    site.name((VIP,))
    code, _out, err = await site.provision("--yes")
    assert code == 1
    assert err.startswith("hafailover: ClientCredentials: ")
    code, said = await site.as_json("--yes")
    assert (code, said["ok"]) == (1, False)
    assert said["error"].startswith("ClientCredentials: ")
    code, _out, _err = await site.provision("--yes", "--credentials", f"file:{keys}")
    assert code == 0
    assert site.holder(VIP) == A.eni_id


async def test_a_clock_that_is_wrong_is_put_right_by_the_apis(open_site: Open) -> None:
    site = await open_site(lacking())
    site.emulator.service.unix_s = lambda: time.time() + 1_000
    site.name((VIP,))
    code, _out, _err = await site.provision("--yes")
    assert code == 0
    assert site.holder(VIP) == A.eni_id


async def test_what_an_earlier_run_has_begun_is_waited_for(site: Site) -> None:
    site.name((VIP,), (ENI,))
    site.befall(Kind.TASK_SLOW, "AttachNetworkInterface", ms=400, count=1)
    site.befall(Kind.TASK_SLOW, "AssignPrivateIpAddresses", ms=400, count=1)
    model, now_ms = site.emulator.model, site.emulator.service.now_ms()
    plan = site.emulator.faults.plan
    handling = plan("AttachNetworkInterface", ("x",)).handling
    attach = {"NetworkInterfaceId": ENI, "InstanceId": A.instance_id}
    model.request("AttachNetworkInterface", attach, "x", now_ms, handling)
    assign = {"NetworkInterfaceId": A.eni_id, "PrivateIpAddresses": [{"PrivateIpAddress": VIP}]}
    model.request("AssignPrivateIpAddresses", assign, "x", now_ms, handling)
    site.emulator.service.arm()
    code, out, _err = await site.provision("--yes")
    assert code == 0
    assert out.endswith("nothing to do\n")
    assert (site.holder(VIP), site.holder(ENI)) == (A.eni_id, A.instance_id)


async def test_what_is_found_on_another_node_stays_there(open_site: Open) -> None:
    network = lacking(instance_id=B.instance_id)
    site = await open_site(network)
    site.emulator.model.move(VIP, B.eni_id, 0)
    site.emulator.model.set_instance_state(B.instance_id, InstanceState.STOPPED, 0)
    site.name((VIP,), (ENI,))
    code, out, _err = await site.provision("--yes")
    assert code == 0
    assert f"there     {VIP} on {B.eni_id} of web-b\n" in out
    assert f"there     {ENI} attached to {B.instance_id} of web-b\n" in out
    assert site.writes() == []
