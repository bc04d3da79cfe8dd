from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hafailover.emulator import model as module
from hafailover.emulator.model import Model, Rules
from hafailover.emulator.network import InstanceState, IpState, PrivateIp
from hafailover.emulator.values import ApiError, Change, Fate, Handling
from hafailover.emulator.world import EIP_ADDRESS, VIP, NodeSpec, build

A, B, C = "eni-aaaaaaaa", "eni-bbbbbbbb", "eni-cccccccc"
TASK_MS = 500
VIP2 = "10.0.1.101"


def cloud(**rules: Any) -> Model:
    return Model(build(addresses=(VIP, VIP2), eip_for=VIP), rules=Rules(**{"task_ms": TASK_MS, **rules}))


def migrate(model: Model, now: int, source: str = A, to: str = B, ip: str = VIP, **handling: Any) -> str:
    fields = {
        "SourceNetworkInterfaceId": source,
        "DestinationNetworkInterfaceId": to,
        "PrivateIpAddress": ip,
    }
    reply = model.request("MigratePrivateIpAddress", fields, f"caller-{to}", now, Handling(**handling))
    return str(reply["RequestId"])


def assign(model: Model, now: int, eni: str = B, caller: str = "x", **fields: Any) -> dict[str, Any]:
    return model.request("AssignPrivateIpAddresses", {"NetworkInterfaceId": eni, **fields}, caller, now)


def unassign(model: Model, now: int, eni: str, *ips: str) -> dict[str, Any]:
    entries = [{"PrivateIpAddress": ip} for ip in ips]
    fields = {"NetworkInterfaceId": eni, "PrivateIpAddresses": entries}
    return model.request("UnassignPrivateIpAddresses", fields, "x", now)


def addresses(*ips: str) -> list[dict[str, Any]]:
    return [{"PrivateIpAddress": ip} for ip in ips]


def status(model: Model, task: str, now: int) -> str:
    return str(model.request("DescribeVpcTaskResult", {"TaskId": task}, "x", now)["Status"])


def refused(code: str) -> Any:
    return pytest.raises(ApiError, match=f"^{code}: ")


def state(model: Model, eni: str, ip: str = VIP) -> IpState | None:
    found = model.network.enis[eni].ip(ip)
    return found.state if found else None


def test_a_write_takes_effect_one_task_time_after_it_was_accepted() -> None:
    model = cloud()
    heard: list[Change] = []
    model.listeners.append(heard.append)
    task = migrate(model, 1000)
    assert model.next_due() == 1500
    assert state(model, A) is IpState.MIGRATING
    assert model.holder_of(VIP, 1499) == A
    assert status(model, task, 1499) == "RUNNING"
    assert model.holder_of(VIP, 9000) == B
    assert status(model, task, 9000) == "SUCCESS"
    assert state(model, B) is IpState.AVAILABLE
    assert model.next_due() is None
    change = Change(1500, VIP, A, B, f"caller-{B}", "MigratePrivateIpAddress", task, 1000)
    assert list(model.history) == heard == [change]


def test_the_same_calls_give_the_same_ids_and_another_seed_others() -> None:
    ids = [migrate(Model(build(), seed=seed), 0) for seed in ("s", "s", "t")]
    assert ids[0] == ids[1] != ids[2]
    assert [len(part) for part in ids[0].split("-")] == [8, 4, 4, 4, 12]


def test_the_named_source_must_have_the_address_when_accepted() -> None:
    model = cloud()
    with refused("UnauthorizedOperation.AttachmentNotFound") as caught:
        migrate(model, 0, source=B, to=A)
    assert caught.value.request_id
    assert not model.history


def test_and_still_when_it_takes_effect() -> None:
    model = cloud()
    task = migrate(model, 0)
    model.move(VIP, None, 100)
    model.move(VIP, B, 200)
    assert status(model, task, 1000) == "FAILED"
    assert [(change.before, change.after, change.caller) for change in model.history] == [
        (A, None, "console"),
        (VIP, None, "console"),  # the EIP
        (None, B, "console"),
    ]


@pytest.mark.parametrize(
    ("serialise", "ip", "busy"), [("eni", VIP, True), ("eni", VIP2, True), ("ip", VIP, True), ("ip", VIP2, False)]
)
def test_one_write_at_a_time(serialise: str, ip: str, busy: bool) -> None:  # noqa: FBT001 - pytest's way
    model = cloud(serialise=serialise)
    migrate(model, 0)
    if busy:
        with refused("UnsupportedOperation.MutexOperationTaskRunning"):
            migrate(model, TASK_MS - 1, ip=ip)
    else:
        migrate(model, 0, ip=ip)
        assert model.holder_of(ip, TASK_MS) == B


