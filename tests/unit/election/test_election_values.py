from __future__ import annotations

import pytest

from hafailover.election.values import State
from tests.unit.election.bench import ENI, MEMBERS, VIP


@pytest.mark.parametrize("state", State)
def test_only_the_master_and_who_hands_over_serve(state: State) -> None:
    assert state.serves is (state in (State.MASTER, State.RELEASING))


def test_an_address_is_held_by_an_eni_and_an_eni_by_an_instance() -> None:
    assert MEMBERS[0].holder_id(VIP) == "eni-a"
    assert MEMBERS[0].holder_id(ENI) == "ins-a"
