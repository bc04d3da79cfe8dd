from __future__ import annotations

import pytest

from hafailover.election.values import GroupName, NodeName
from hafailover.errors import StartError
from hafailover.heartbeat.names import Directory, cluster_id, group_id, node_id

A, B = NodeName("web-a"), NodeName("web-b")
VIP = GroupName("vip")
# Found by a search over "n0", "n1", ...: the two have the same 4-byte hash as nodes.
CLASHING = (NodeName("n37376"), NodeName("n81726"))
CLASHING_GROUPS = (GroupName("g53796"), GroupName("g94030"))  # and these as groups


def test_the_ids_of_names_never_change() -> None:
    assert node_id(A) == 0xA5FFCCEF
    assert group_id(VIP) == 0x66C844E8
    assert cluster_id("web").hex() == "ba044bbd2a45e767"


def test_the_same_name_has_other_ids_as_node_and_group() -> None:
    assert node_id(NodeName("x")) != group_id(GroupName("x"))


def test_known_names_come_back_from_their_ids() -> None:
    directory = Directory([A, B], [VIP])
    assert directory.node(directory.node_id(B)) == B
    assert directory.group(directory.group_id(VIP)) == VIP
    assert directory.knows_node(node_id(A))


def test_an_unknown_id_is_kept_as_a_placeholder_that_is_no_name() -> None:
    directory = Directory([A], [VIP])
    assert not directory.knows_node(node_id(B))
    assert directory.node(0x0A0B0C0D) == "?0a0b0c0d"
    assert directory.group(0x0A0B0C0D) == "?0a0b0c0d"
    assert directory.node_id(NodeName("?0a0b0c0d")) == 0x0A0B0C0D
    assert directory.group_id(GroupName("?0a0b0c0d")) == 0x0A0B0C0D


def test_a_name_that_this_node_does_not_list_still_has_its_id() -> None:
    directory = Directory([A], [])
    assert directory.node_id(B) == node_id(B)
    assert directory.group_id(VIP) == group_id(VIP)


def test_two_names_with_one_id_stop_the_start() -> None:
    with pytest.raises(StartError, match=r"^nodes 'n37376' and 'n81726' have the same heartbeat id"):
        Directory(CLASHING, [])
    with pytest.raises(StartError, match=r"^groups 'g53796' and 'g94030' have the same heartbeat id"):
        Directory([], CLASHING_GROUPS)


def test_a_name_given_twice_is_one_name() -> None:
    assert Directory([A, A], []).node(node_id(A)) == A