def test_of_two_opposite_moves_one_is_busy_then_one_is_refused() -> None:
    model = cloud()
    migrate(model, 0)
    with refused("UnsupportedOperation.MutexOperationTaskRunning"):
        migrate(model, 1, source=B, to=A)
    with refused("UnauthorizedOperation.AttachmentNotFound"):
        migrate(model, TASK_MS)


@pytest.mark.parametrize(
    ("source", "to", "ip", "code"),
    [
        (A, A, VIP, "UnsupportedOperation"),
        (A, B, "10.0.1.17", "UnauthorizedOperation.PrimaryIp"),
        (A, "eni-zzzzzzzz", VIP, "ResourceNotFound"),
        ("eni-zzzzzzzz", B, VIP, "ResourceNotFound"),
        ("ins-aaaaaaaa", B, VIP, "InvalidParameterValue.Malformed"),
        (A, B, "10.0.1", "InvalidParameterValue.Malformed"),
    ],
)
def test_migrations_that_can_never_work(source: str, to: str, ip: str, code: str) -> None:
    with refused(code):
        migrate(cloud(), 0, source=source, to=to, ip=ip)


def test_a_full_destination() -> None:
    small = NodeSpec("c", "ins-cccccccc", C, "10.0.1.18", cpu=1, memory_gb=1)
    nodes = (NodeSpec("a", "ins-aaaaaaaa", A, "10.0.1.17"), small)
    model = Model(build(nodes, (VIP, VIP2)), rules=Rules(task_ms=TASK_MS, serialise="ip"))
    first, second = migrate(model, 0, to=C), migrate(model, 0, to=C, ip=VIP2)
    assert [status(model, task, TASK_MS) for task in (first, second)] == ["SUCCESS", "FAILED"]
    assert state(model, A, VIP2) is IpState.AVAILABLE
    with refused("LimitExceeded"):
        migrate(model, TASK_MS, to=C, ip=VIP2)


def test_two_enis_of_different_subnets() -> None:
    network = build()
    other = replace(network.subnets["subnet-aaaaaaaa"], id="subnet-bbbbbbbb")
    network = replace(network, subnets={**network.subnets, other.id: other})
    network = network.with_enis(replace(network.enis[B], subnet_id=other.id))
    with refused("UnsupportedOperation"):
        migrate(Model(network), 0)


def test_an_eip_goes_along_with_a_migration_and_is_lost_by_unassigning() -> None:
    model = cloud(task_ms=0)
    migrate(model, 0)
    read = model.request("DescribeNetworkInterfaces", {"NetworkInterfaceIds": [B]}, "x", 1)
    assert read["NetworkInterfaceSet"][0]["PrivateIpAddressSet"][1]["PublicIpAddress"] == EIP_ADDRESS
    unassign(model, 2, B, VIP)
    assert model.holder_of(VIP, 2) is None
    assert model.network.eips["eip-aaaaaaaa"].private_ip is None


def test_unassigned_addresses_stay_until_the_effect() -> None:
    model = cloud()
    unassign(model, 0, A, VIP, VIP2)
    assert state(model, A) is IpState.DELETING
    assert model.holder_of(VIP, TASK_MS - 1) == A
    assert model.holder_of(VIP2, TASK_MS) is None
    told = [(change.resource, change.after) for change in model.history]
    assert told == [(VIP, None), (VIP2, None), ("eip-aaaaaaaa", None)]


@pytest.mark.parametrize(
    ("eni", "ips", "code"),
    [
        (B, [VIP], "UnsupportedOperation.AttachmentNotFound"),
        (A, ["10.0.1.17"], "UnsupportedOperation"),
        (A, [], "MissingParameter"),
        (A, [VIP, VIP], "InvalidParameterValue.DuplicatePara"),
        (A, [VIP] * 11, "InvalidParameterValue.LimitExceeded"),
        ("eni-zzzzzzzz", [VIP], "ResourceNotFound"),
    ],
)
def test_refused_unassignments(eni: str, ips: list[str], code: str) -> None:
    with refused(code):
        unassign(cloud(), 0, eni, *ips)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"InstanceId": "ins-aaaaaaaa", "PrivateIpAddresses": addresses(VIP)}, "UnsupportedOperation"),
        ({"PrivateIpAddresses": [VIP]}, "InvalidParameterValue.Malformed"),
        ({"PrivateIpAddresses": [{"PrivateIpAddress": 5}]}, "InvalidParameter"),
    ],
)
def test_malformed_unassignments(fields: dict[str, Any], code: str) -> None:
    with refused(code):
        cloud().request("UnassignPrivateIpAddresses", {"NetworkInterfaceId": A, **fields}, "x", 0)


