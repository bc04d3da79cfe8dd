"""What the cloud and the network may do to a run half way, and what the run and the one after it make of that."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from hafailover.emulator.faults import Kind
from hafailover.emulator.world import VIP
from hafailover.provision import work
from tests.unit.provision.site import ENI, SIX, A, B

if TYPE_CHECKING:
    from tests.unit.provision.site import Site

ASSIGN, ASSIGN6 = "AssignPrivateIpAddresses", "AssignIpv6Addresses"
CREATE, ATTACH, DELETE = "CreateNetworkInterface", "AttachNetworkInterface", "DeleteNetworkInterface"
NEW = ("--new-eni", "vip", "--yes")
LOST = (Kind.HANG_AFTER, Kind.RESET_AFTER, Kind.HTTP_500_AFTER, Kind.TRUNCATED)


@pytest.mark.parametrize("kind", LOST)
@pytest.mark.parametrize(("resource", "action"), [(VIP, ASSIGN), (SIX, ASSIGN6), (ENI, ATTACH)])
async def test_an_answer_that_is_lost_costs_nothing(site: Site, kind: Kind, resource: str, action: str) -> None:
    site.name(() if resource == ENI else (resource,), (ENI,) if resource == ENI else ())
    site.befall(kind, action, count=1)
    code, _out, _err = await site.provision("--yes")
    assert code == 0
    assert site.holder(resource) == (A.instance_id if resource == ENI else A.eni_id)
    code, out, _err = await site.provision("--yes")
    assert (code, out.endswith("nothing to do\n")) == (0, True)
    assert site.writes() == [action]


@pytest.mark.parametrize("kind", LOST)
async def test_a_creation_whose_answer_is_lost_is_found_by_its_name(site: Site, kind: Kind) -> None:
    site.name((VIP,))
    site.befall(kind, CREATE, count=1)
    code, out, _err = await site.provision(*NEW)
    (eni,) = site.created()
    assert (code, eni.instance_id) == (0, A.instance_id)
    assert f'enis = ["{eni.id}"]\n' in out
    assert site.writes() == [CREATE, ATTACH]


async def test_readings_that_lag_behind_lead_to_no_second_request(site: Site) -> None:
    site.name((VIP,))
    await asyncio.sleep(0.3)
    site.befall(Kind.STALE, "DescribeNetworkInterfaces", ms=250)
    code, _out, _err = await site.provision("--yes")
    assert (code, site.writes()) == (0, [ASSIGN])
    site.befall(Kind.RESET_AFTER, CREATE, count=1)
    code, _out, _err = await site.provision(*NEW)
    assert (code, len(site.created())) == (0, 1)
    assert site.writes() == [ASSIGN, CREATE, ATTACH]


@pytest.mark.parametrize("kind", [Kind.HANG_BEFORE, Kind.RESET_BEFORE])
async def test_a_creation_that_never_arrived_is_repeated_once_it_cannot_any_more(site: Site, kind: Kind) -> None:
    site.name((VIP,))
    site.befall(kind, CREATE, count=1)
    code, _out, _err = await site.provision(*NEW)
    assert code == 0
    assert [eni.instance_id for eni in site.created()] == [A.instance_id]


@pytest.mark.parametrize("action", [ATTACH, CREATE])
async def test_a_run_that_dies_waiting_for_an_answer_is_taken_up_by_the_next(site: Site, action: str) -> None:
    site.name((VIP,))
    site.befall(Kind.HANG_AFTER, action, count=1)
    words = ("-m", "hafailover.cli", "provision", "-c", str(site.file), *NEW)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        await site.until(lambda: action in site.writes())
        process.send_signal(signal.SIGINT)
        _out, err = await process.communicate()
    assert process.returncode == 1
    (eni,) = site.created()
    named = {ATTACH: f"{eni.id} was created; run this again, which goes on with it, or delete it"}
    unknown = "what was begun may still be done; run this again, which looks first"
    assert err.decode() == f"interrupted: {named.get(action, unknown)}\n"
    code, _out2, _err2 = await site.provision(*NEW)
    assert code == 0
    assert [eni.instance_id for eni in site.created()] == [A.instance_id]
    assert site.writes() == [CREATE, ATTACH]


@pytest.mark.parametrize("action", [ASSIGN, ATTACH])
async def test_a_throttled_write_is_repeated(site: Site, action: str) -> None:
    site.name((VIP,), (ENI,))
    site.befall(Kind.THROTTLE, action, count=2)
    site.befall(Kind.THROTTLE, "DescribeVpcTaskResult", count=2)
    code, _out, _err = await site.provision("--yes")
    assert code == 0
    assert (site.holder(VIP), site.holder(ENI)) == (A.eni_id, A.instance_id)


async def test_a_throttled_creation_is_repeated(site: Site) -> None:
    site.name((VIP,))
    site.befall(Kind.THROTTLE, CREATE, count=2)
    code, _out, _err = await site.provision(*NEW)
    assert (code, len(site.created())) == (0, 1)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("LimitExceeded", "there is no room for it, or no free address"),
        ("ResourceInUse", "somebody else has it, or the cloud is at work on it"),
        ("UnauthorizedOperation", "the CAM policy of the role or key does not allow this action on this resource"),
    ],
)
async def test_a_refusal_is_explained_and_ends_the_run(site: Site, code: str, advice: str) -> None:
    site.name((VIP,), (ENI,))
    site.befall(Kind.ERROR, ASSIGN, code=code)
    exit_code, said = await site.as_json("--yes")
    assert (exit_code, said["ok"], said["confirmed"]) == (1, False, True)
    first, second = said["steps"]
    assert (first["state"], second["state"]) == ("failed", "not tried")
    assert first["error"].startswith(f"{VIP}: {ASSIGN}: {code}: ")
    assert first["error"].endswith(f" ({advice})")
    assert site.holder(ENI) is None


async def test_a_task_that_fails_is_said_and_the_next_run_does_it(site: Site) -> None:
    site.name((VIP,))
    site.befall(Kind.TASK_FAILED, ASSIGN, count=1)
    code, out, _err = await site.provision("--yes")
    assert code == 1
    assert f"failed: assign {VIP} to {A.eni_id} of web-a: {VIP}: TaskFailed" in out
    code, _out, _err = await site.provision("--yes")
    assert (code, site.holder(VIP)) == (0, A.eni_id)


async def test_an_address_that_somebody_takes_meanwhile_is_left_there(
    site: Site,
) -> None:
    site.name((VIP, "10.0.1.101"))
    site.befall(Kind.LATENCY, ASSIGN, ms=300, count=1)
    running = asyncio.create_task(site.provision("--yes"))
    await site.until(lambda: site.asked("DescribeNetworkInterfaceLimit") == 2)  # the second look is all but over
    site.emulator.model.move("10.0.1.101", B.eni_id, site.emulator.service.now_ms())
    code, out, _err = await running
    assert code == 1
    assert f"10.0.1.101: {ASSIGN}: ResourceInUse: 10.0.1.101 is in use. (somebody else has it" in out
    assert (site.holder(VIP), site.holder("10.0.1.101")) == (A.eni_id, B.eni_id)


async def test_an_old_reading_takes_nothing_from_a_holder(site: Site) -> None:
    site.name((VIP,), (ENI,))
    model, service = site.emulator.model, site.emulator.service
    await asyncio.sleep(0.05)
    model.move(VIP, B.eni_id, service.now_ms())
    model.attach(ENI, B.instance_id, service.now_ms())
    site.befall(Kind.STALE, "DescribeNetworkInterfaces", ms=60_000)
    code, out, _err = await site.provision("--yes")
    assert code == 1
    assert f"{VIP}: {ASSIGN}: ResourceInUse" in out
    assert (site.holder(VIP), site.holder(ENI)) == (B.eni_id, B.instance_id)


async def test_a_creation_that_is_refused_leaves_nothing(site: Site) -> None:
    site.name((VIP,))
    site.befall(Kind.ERROR, CREATE, code="ResourceInsufficient.Subnet")
    code, out, _err = await site.provision(*NEW)
    assert (code, site.created()) == (1, [])
    assert f"{CREATE}: ResourceInsufficient.Subnet: " in out
    assert "enis = " not in out


async def test_a_creation_whose_task_fails_is_done_again(site: Site) -> None:
    site.name((VIP,))
    site.befall(Kind.TASK_FAILED, CREATE, count=1)
    code, _out, _err = await site.provision(*NEW)
    assert (code, len(site.created())) == (0, 1)
    assert site.writes() == [CREATE, CREATE, ATTACH]


async def test_a_creation_whose_task_fails_each_time_is_given_up(site: Site) -> None:
    site.name((VIP,))
    site.befall(Kind.TASK_FAILED, CREATE)
    code, out, _err = await site.provision(*NEW)
    assert (code, site.created()) == (1, [])
    assert "and attach it to ins-aaaaaaaa of web-a: TaskFailed" in out
    assert site.writes() == [CREATE] * work.MAX_ATTEMPTS


@pytest.mark.parametrize("how", [Kind.ERROR, Kind.TASK_FAILED])
async def test_an_eni_that_cannot_be_attached_is_deleted_again(site: Site, how: Kind) -> None:
    site.name((VIP,))
    site.befall(how, ATTACH, code="UnsupportedOperation.UnsupportedInstanceFamily" if how is Kind.ERROR else "")
    site.befall(Kind.THROTTLE, DELETE, count=1)
    code, said = await site.as_json(*NEW)
    (step,) = said["steps"]
    assert (code, step["state"], said["line"]) == (1, "failed", "")
    assert ("UnsupportedInstanceFamily" in step["error"]) is (how is Kind.ERROR)
    assert step["left"].startswith("eni-")
    assert step["left"].endswith(" is deleted again")
    assert site.created() == []
    site.emulator.faults.remove()
    code, _out, _err = await site.provision(*NEW)  # the cloud repeats its answer to the token of the first run
    assert code == 0
    assert [eni.instance_id for eni in site.created()] == [A.instance_id]


@pytest.mark.parametrize("kind", [Kind.RESET_AFTER, Kind.RESET_BEFORE])
async def test_a_deletion_whose_answer_is_lost_is_looked_after(site: Site, kind: Kind) -> None:
    site.name((VIP,))
    site.befall(Kind.ERROR, ATTACH, code="LimitExceeded")
    site.befall(kind, DELETE, count=1)
    _code, out, _err = await site.provision(*NEW)
    assert out.endswith(" is deleted again\n")
    assert site.created() == []


async def test_an_eni_that_cannot_be_deleted_either_is_named_and_the_next_run_goes_on_with_it(site: Site) -> None:
    site.name((VIP,))
    site.befall(Kind.ERROR, ATTACH, code="LimitExceeded")
    site.befall(Kind.ERROR, DELETE, code="UnauthorizedOperation")
    code, out, _err = await site.provision(*NEW)
    (eni,) = site.created()
    assert code == 1
    assert f"\n{eni.id} was created and is still there ({DELETE}: UnauthorizedOperation: " in out
    site.emulator.faults.remove()
    code, out, _err = await site.provision(*NEW)
    assert code == 0
    assert f'enis = ["{eni.id}"]\n' in out
    assert site.holder(eni.id) == A.instance_id


@pytest.mark.parametrize("action", [CREATE, ATTACH])
async def test_an_eni_with_which_the_cloud_is_never_done_is_named(
    site: Site, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "STEP_S", 1.5)
    monkeypatch.setattr(work, "CLEAN_S", 0.5)
    site.name((VIP,))
    site.befall(Kind.TASK_STUCK, action)
    code, out, _err = await site.provision(*NEW)
    (eni,) = site.created()
    assert code == 1
    assert "ClientTimeout (it may have had an effect, or still have one: run this again, which looks first)" in out
    assert f"\n{eni.id} was created and is still there (the cloud is still at work on it): run this again" in out
    code, out, _err = await site.provision(*NEW)
    assert code == 1
    assert f"forbidden --new-eni: {eni.id} is " in out
    site.emulator.model.release_stuck(site.emulator.service.now_ms())
    site.emulator.faults.remove()
    code, _out, _err = await site.provision(*NEW)
    assert (code, site.holder(eni.id)) == (0, A.instance_id)


async def test_an_eni_that_is_attached_after_all_is_not_deleted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "STEP_S", 1.0)
    site.name((VIP,))
    site.befall(Kind.TASK_SLOW, ATTACH, ms=2_000)
    code, out, _err = await site.provision(*NEW)
    (eni,) = site.created()
    assert (code, site.holder(eni.id)) == (1, A.instance_id)
    assert f"\n{eni.id} was created and is still there (it is attached to {A.instance_id}): run this again" in out
    code, out, _err = await site.provision(*NEW)
    assert (code, f'enis = ["{eni.id}"]\n' in out) == (0, True)


async def test_an_address_with_which_the_cloud_is_never_done_is_named(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "STEP_S", 1.0)
    site.name((VIP,))
    site.befall(Kind.TASK_STUCK, ASSIGN)
    code, out, _err = await site.provision("--yes")
    assert code == 1
    assert f"{VIP}: ClientTimeout (it may have had an effect" in out
    code, out, _err = await site.provision("--yes")
    assert code == 1
    assert f'forbidden group "vip".addresses: {VIP} is PENDING on {A.eni_id}: the cloud is at work on it' in out


async def test_readings_that_fail_for_a_while_do_not_end_a_run(site: Site) -> None:
    site.name((VIP,), (ENI,))
    site.befall(Kind.LATENCY, "AssignPrivateIpAddresses", ms=300, count=1)
    running = asyncio.create_task(site.provision("--yes"))
    await site.until(lambda: site.asked("DescribeNetworkInterfaceLimit") == 2)  # the second look is all but over
    await asyncio.sleep(0.1)
    site.befall(Kind.THROTTLE, "DescribeNetworkInterfaces", count=2)
    code, _out, _err = await running
    assert (code, site.holder(VIP)) == (0, A.eni_id)


async def test_readings_that_are_forbidden_meanwhile_end_it(site: Site) -> None:
    site.name((VIP,))
    site.befall(Kind.LATENCY, "AssignPrivateIpAddresses", ms=300, count=1)
    running = asyncio.create_task(site.provision("--yes"))
    await site.until(lambda: site.asked("DescribeNetworkInterfaceLimit") == 2)  # the second look is all but over
    await asyncio.sleep(0.1)
    site.befall(Kind.ERROR, "DescribeNetworkInterfaces", code="UnauthorizedOperation")
    code, out, _err = await running
    assert code == 1
    assert f"{VIP}: DescribeNetworkInterfaces: UnauthorizedOperation: " in out


async def test_a_cloud_that_cannot_be_asked_ends_it_before_it_begins(site: Site) -> None:
    site.name((VIP,))
    site.befall(Kind.ERROR, "DescribeNetworkInterfaces", code="UnauthorizedOperation")
    code, out, err = await site.provision("--yes")
    assert (code, out) == (1, "")
    assert err.startswith("hafailover: UnauthorizedOperation: ")
    assert os.linesep not in err[:-1]


async def test_what_is_not_known_of_quota_and_havips_is_said(site: Site) -> None:
    site.name((VIP,))
    site.befall(Kind.ERROR, "DescribeNetworkInterfaceLimit", code="UnauthorizedOperation")
    site.befall(Kind.ERROR, "DescribeHaVips", code="UnauthorizedOperation")
    code, out, _err = await site.provision("--yes")
    assert (code, site.holder(VIP)) == (0, A.eni_id)
    assert f"note      the quota of {A.instance_id} is not known: DescribeNetworkInterfaceLimit: Unauth" in out
    assert "note      whether a HAVIP has one of the addresses is not known: DescribeHaVips: Unauthorized" in out
