from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tencentcloud.vpc.v20170312 import models

from hafailover.cloud.plan import TRANSIENT, Call, Strategy, Verb, next_call, sightings, touched
from hafailover.cloud.replies import Address, Eni
from hafailover.election.values import Resource, ResourceKind, Sighting

VIP = Resource(ResourceKind.ADDRESS, "10.0.0.100")
DISK = Resource(ResourceKind.ENI, "eni-cccccccc")
V6 = Resource(ResourceKind.ADDRESS, "2001:db8::100")
TOKEN = "t" * 64
A, B, C = "eni-aaaaaaaa", "eni-bbbbbbbb", "eni-dddddddd"


def eni(eni_id: str, *states: str, instance_id: str | None = None, state: str = "AVAILABLE") -> Eni:
    addresses = tuple(Address(VIP.id, primary=False, state=each) for each in states)
    return Eni(
        eni_id,
        "",
        instance_id,
        primary=False,
        state=state,
        subnet_id="",
        zone="",
        addresses=addresses,
        security_groups=(),
    )


@pytest.mark.parametrize(
    ("holder", "strategy", "verb", "source", "target"),
    [
        (None, "migrate", Verb.TAKE, "", B),
        (None, "reassign", Verb.TAKE, "", B),
        (A, "migrate", Verb.MIGRATE, A, B),
        (A, "reassign", Verb.RELEASE, A, ""),
    ],
)
@pytest.mark.parametrize("resource", [VIP, DISK])
def test_next_call(
    resource: Resource, holder: str | None, strategy: Strategy, verb: Verb, source: str, target: str
) -> None:
    assert next_call(resource, holder, B, strategy) == Call(verb, (resource,), source, target)


@pytest.mark.parametrize("strategy", ["migrate", "reassign"])
@pytest.mark.parametrize("resource", [VIP, DISK])
@pytest.mark.parametrize("holder", [None, A, B])
def test_at_most_two_calls_lead_to_the_target(resource: Resource, holder: str | None, strategy: Strategy) -> None:
    calls = 0
    while call := next_call(resource, holder, B, strategy):
        holder = call.holder_after
        calls += 1
    assert holder == B
    assert calls <= 2


def test_there_is_nothing_to_do_for_a_resource_that_has_arrived() -> None:
    assert next_call(VIP, B, B, "migrate") is None


@pytest.mark.parametrize("strategy", ["migrate", "reassign"])
def test_an_ipv6_address_is_never_migrated(strategy: Strategy) -> None:
    assert next_call(V6, A, B, strategy) == Call(Verb.RELEASE, (V6,), A, "")
    assert next_call(V6, None, B, strategy) == Call(Verb.TAKE, (V6,), "", B)


WRITES = [
    (resource, verb) for verb in Verb for resource in (VIP, DISK, V6) if (resource, verb) != (V6, Verb.MIGRATE)
]


@pytest.mark.parametrize(("resource", "verb"), WRITES)
def test_a_token_goes_where_the_action_has_one(resource: Resource, verb: Verb) -> None:
    call = Call(verb, (resource,), A, B)
    request = getattr(models, f"{call.action}Request")()
    assert ("ClientToken" in call.parameters(TOKEN)) == hasattr(request, "ClientToken")
    assert "ClientToken" not in call.parameters()


@pytest.mark.parametrize("verb", [Verb.TAKE, Verb.RELEASE])
@pytest.mark.parametrize("resource", [VIP, V6])
def test_a_call_names_all_of_its_addresses(resource: Resource, verb: Verb) -> None:
    others = tuple(replace(resource, id=f"{resource.id}{number}") for number in range(3))
    listed = next(each for each in Call(verb, others, A, B).parameters().values() if isinstance(each, list))
    assert [list(each.values()) for each in listed] == [[each.id] for each in others]


@pytest.mark.parametrize(("resource", "verb"), WRITES)
def test_the_body_is_what_the_sdks_request_model_makes_of_it(resource: Resource, verb: Verb) -> None:
    call = Call(verb, (resource,), "" if verb is Verb.TAKE else A, "" if verb is Verb.RELEASE else B)
    request = getattr(models, f"{call.action}Request")()
    request._deserialize(
        call.parameters(TOKEN)
    )  # warns, which is an error here, about fields that it does not know
    assert request._serialize() == call.parameters(TOKEN)
    assert len(call.parameters(TOKEN)) >= 2


@pytest.mark.parametrize(
    ("call", "enis"),
    [
        (Call(Verb.MIGRATE, (VIP,), B, A), (B, A)),
        (Call(Verb.TAKE, (VIP,), "", A), (A,)),
        (Call(Verb.RELEASE, (VIP,), B, ""), (B,)),
        (Call(Verb.MIGRATE, (DISK,), "ins-aaaaaaaa", "ins-bbbbbbbb"), (DISK.id,)),
    ],
)
def test_a_write_touches_the_enis_that_it_names_or_the_one_that_moves(call: Call, enis: tuple[str, ...]) -> None:
    assert touched(call) == enis


@pytest.mark.parametrize(
    ("enis", "holder", "settled"),
    [
        ([eni(A), eni(B)], None, True),
        ([], None, True),
        ([eni(A, "AVAILABLE"), eni(B)], A, True),
        ([eni(A, ""), eni(B)], A, True),
        ([eni(A, "INVENTED_LATER")], A, True),
        ([eni(A, "MIGRATING"), eni(B)], A, False),
        ([eni(A), eni(B, "MIGRATING")], B, False),
        ([eni(A, "DELETING"), eni(B)], A, False),
        ([eni(A, "DELETING"), eni(B, "PENDING")], B, False),
        ([eni(A, "MIGRATING"), eni(B, "AVAILABLE")], B, True),
        ([eni(A, "AVAILABLE"), eni(B, "MIGRATING")], A, True),
        ([eni(A, "AVAILABLE"), eni(B, "PENDING")], A, False),
        ([eni(A, "AVAILABLE"), eni(B, "AVAILABLE")], A, False),
    ],
)
def test_who_holds_an_address(enis: list[Eni], holder: str | None, *, settled: bool) -> None:
    assert sightings([VIP], enis) == (Sighting(VIP, holder, settled),)


@pytest.mark.parametrize(
    ("enis", "holder", "settled"),
    [
        ([eni(A)], None, True),
        ([eni(A), eni(DISK.id, instance_id="ins-a")], "ins-a", True),
        ([eni(DISK.id)], None, True),
        ([eni(DISK.id, instance_id="ins-a", state="DETACHING")], "ins-a", False),
    ],
)
def test_who_holds_an_eni(enis: list[Eni], holder: str | None, *, settled: bool) -> None:
    assert sightings([DISK], enis) == (Sighting(DISK, holder, settled),)


STATES = st.sampled_from(["AVAILABLE", "", *sorted(TRANSIENT)])
ENIS = st.dictionaries(st.sampled_from([A, B, C]), st.lists(STATES, max_size=2))


@given(ENIS)
def test_a_holder_is_always_one_that_the_cloud_names(found: dict[str, list[str]]) -> None:
    enis = [eni(eni_id, *states) for eni_id, states in found.items()]
    (sighting,) = sightings([VIP], enis)
    named = {each.id: {held.state for held in each.addresses} for each in enis if each.addresses}
    assert (sighting.holder is None) == (not named)
    if sighting.settled and named:
        assert any(each.id == sighting.holder and each.addresses for each in enis)
        assert not all(state in TRANSIENT for states in named.values() for state in states)