def test_assigned_addresses_are_pending_and_nobodys_until_the_effect() -> None:
    model = cloud()
    reply = assign(model, 0, PrivateIpAddresses=[{"PrivateIpAddress": "10.0.1.50", "Description": "d"}])
    shown = reply["PrivateIpAddressSet"][0]
    assert (shown["PrivateIpAddress"], shown["State"], shown["Description"]) == ("10.0.1.50", "PENDING", "d")
    assert model.holder_of("10.0.1.50", TASK_MS - 1) is None
    assert model.holder_of("10.0.1.50", TASK_MS) == B


def test_addresses_chosen_by_the_cloud_are_the_first_free_ones() -> None:
    model = cloud()
    reply = assign(model, 0, SecondaryPrivateIpAddressCount=2, PrivateIpAddresses=addresses("10.0.1.2"))
    chosen = [ip["PrivateIpAddress"] for ip in reply["PrivateIpAddressSet"]]
    assert chosen == ["10.0.1.2", "10.0.1.3", "10.0.1.4"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "MissingParameter"),
        ({"PrivateIpAddresses": addresses(VIP)}, "ResourceInUse"),
        ({"PrivateIpAddresses": addresses("10.0.2.1")}, "InvalidParameterValue.Range"),
        ({"PrivateIpAddresses": addresses("10.0.1.1")}, "InvalidParameterValue.Reserved"),
        ({"PrivateIpAddresses": addresses("10.0.1.9", "10.0.1.9")}, "InvalidParameterValue.DuplicatePara"),
        ({"PrivateIpAddresses": ["10.0.1.9"]}, "InvalidParameter"),
        ({"PrivateIpAddresses": [{"PrivateIpAddress": "10.0.1.9", "Primary": True}]}, "UnsupportedOperation"),
        ({"SecondaryPrivateIpAddressCount": 10}, "LimitExceeded"),
        ({"SecondaryPrivateIpAddressCount": 11}, "InvalidParameterValue.Range"),
        ({"SecondaryPrivateIpAddressCount": 1, "ClientToken": "x" * 65}, "InvalidParameterValue.Malformed"),
    ],
)
def test_refused_assignments(fields: dict[str, Any], code: str) -> None:
    with refused(code):
        assign(cloud(), 0, **fields)


def test_a_subnet_without_a_free_address() -> None:
    nodes = (NodeSpec("a", "ins-aaaaaaaa", A, "10.0.1.2"),)
    model = Model(build(nodes, (), cidr="10.0.1.0/29"))
    with refused("ResourceInsufficient.Subnet"):
        assign(model, 0, A, SecondaryPrivateIpAddressCount=5)


def test_an_assignment_that_is_taken_away_meanwhile_fails() -> None:
    model = cloud()
    task = assign(model, 0, PrivateIpAddresses=addresses("10.0.1.50"))["RequestId"]
    model.move("10.0.1.50", A, 1)
    assert status(model, task, TASK_MS) == "FAILED"
    assert model.network.holder_of("10.0.1.50") == A


def test_a_failed_assignment_leaves_what_was_given_by_hand_meanwhile() -> None:
    model = cloud()
    fields = {"NetworkInterfaceId": B, "PrivateIpAddresses": addresses("10.0.1.50")}
    model.request("AssignPrivateIpAddresses", fields, "x", 0, Handling(fate=Fate.FAIL))
    model.move("10.0.1.50", B, 1)
    model.advance(TASK_MS)
    assert model.network.holder_of("10.0.1.50") == B


@pytest.mark.parametrize("action", ["migrate", "assign", "unassign"])
def test_tasks_made_to_fail_leave_things_as_they_were(action: str) -> None:
    model = cloud()
    before = model.network
    fields: dict[str, dict[str, Any]] = {
        "MigratePrivateIpAddress": {
            "SourceNetworkInterfaceId": A,
            "DestinationNetworkInterfaceId": B,
            "PrivateIpAddress": VIP,
        },
        "AssignPrivateIpAddresses": {"NetworkInterfaceId": B, "PrivateIpAddresses": addresses("10.0.1.50")},
        "UnassignPrivateIpAddresses": {"NetworkInterfaceId": A, "PrivateIpAddresses": addresses(VIP)},
    }
    name = next(name for name in fields if name.lower().startswith(action))
    task = model.request(name, fields[name], "x", 0, Handling(fate=Fate.FAIL))["RequestId"]
    assert model.network != before
    result = model.request("DescribeVpcTaskResult", {"TaskId": task}, "x", TASK_MS)
    assert (result["Status"], result["Output"]) == ("FAILED", "FailedOperation")
    assert model.network == before
    assert not model.history


