"""Which EIPs are to be bound again, and binding them: by the book, and against the emulator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hafailover.cloud import binder
from hafailover.cloud.eips import FORGET_MS, Binding, Eip, EipBook, may_bind
from hafailover.cloud.replies import Address, Eni
from hafailover.election.values import Resource, ResourceKind
from hafailover.emulator.faults import Fault, Kind
from hafailover.emulator.world import PAIR, VIP, build
from tests.unit.cloud.stub import MakeBench, answer, error
from tests.unit.cloud.test_cloud_emulator import Rig, rig

A, B = (node.eni_id for node in PAIR)
EIP, OTHER = "eip-aaaaaaaa", "eip-bbbbbbbb"
AT_A, AT_B = Binding(VIP, EIP, A), Binding(VIP, EIP, B)


def eni(eni_id: str, *, eip: str | None = None, state: str = "AVAILABLE") -> Eni:
    """Return an ENI; it carries the address where `eip` is given, "" for one without an EIP."""
    carried = () if eip is None else (Address(VIP, primary=False, state=state, eip_id=eip),)
    return Eni(
        eni_id,
        "",
        None,
        primary=True,
        state="AVAILABLE",
        subnet_id="",
        zone="",
        addresses=carried,
        security_groups=(),
    )


def book(*readings: tuple[Eni, ...], known: tuple[Binding, ...] = ()) -> EipBook:
    made = EipBook([VIP, "2001:db8::1"], known)
    for reading in readings:
        made.see(reading, 0)
    return made


BOUND_AT_A = (eni(A, eip=EIP), eni(B))
BARE_AT_A = (eni(A, eip=""), eni(B))
BARE_AT_B = (eni(A), eni(B, eip=""))
NOWHERE = (eni(A), eni(B))
ON_ITS_WAY = (eni(A, eip=EIP, state="MIGRATING"), eni(B))


def test_what_is_bound_is_remembered_and_not_lost() -> None:
    made = EipBook([VIP])
    made.see(BOUND_AT_A, 0)
    made.see(BOUND_AT_A, 0)
    assert (made.bindings, made.lost) == ((AT_A,), ())


@pytest.mark.parametrize(
    "readings",
    [
        (BOUND_AT_A, BARE_AT_B),
        (BOUND_AT_A, NOWHERE, BARE_AT_B),
        (BOUND_AT_A, ON_ITS_WAY, BARE_AT_B),
        (BOUND_AT_A, BARE_AT_B, BARE_AT_B),
        (BOUND_AT_A, BARE_AT_B, NOWHERE, BARE_AT_B),
    ],
)
def test_an_address_that_has_changed_hands_without_its_eip_has_lost_it(
    readings: tuple[tuple[Eni, ...], ...],
) -> None:
    assert book(*readings).lost == (AT_B,)


def test_one_that_was_released_and_came_back_has_lost_it_too() -> None:
    assert book(BOUND_AT_A, NOWHERE, BARE_AT_A).lost == (AT_A,)


def test_while_nobody_has_the_address_nothing_is_to_be_bound() -> None:
    assert book(BOUND_AT_A, BARE_AT_B, NOWHERE).lost == ()
    assert book(BOUND_AT_A, (eni(A, eip=EIP), eni(B, eip=""))).lost == ()


@pytest.mark.parametrize("gap", [NOWHERE, ON_ITS_WAY, BARE_AT_B])
def test_one_that_was_released_and_came_back_before_a_restart_has_lost_it_too(gap: tuple[Eni, ...]) -> None:
    noted = book(BOUND_AT_A, gap).bindings
    assert noted == (Binding(VIP, EIP, ""),)
    again = book(BARE_AT_A, known=noted)
    assert again.lost == (AT_A,)
    assert book(BARE_AT_A, known=again.bindings).lost == (AT_A,)


@pytest.mark.parametrize(("after_ms", "kept"), [(0, (AT_A,)), (FORGET_MS - 1, (AT_A,)), (FORGET_MS, ())])
def test_an_eip_that_somebody_took_off_is_forgotten_after_a_while(after_ms: int, kept: tuple[Binding, ...]) -> None:
    made = book(BOUND_AT_A, BARE_AT_A)
    made.see(BARE_AT_A, after_ms)
    assert (made.bindings, made.lost) == (kept, ())


def test_what_is_forgotten_is_not_lost_when_the_address_moves() -> None:
    made = book(BOUND_AT_A, BARE_AT_A)
    made.see(BARE_AT_A, FORGET_MS)
    made.see(BARE_AT_B, FORGET_MS)
    assert (made.bindings, made.lost) == ((), ())


def test_one_that_came_back_unseen_and_moved_on_has_lost_it() -> None:
    assert book(BOUND_AT_A, BARE_AT_A, BARE_AT_B).lost == (AT_B,)
    assert book(BOUND_AT_A, BARE_AT_A, NOWHERE, BARE_AT_A).lost == (AT_A,)


def test_the_minute_begins_anew_once_it_was_bound_meanwhile() -> None:
    made = book(BOUND_AT_A, BARE_AT_A, BOUND_AT_A)
    made.see(BARE_AT_A, FORGET_MS)
    assert made.bindings == (AT_A,)


@pytest.mark.parametrize(("reading", "lost"), [(BARE_AT_B, (AT_B,)), (BARE_AT_A, ()), (NOWHERE, ())])
def test_an_earlier_runs_note_counts_like_a_reading(reading: tuple[Eni, ...], lost: tuple[Binding, ...]) -> None:
    assert book(reading, known=(AT_A,)).lost == lost


def test_a_note_on_an_address_that_is_not_in_the_file_any_more_is_dropped() -> None:
    assert book(known=(replace(AT_A, address="10.0.1.9"),)).bindings == ()


def test_once_it_is_bound_again_it_is_lost_no_more() -> None:
    made = book(BOUND_AT_A, BARE_AT_B)
    made.restored(AT_B)
    assert (made.bindings, made.lost) == ((AT_B,), ())
    assert book(BOUND_AT_A, BARE_AT_B, (eni(A), eni(B, eip=EIP))).lost == ()
    other = book(BOUND_AT_A, BARE_AT_B, (eni(A), eni(B, eip=OTHER)))
    assert other.bindings == (Binding(VIP, OTHER, B),), "whoever bound another meant it"


def test_what_is_given_up_is_not_wanted_again() -> None:
    made = book(BOUND_AT_A, BARE_AT_B)
    made.forget(VIP)
    made.see(BARE_AT_B, 0)
    assert (made.bindings, made.lost) == ((), ())


@pytest.mark.parametrize(
    ("eip", "allowed"),
    [
        (None, None),
        (Eip(EIP, "UNBIND"), True),
        (Eip(EIP, "BINDING", VIP, B), False),
        (Eip(EIP, "UNBINDING", VIP, A), False),
        (Eip(EIP, "BIND", VIP, B), False),
        (Eip(EIP, "BIND", VIP, A), None),
        (Eip(EIP, "BIND_ENI", "10.0.1.9", B), None),
    ],
)
def test_only_an_eip_that_is_bound_to_nothing_can_be_bound(eip: Eip | None, *, allowed: bool | None) -> None:
    assert may_bind(AT_B, eip) is allowed


@pytest.fixture(autouse=True)
def fast_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binder, "_FIRST_POLL_S", 0.005)
    monkeypatch.setattr(binder, "_LAST_POLL_S", 0.02)


def eip_is_at(at: Rig) -> str | None:
    return at.emulator.model.holder_of(EIP, at.emulator.service.now_ms())


async def test_an_eip_that_a_release_has_dropped_is_bound_again() -> None:
    async with rig(network=build(eip_for=VIP), task_ms=20, strategy="reassign") as at:
        made = EipBook([VIP])
        made.see(await at.cloud.describe_enis((A, B)), 0)
        await at.cloud.move(Resource(ResourceKind.ADDRESS, VIP), A, B, deadline_s=5)
        assert eip_is_at(at) is None
        made.see(await at.cloud.describe_enis((A, B)), 0)
        assert made.lost == (AT_B,)
        assert await at.cloud.bind_eip(AT_B, deadline_s=5) == ""
        assert eip_is_at(at) == VIP
        assert await at.cloud.bind_eip(AT_B, deadline_s=5) == "", "it is there already"
        assert at.writes().count("AssociateAddress") == 1


async def test_a_migration_takes_the_eip_along() -> None:
    async with rig(network=build(eip_for=VIP)) as at:
        made = EipBook([VIP])
        made.see(await at.cloud.describe_enis((A, B)), 0)
        await at.cloud.move(Resource(ResourceKind.ADDRESS, VIP), A, B, deadline_s=5)
        made.see(await at.cloud.describe_enis((A, B)), 0)
        assert (made.bindings, made.lost) == ((AT_B,), ())


async def test_an_eip_that_is_somewhere_else_is_left_there() -> None:
    async with rig(network=build(eip_for=VIP)) as at:
        assert await at.cloud.bind_eip(replace(AT_B, address="10.0.1.9"), deadline_s=5) == binder.TAKEN
        assert await at.cloud.bind_eip(replace(AT_B, eip_id=OTHER), deadline_s=5) == binder.TAKEN
        assert at.writes() == []


async def test_a_refusal_is_told_by_its_code() -> None:
    async with rig(network=build(eip_for=VIP), strategy="reassign") as at:
        await at.cloud.move(Resource(ResourceKind.ADDRESS, VIP), A, B, deadline_s=5)
        at.emulator.faults.add(Fault(Kind.ERROR, "AssociateAddress", code="UnauthorizedOperation"))
        assert await at.cloud.bind_eip(AT_B, deadline_s=5) == "UnauthorizedOperation"


ADDRESS: dict[str, Any] = {"AddressId": EIP, "AddressStatus": "UNBIND"}


@pytest.mark.parametrize(
    ("listed", "bound", "status", "code"),
    [
        (ADDRESS, answer(TaskId="7"), "FAILED", "TaskFailed"),
        (ADDRESS, answer(TaskId="seven"), "SUCCESS", "ClientBadReply"),
        (ADDRESS, answer(TaskId="7"), "PERHAPS", "ClientBadReply"),
        (ADDRESS, answer(TaskId="7"), "RUNNING", binder.WAITS),
        (ADDRESS, error("OperationDenied.MutexTaskRunning"), "", "OperationDenied.MutexTaskRunning"),
        ({**ADDRESS, "AddressStatus": "BINDING"}, b"", "", binder.WAITS),
    ],
)
async def test_what_keeps_an_eip_from_being_bound(
    make_bench: MakeBench, listed: dict[str, Any], bound: bytes, status: str, code: str
) -> None:
    answers = {
        "DescribeAddresses": answer(AddressSet=[listed]),
        "AssociateAddress": bound,
        "DescribeTaskResult": answer(Result=status),
    }
    bench = await make_bench(lambda asked: answers[asked.action])
    assert await bench.cloud.bind_eip(AT_B, deadline_s=0.3) == code


def test_of_an_address_that_is_looked_after_no_longer_nothing_is_known() -> None:
    made = book(BOUND_AT_A, BARE_AT_B)
    made.keep(["10.0.1.101"])
    made.restored(AT_B)
    made.see(BOUND_AT_A, 0)
    assert (made.bindings, made.lost) == ((), ())


def test_one_that_is_looked_after_again_is_seen_again() -> None:
    made = EipBook(["10.0.1.101"])
    made.keep([VIP, "2001:db8::1"])
    made.see(BOUND_AT_A, 0)
    assert made.bindings == (AT_A,)
