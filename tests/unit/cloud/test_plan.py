from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tencentcloud.vpc.v20170312 import models

from hafailover.cloud.plan import TRANSIENT, Call, Strategy, Verb, next_call, sightings, touched
from hafailover.cloud.replies import Address, Eni
from hafailover.election.values import Resource, ResourceKind, Sighting

VIP = Resource(ResourceKind.ADDRESS, "10.0.0.100")
DISK = Resource(ResourceKind.ENI, "eni-cccccccc")
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
    assert next_call(resource, holder, B, strategy) == Call(verb, resource, source, target)


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


@pytest.mark.parametrize("verb", list(Verb))
@pytest.mark.parametrize("resource", [VIP, DISK])
def test_the_body_is_what_the_sdks_request_model_makes_of_it(resource: Resource, verb: Verb) -> None:
    call = Call(verb, resource, "" if verb is Verb.TAKE else A, "" if verb is Verb.RELEASE else B)
    request = getattr(models, f"{call.action}Request")()
    request._deserialize(call.parameters)  # warns, which is an error here, about fields that it does not know
    assert request._serialize() == call.parameters
    assert len(call.parameters) >= 2


def test_a_move_touches_both_enis_or_the_one_that_moves() -> None:
    assert touched(VIP, B, A) == (A, B)
    assert touched(VIP, None, A) == (A,)
    assert touched(DISK, "ins-aaaaaaaa", "ins-bbbbbbbb") == (DISK.id,)


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