def test_a_stuck_task_keeps_its_locks_until_it_is_released() -> None:
    model = cloud()
    task = migrate(model, 0, fate=Fate.STICK)
    assert model.next_due() is None
    assert status(model, task, 100_000) == "RUNNING"
    with refused("UnsupportedOperation.MutexOperationTaskRunning"):
        migrate(model, 100_000)
    assert model.release_stuck(100_001) == 1
    assert model.network.holder_of(VIP) == B
    assert model.release_stuck(100_002) == 0


def test_task_time_can_be_set_for_one_request() -> None:
    model = cloud()
    migrate(model, 0, task_ms=30_000)
    assert model.next_due() == 30_000


def test_effects_come_in_the_order_of_their_times() -> None:
    model = cloud(serialise="ip")
    migrate(model, 0, task_ms=50)
    migrate(model, 1, ip=VIP2, task_ms=10)
    model.advance(1000)
    assert [(change.at_ms, change.resource) for change in model.history] == [(11, VIP2), (50, VIP)]


def test_a_client_token_makes_assigning_idempotent() -> None:
    model = cloud()
    wanted: dict[str, Any] = {"PrivateIpAddresses": addresses("10.0.1.50"), "ClientToken": "t"}
    first = assign(model, 0, **wanted)
    with refused("UnsupportedOperation.IdempotentProcessing"):
        assign(model, 1, **wanted)
    again = assign(model, TASK_MS, **wanted)
    assert again["PrivateIpAddressSet"] == first["PrivateIpAddressSet"]
    with refused("UnsupportedOperation.IdempotentParameterMismatch"):
        assign(model, TASK_MS, **{**wanted, "PrivateIpAddresses": addresses("10.0.1.51")})
    with refused("ResourceInUse"):
        assign(model, TASK_MS, caller="other", **wanted)


def test_client_tokens_and_tasks_are_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TOKENS", 1)
    monkeypatch.setattr("hafailover.emulator.tasks.MAX_TASKS", 1)
    model = cloud(task_ms=0)
    wanted: dict[str, Any] = {"PrivateIpAddresses": addresses("10.0.1.50"), "ClientToken": "t"}
    task = assign(model, 0, **wanted)["RequestId"]
    assign(model, 1, PrivateIpAddresses=addresses("10.0.1.51"), ClientToken="u")
    with refused("ResourceInUse"):
        assign(model, 2, **wanted)
    with refused("ResourceNotFound"):
        status(model, task, 3)


def read_ips(model: Model, now: int, stale_ms: int) -> list[str]:
    fields = {"NetworkInterfaceIds": [A]}
    reply = model.request("DescribeNetworkInterfaces", fields, "x", now, Handling(stale_ms=stale_ms))
    return [ip["PrivateIpAddress"] for ip in reply["NetworkInterfaceSet"][0]["PrivateIpAddressSet"]]


def test_stale_reads_give_what_was_true(monkeypatch: pytest.MonkeyPatch) -> None:
    model = cloud()
    migrate(model, 1000)
    assert VIP in read_ips(model, 1600, stale_ms=101)
    assert VIP not in read_ips(model, 1600, stale_ms=100)
    monkeypatch.setattr(module, "MAX_VERSIONS", 2)
    for now in range(2000, 2010):
        model.set_instance_state("ins-aaaaaaaa", InstanceState.STOPPED, now)
    assert VIP not in read_ips(model, 2010, stale_ms=2000)


def test_versions_older_than_any_stale_read_are_dropped() -> None:
    model = cloud(task_ms=0)
    migrate(model, 0)
    migrate(model, 1, source=B, to=A)
    migrate(model, 100_000)
    assert VIP in read_ips(model, 160_000, stale_ms=160_000)
    assert len(model._versions) == 3


def test_moves_by_hand() -> None:
    model = cloud()
    model.move(VIP, B, 5)
    assert model.network.holder_of(VIP) == B
    model.move(VIP, B, 6)
    with refused("ResourceNotFound"):
        model.move(VIP, "eni-zzzzzzzz", 7)
    assert [(c.at_ms, c.before, c.after, c.action) for c in model.history] == [(5, A, B, "move")]


def test_instance_states_can_be_set() -> None:
    model = cloud()
    model.set_instance_state("ins-bbbbbbbb", InstanceState.STOPPED, 0)
    reply = model.request("DescribeInstancesStatus", {"InstanceIds": ["ins-bbbbbbbb"]}, "x", 1)
    assert reply["InstanceStatusSet"] == [{"InstanceId": "ins-bbbbbbbb", "InstanceState": "STOPPED"}]
    with refused("InvalidInstanceId.NotFound"):
        model.set_instance_state("ins-zzzzzzzz", InstanceState.STOPPED, 0)


