"""ENIs are attached, detached and migrated under the rules of the VPC API, and stay with one instance at a time."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tencentcloud.vpc.v20170312 import errorcodes

from hafailover.emulator.model import Model, Rules
from hafailover.emulator.network import EniState, Instance, InstanceState
from hafailover.emulator.values import ApiError, Change, Fate, Handling
from hafailover.emulator.world import PAIR, VIP, EniSpec, NodeSpec, build
from tests.unit.emulator.sdk import emulated

if TYPE_CHECKING:
    from hafailover.emulator.network import Network

A, B = (node.instance_id for node in PAIR)
PRIMARY = PAIR[0].eni_id
FREE, HELD = "eni-cccccccc", "eni-dddddddd"
TASK_MS = 500
MUTEX = "UnsupportedOperation.MutexOperationTaskRunning"
NOT_FOUND = "UnsupportedOperation.AttachmentNotFound"
ENIS = (EniSpec(FREE, ("10.0.1.50", "10.0.1.51")), EniSpec(HELD, ("10.0.1.60",), A))


def cloud(network: Network | None = None, **rules: Any) -> Model:
    return Model(network or build(enis=ENIS, eip_for="10.0.1.60"), rules=Rules(**{"task_ms": TASK_MS, **rules}))


def ask(model: Model, now: int, action: str, eni: str, handling: Handling | None = None, **fields: Any) -> str:
    name = f"{action}NetworkInterface"
    asked = {"NetworkInterfaceId": eni, **fields}
    return str(model.request(name, asked, "x", now, handling or Handling())["RequestId"])


def attach(model: Model, now: int, eni: str = FREE, to: str = B, **fields: Any) -> str:
    return ask(model, now, "Attach", eni, InstanceId=to, **fields)


def detach(model: Model, now: int, eni: str = HELD, source: str = A, **fields: Any) -> str:
    return ask(model, now, "Detach", eni, InstanceId=source, **fields)


def migrate(model: Model, now: int, eni: str = HELD, source: str = A, to: str = B, **fields: Any) -> str:
    return ask(model, now, "Migrate", eni, SourceInstanceId=source, DestinationInstanceId=to, **fields)


def status(model: Model, task: str, now: int) -> str:
    return str(model.request("DescribeVpcTaskResult", {"TaskId": task}, "x", now)["Status"])


def shown(model: Model, now: int, eni: str) -> tuple[str, str, str | None]:
    (found,) = model.request("DescribeNetworkInterfaces", {"NetworkInterfaceIds": [eni]}, "x", now)[
        "NetworkInterfaceSet"
    ]
    return found["State"], found["NetworkInterfaceState"], (found["Attachment"] or {}).get("InstanceId")


def refused(code: str) -> Any:
    return pytest.raises(ApiError, match=f"^{code}: ")


def test_an_eni_is_attached_one_task_time_after_it_was_asked_for() -> None:
    model = cloud()
    heard: list[Change] = []
    model.listeners.append(heard.append)
    assert shown(model, 0, FREE) == ("AVAILABLE", "AVAILABLE", None)
    task = attach(model, 0)
    assert shown(model, TASK_MS - 1, FREE) == ("ATTACHING", "ATTACHING", None)
    assert model.holder_of(FREE, TASK_MS - 1) is None
    assert shown(model, TASK_MS, FREE) == ("AVAILABLE", "INUSE", B)
    assert status(model, task, TASK_MS) == "SUCCESS"
    assert list(model.history) == heard == [Change(TASK_MS, FREE, None, B, "x", "AttachNetworkInterface", task, 0)]


def test_an_eni_that_is_detached_is_held_until_the_effect() -> None:
    model = cloud()
    detach(model, 0)
    assert shown(model, TASK_MS - 1, HELD) == ("DETACHING", "DETACHING", A)
    assert shown(model, TASK_MS, HELD) == ("AVAILABLE", "AVAILABLE", None)
    assert [(change.resource, change.before, change.after) for change in model.history] == [(HELD, A, None)]


def test_an_eni_that_migrates_takes_all_that_it_has_along() -> None:
    model = cloud()
    before = model.network.enis[HELD]
    migrate(model, 0)
    assert shown(model, TASK_MS - 1, HELD) == ("DETACHING", "DETACHING", A)
    assert shown(model, TASK_MS, HELD) == ("AVAILABLE", "INUSE", B)
    after = model.network.enis[HELD]
    assert (after.ips, after.security_groups, after.mac) == (before.ips, before.security_groups, before.mac)
    assert model.network.holder_of("10.0.1.60") == HELD
    assert model.network.eip_of(after.vpc_id, "10.0.1.60")
    assert [(change.resource, change.before, change.after) for change in model.history] == [(HELD, A, B)]


def test_an_eni_that_migrates_may_look_as_if_it_did_not() -> None:
    model = cloud(migrating_eni="AVAILABLE")
    migrate(model, 0)
    assert shown(model, TASK_MS - 1, HELD) == ("AVAILABLE", "INUSE", A)
    with refused(MUTEX):
        migrate(model, TASK_MS - 1)
    assert shown(model, TASK_MS, HELD) == ("AVAILABLE", "INUSE", B)
    detach(model, TASK_MS, source=B)
    assert shown(model, TASK_MS + 1, HELD) == ("DETACHING", "DETACHING", B)


def test_the_platform_chooses_the_first_free_place() -> None:
    larger = tuple(replace(node, cpu=4, memory_gb=8) for node in PAIR)
    model = cloud(build(larger, enis=ENIS), task_ms=0)
    attach(model, 0, to=A)
    migrate(model, 1, FREE)
    migrate(model, 2)
    attach_order = [(eni.id, eni.device_index) for eni in model.network.enis_of(B)]
    assert attach_order == [(PAIR[1].eni_id, 0), (FREE, 1)]
    model.advance(2)
    assert [(eni.id, eni.device_index) for eni in model.network.enis_of(B)][1:] == [(FREE, 1), (HELD, 2)]
    detach(model, 3, FREE, B)
    attach(model, 4, to=A)
    detach(model, 5, HELD, B)
    attach(model, 6, HELD, to=B)
    model.advance(6)
    assert [model.network.enis[eni].device_index for eni in (FREE, HELD)] == [1, 1]


STRANGER = "ins-zzzzzzzz"
MALFORMED = "InvalidParameterValue.Malformed"
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("Attach", {"eni": PRIMARY}, "UnsupportedOperation"),
    ("Attach", {"eni": HELD}, "UnsupportedOperation.AttachmentAlreadyExists"),
    ("Attach", {"to": STRANGER}, "ResourceNotFound"),
    ("Attach", {"eni": "eni-zzzzzzzz"}, "ResourceNotFound"),
    ("Attach", {"eni": "eni-1"}, MALFORMED),
    ("Attach", {"to": "web-b"}, MALFORMED),
    ("Attach", {"AttachType": 2}, "InvalidParameterValue.Range"),
    ("Attach", {"ClientToken": "x" * 65}, MALFORMED),
    ("Detach", {"eni": PRIMARY}, "UnsupportedOperation"),
    ("Detach", {"source": B}, NOT_FOUND),
    ("Detach", {"eni": FREE}, NOT_FOUND),
    ("Detach", {"source": STRANGER}, "ResourceNotFound"),
    ("Detach", {"eni": "eni-zzzzzzzz"}, "ResourceNotFound"),
    ("Detach", {"AttachType": 0}, "UnknownParameter"),
    ("Migrate", {"eni": PRIMARY}, "UnsupportedOperation"),
    ("Migrate", {"source": B, "to": A}, NOT_FOUND),
    ("Migrate", {"eni": FREE}, NOT_FOUND),
    ("Migrate", {"to": A}, "UnsupportedOperation"),
    ("Migrate", {"to": STRANGER}, "ResourceNotFound"),
    ("Migrate", {"source": STRANGER}, "ResourceNotFound"),
    ("Migrate", {"eni": "eni-zzzzzzzz"}, "ResourceNotFound"),
    ("Migrate", {"ClientToken": "t"}, "UnknownParameter"),
    ("Migrate", {"AttachType": "0"}, "InvalidParameter"),
]
ASK = {"Attach": attach, "Detach": detach, "Migrate": migrate}


@pytest.mark.parametrize(("action", "fields", "code"), REFUSED)
def test_what_is_refused(action: str, fields: dict[str, Any], code: str) -> None:
    model = cloud()
    before = model.network
    with refused(code):
        ASK[action](model, 0, **fields)
    assert model.network is before
    assert code in vars(errorcodes).values() or code == "UnknownParameter"


def elsewhere(**changes: str) -> Network:
    """Return the network with the second instance in another zone or VPC."""
    network = build(enis=ENIS)
    return network.with_instance(replace(network.instances[B], **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("action", ["Attach", "Migrate"])
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"zone": "ap-guangzhou-4"}, "UnsupportedOperation.ZoneMismatch"),
        ({"vpc_id": "vpc-bbbbbbbb", "zone": "ap-guangzhou-4"}, "UnsupportedOperation.VpcMismatch"),
    ],
)
def test_an_eni_stays_in_its_zone_and_vpc(action: str, changes: dict[str, str], code: str) -> None:
    with refused(code):
        ASK[action](cloud(elsewhere(**changes)), 0)


@pytest.mark.parametrize("state", InstanceState)
def test_instances_have_to_run_or_to_be_off(state: InstanceState) -> None:
    for changed, action, code in (
        (B, "Attach", "UnsupportedOperation.ResourceIsInvalidState"),
        (B, "Migrate", "UnsupportedOperation"),
        (A, "Migrate", "UnsupportedOperation"),
    ):
        model = cloud()
        model.set_instance_state(changed, state, 0)
        fits = state in (InstanceState.RUNNING, InstanceState.STOPPED)
        with contextlib.nullcontext() if fits else refused(code):
            ASK[action](model, 1)
    model = cloud()
    model.set_instance_state(A, state, 0)
    detach(model, 1)  # what is off, or going, can always be relieved of an ENI


def test_what_changed_meanwhile_fails_the_task() -> None:
    model = cloud()
    task = attach(model, 0)
    model.set_instance_state(B, InstanceState.STOPPING, 1)
    assert status(model, task, TASK_MS) == "FAILED"
    assert shown(model, TASK_MS, FREE) == ("AVAILABLE", "AVAILABLE", None)
    assert not model.history


def test_an_instance_has_so_many_enis_also_while_they_are_on_their_way() -> None:
    small = NodeSpec("c", "ins-cccccccc", "eni-eeeeeeee", "10.0.1.18", cpu=1, memory_gb=1)
    model = cloud(build((*PAIR, small), enis=ENIS))
    attach(model, 0, to=small.instance_id)
    with refused("LimitExceeded"):
        migrate(model, 1, to=small.instance_id)
    with refused("LimitExceeded"):
        migrate(model, TASK_MS, to=small.instance_id)
    detach(model, TASK_MS, FREE, small.instance_id)
    migrate(model, 2 * TASK_MS, to=small.instance_id)
    assert model.holder_of(HELD, 3 * TASK_MS) == small.instance_id


def test_where_the_quota_is_not_known_there_is_none_but_for_the_addresses_of_every_eni() -> None:
    odd = replace(PAIR[1], cpu=3)
    model = cloud(build((PAIR[0], odd), enis=ENIS), task_ms=0)
    for eni in (FREE, HELD):
        model.attach(eni, None, 0)
        attach(model, 0, eni)
        model.advance(0)
    assert len(model.network.enis_of(B)) == 3
    count = {"NetworkInterfaceId": PAIR[1].eni_id, "SecondaryPrivateIpAddressCount": 10}
    for now in (1, 2):
        model.request("AssignPrivateIpAddresses", count, "x", now)
    with refused("LimitExceeded"):
        model.request("AssignPrivateIpAddresses", count, "x", 3)
    model.request("AssignPrivateIpAddresses", {**count, "SecondaryPrivateIpAddressCount": 9}, "x", 3)
    model.advance(3)
    assert len(model.network.enis[PAIR[1].eni_id].ips) == 30


@pytest.mark.parametrize("first", ["Attach", "Detach", "Migrate"])
@pytest.mark.parametrize("second", ["Attach", "Detach", "Migrate"])
@pytest.mark.parametrize("serialise", ["eni", "ip"])
def test_one_move_of_an_eni_at_a_time(first: str, second: str, serialise: str) -> None:
    model = cloud(serialise=serialise)
    eni = FREE if first == "Attach" else HELD
    ASK[first](model, 0, eni)
    before = model.network
    with refused(MUTEX if second == "Migrate" else "UnsupportedOperation.InvalidState"):
        ASK[second](model, TASK_MS - 1, eni)
    assert model.network is before


def assign(model: Model, now: int) -> None:
    fields = {"NetworkInterfaceId": HELD, "PrivateIpAddresses": [{"PrivateIpAddress": "10.0.1.70"}]}
    model.request("AssignPrivateIpAddresses", fields, "x", now)


def unassign(model: Model, now: int) -> None:
    fields = {"NetworkInterfaceId": HELD, "PrivateIpAddresses": [{"PrivateIpAddress": "10.0.1.70"}]}
    model.request("UnassignPrivateIpAddresses", fields, "x", now)


def migrate_ip(model: Model, now: int, *ends: str) -> None:
    source, destination = ends or (HELD, FREE)
    fields = {"SourceNetworkInterfaceId": source, "DestinationNetworkInterfaceId": destination}
    model.request("MigratePrivateIpAddress", {**fields, "PrivateIpAddress": "10.0.1.70"}, "x", now)


def test_an_eni_and_its_addresses_are_not_moved_at_once() -> None:
    model = cloud()
    assign(model, 0)
    with refused(MUTEX):
        detach(model, 1)
    detach(model, TASK_MS)
    for write in (assign, unassign, migrate_ip):
        with refused(MUTEX):
            write(model, TASK_MS + 1)


def test_an_eni_on_its_way_says_so_where_only_addresses_are_serialised() -> None:
    model = cloud(serialise="ip", task_ms=0)
    assign(model, 0)
    model.advance(1)
    model.rules.task_ms = TASK_MS
    detach(model, 1)
    with refused("UnsupportedOperation.InvalidState"):
        unassign(model, 2)
    with refused(MUTEX):
        migrate_ip(model, 2)
    model.move("10.0.1.70", FREE, 3)
    with refused(MUTEX):
        migrate_ip(model, 3, FREE, HELD)
    model.move("10.0.1.70", None, 4)
    with refused("UnsupportedOperation.InvalidState"):
        assign(model, 5)


@pytest.mark.parametrize("action", ["Attach", "Detach"])
def test_client_tokens_make_them_idempotent(action: str) -> None:
    model = cloud()
    task = ASK[action](model, 0, ClientToken="t")
    with refused("UnsupportedOperation.IdempotentProcessing"):
        ASK[action](model, 1, ClientToken="t")
    ASK[action](model, TASK_MS, ClientToken="t")
    with refused("UnsupportedOperation.IdempotentParameterMismatch"):
        ASK[action](model, TASK_MS, PRIMARY, ClientToken="t")
    assert status(model, task, TASK_MS) == "SUCCESS"
    assert len(model.history) == 1


@pytest.mark.parametrize("action", ["Attach", "Detach", "Migrate"])
def test_tasks_made_to_fail_leave_things_as_they_were(action: str) -> None:
    model = cloud()
    before = model.network
    task = ASK[action](model, 0, handling=Handling(fate=Fate.FAIL))
    assert model.network != before
    assert status(model, task, TASK_MS) == "FAILED"
    assert model.network == before
    assert not model.history


def test_an_eni_that_went_away_meanwhile() -> None:
    model = cloud()
    task = detach(model, 0)
    enis = {name: eni for name, eni in model.network.enis.items() if name != HELD}
    model._keep(replace(model.network, enis=enis), 1)
    assert status(model, task, TASK_MS) == "FAILED"


def test_moves_by_hand() -> None:
    model = cloud()
    task = migrate(model, 0)
    model.attach(HELD, B, 100)
    assert status(model, task, TASK_MS) == "FAILED"  # it was no longer where the request said
    assert shown(model, TASK_MS, HELD) == ("AVAILABLE", "INUSE", B)
    model.attach(HELD, None, 600)
    told = [(change.at_ms, change.before, change.after, change.action, change.caller) for change in model.history]
    assert told == [(100, A, B, "attach", "console"), (600, B, None, "attach", "console")]
    with refused("UnsupportedOperation"):
        model.attach(PRIMARY, B, 700)
    for eni, instance in ((HELD, STRANGER), ("eni-zzzzzzzz", A)):
        with refused("ResourceNotFound"):
            model.attach(eni, instance, 700)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("Attach", "Detach", "Migrate", "hand", "assign", "address", "release")),
        st.sampled_from((FREE, HELD)),
        st.sampled_from((A, B)),
        st.sampled_from(tuple(Fate)),
        st.integers(0, 700),
    ),
    max_size=30,
)


@given(STEPS, st.sampled_from(("eni", "ip")))
def test_whatever_is_asked_an_eni_has_one_holder_and_the_history_is_true(
    steps: list[tuple[str, str, str, Fate, int]], serialise: str
) -> None:
    model = cloud(serialise=serialise)
    first = {FREE: None, HELD: A}
    now = 0
    for action, eni, instance, fate, wait_ms in steps:
        now += wait_ms
        with contextlib.suppress(ApiError):
            _step(model, now, action, eni, instance, fate)
    now += TASK_MS
    model.release_stuck(now)
    assert model.next_due() is None
    assert {(eni.state, eni.bound_for) for eni in model.network.enis.values()} == {(EniState.AVAILABLE, None)}
    for instance in (A, B):
        places = [eni.device_index for eni in model.network.enis_of(instance)]
        assert len(places) == len(set(places)), places
    for eni, holder in first.items():
        chain = [change for change in model.history if change.resource == eni]
        assert [change.before for change in chain] == [holder, *(change.after for change in chain)][: len(chain)]
        assert model.network.holder_of(eni) == (chain[-1].after if chain else holder)


def _step(model: Model, now: int, action: str, eni: str, instance: str, fate: Fate) -> None:
    other = B if instance == A else A
    if action == "hand":
        model.attach(eni, instance, now)
    elif action == "release":
        model.release_stuck(now)
    elif action == "assign":
        assign(model, now)
    elif action == "address":
        migrate_ip(model, now)
    elif action == "Migrate":
        migrate(model, now, eni, other, instance, handling=Handling(fate=fate))
    else:
        ASK[action](model, now, eni, instance, handling=Handling(fate=fate))


async def test_the_sdk_moves_enis() -> None:
    async with emulated(build(enis=ENIS)) as sdk:
        changes: list[Change] = []
        sdk.emulator.model.listeners.append(changes.append)
        ends = {"SourceInstanceId": A, "DestinationInstanceId": B}
        assert await sdk.task("MigrateNetworkInterface", NetworkInterfaceId=HELD, **ends) == "SUCCESS"
        assert (await sdk.eni(HELD)).Attachment.InstanceId == B
        assert await sdk.refused("MigrateNetworkInterface", NetworkInterfaceId=HELD, **ends) == NOT_FOUND
        token = {"NetworkInterfaceId": HELD, "InstanceId": B, "ClientToken": "t"}
        assert await sdk.task("DetachNetworkInterface", **token) == "SUCCESS"
        assert (await sdk.eni(HELD)).Attachment is None
        assert await sdk.task("AttachNetworkInterface", NetworkInterfaceId=HELD, InstanceId=A) == "SUCCESS"
        await sdk.call("DetachNetworkInterface", **token)  # the token's task has been done
        attached = await sdk.eni(HELD)
    assert (attached.Attachment.InstanceId, attached.Attachment.DeviceIndex) == (A, 1)
    assert (attached.State, attached.NetworkInterfaceState) == ("AVAILABLE", "INUSE")
    assert [(change.resource, change.before, change.after) for change in changes] == [
        (HELD, A, B),
        (HELD, B, None),
        (HELD, None, A),
    ]


async def test_the_sdk_sees_an_eni_on_its_way() -> None:
    async with emulated(build(enis=ENIS), task_ms=60_000) as sdk:
        await sdk.call("AttachNetworkInterface", NetworkInterfaceId=FREE, InstanceId=B)
        again = await sdk.refused("AttachNetworkInterface", NetworkInterfaceId=FREE, InstanceId=A)
        seen = await sdk.eni(FREE)
    assert again == "UnsupportedOperation.InvalidState"
    assert (seen.State, seen.Attachment) == ("ATTACHING", None)


def test_an_instance_may_come_without_a_primary_eni() -> None:
    network = build(enis=ENIS)
    lone = Instance("ins-cccccccc", "c", "vpc-aaaaaaaa", "subnet-aaaaaaaa", "ap-guangzhou-3", 2, 4)
    model = cloud(network.with_instance(lone), task_ms=0)
    attach(model, 0, to=lone.id)
    model.advance(0)
    assert [(eni.id, eni.device_index) for eni in model.network.enis_of(lone.id)] == [(FREE, 1)]
    assert model.network.holder_of(VIP) == PRIMARY