def test_documented_rates_hold_where_asked_for() -> None:
    model = cloud(rate_limits=True)
    for _ in range(20):
        model.request("DescribeNetworkInterfaceLimit", {"InstanceId": A}, "x", 999)
    with refused("RequestLimitExceeded"):
        model.request("DescribeNetworkInterfaceLimit", {"InstanceId": A}, "x", 999)
    model.request("DescribeNetworkInterfaceLimit", {"InstanceId": A}, "y", 999)
    model.request("DescribeNetworkInterfaceLimit", {"InstanceId": A}, "x", 1000)


def test_rates_can_be_set_and_be_the_products_own() -> None:
    rates = {"MigratePrivateIpAddress": 1, "DescribeAddresses": 0}
    model = cloud(rate_limits=True, rate_code="LimitExceeded.ActionLimited", rates=rates)
    with refused("LimitExceeded.ActionLimited"):
        model.request("DescribeAddresses", {}, "x", 0)
    migrate(model, 0)
    with refused("LimitExceeded.ActionLimited"):  # before it is seen that a task is running
        migrate(model, 999)
    migrate(model, 1000, source=B, to=A)


def test_unknown_actions_and_parameters() -> None:
    with refused("InvalidAction"):
        cloud().request("DeleteEverything", {}, "x", 0)
    with refused("UnknownParameter"):
        cloud().request("DescribeVpcTaskResult", {"TaskId": "t", "Extra": 1}, "x", 0)


def test_an_eni_that_went_away_meanwhile() -> None:
    for fate in (Fate.APPLY, Fate.FAIL):
        model = cloud(serialise="ip")
        tasks = [
            migrate(model, 0, fate=fate),
            model.request(
                "AssignPrivateIpAddresses",
                {"NetworkInterfaceId": A, "PrivateIpAddresses": addresses("10.0.1.50")},
                "x",
                0,
                Handling(fate=fate),
            )["RequestId"],
        ]
        enis = {B: model.network.enis[B]}
        model._keep(replace(model.network, enis=enis), 1)
        assert [status(model, task, TASK_MS) for task in tasks] == ["FAILED", "FAILED"]


def test_an_address_carried_along_keeps_its_description() -> None:
    network = build()
    network = network.with_enis(network.enis[A].with_ips(PrivateIp(VIP, description="note")))
    model = Model(network, rules=Rules(task_ms=0))
    migrate(model, 0)
    model.advance(0)
    assert model.network.enis[B].ip(VIP) == PrivateIp(VIP, description="note")


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("migrate", "assign", "unassign", "move", "release")),
        st.sampled_from((A, B)),
        st.sampled_from((VIP, VIP2, "10.0.1.50")),
        st.sampled_from(tuple(Fate)),
        st.integers(0, 700),
    ),
    max_size=30,
)


@given(STEPS, st.sampled_from(("eni", "ip")))
def test_whatever_is_asked_an_address_has_one_holder_and_the_history_is_true(
    steps: list[tuple[str, str, str, Fate, int]], serialise: str
) -> None:
    model = cloud(serialise=serialise)
    first = {ip: model.network.holder_of(ip) for ip in (VIP, VIP2, "10.0.1.50")}
    now = 0
    for action, eni, ip, fate, wait_ms in steps:
        now += wait_ms
        with contextlib.suppress(ApiError):
            if action == "migrate":
                migrate(model, now, source=eni, to=B if eni == A else A, ip=ip, fate=fate)
            elif action == "assign":
                assign(model, now, eni, PrivateIpAddresses=addresses(ip))
            elif action == "unassign":
                unassign(model, now, eni, ip)
            elif action == "move":
                model.move(ip, eni, now)
            else:
                model.release_stuck(now)
        assert all(len(list(model.network.carriers(ip))) <= 1 for ip in first)
    now += TASK_MS
    model.release_stuck(now)
    assert model.next_due() is None
    states = {ip.state for eni in model.network.enis.values() for ip in eni.ips}
    assert states == {IpState.AVAILABLE}
    assert [change.at_ms for change in model.history] == sorted(change.at_ms for change in model.history)
    for ip, holder in first.items():
        chain = [change for change in model.history if change.resource == ip]
        assert [change.before for change in chain] == [holder, *(change.after for change in chain)][: len(chain)]
        assert model.network.holder_of(ip) == (chain[-1].after if chain else holder)
