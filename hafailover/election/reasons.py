"""Why: every decision of the core names one of these.

A member is a coverage mark (a scenario must show it), a metric label (its name in lower case) and the sentence
that an operator reads in `status`, in the log and in the history.
"""

from __future__ import annotations

from enum import Enum


class Reason(Enum):
    """Why a node is or is not master, and why that changed. The value is the operator's text."""

    # why a role changed
    STARTED = "the daemon has started, or has read of the group, and listens before it acts"
    HEARD_MASTER = "another node is master"
    LISTENED = "nobody was heard as master for a dead interval after the start"
    HELD_AT_START = "the cloud named this node as the holder already when the daemon started"
    HELD = "the cloud names this node as the holder and nobody else is master"
    MASTER_DEAD = "the master was silent for the dead interval"
    MASTER_GONE = "the master's daemon did not come back within restart_grace"
    MASTER_FAULT = "the master reports that its service is at fault"
    MASTER_ABSENT = "no node is master"
    HANDED_OVER = "the master hands over to this node"
    OPERATOR = "an operator asked for a planned hand-over"
    DRAINED = "this node is drained"
    STOPPING = "the daemon is stopping"
    PREEMPTED = "a healthy node of higher priority takes over"
    CHECK_FAILED = "a check with weight 0 says that the service is down"
    CHECK_PASSED = "the checks pass again"
    CLAIM_DONE = "the cloud confirms this node as the holder"
    CLAIM_LOST = "another node took the address first"
    CLAIM_VOID = "this node is no longer entitled to claim"
    DEPOSED_BY_PEER = "a peer is master with a newer term"
    DEPOSED_BY_CLOUD = "the cloud no longer names this node as the holder"
    HANDOVER_DONE = "the successor is master"
    HANDOVER_FAILED = "the successor did not take over in time; this node goes on"
    ISOLATED = "neither peers nor the API could be reached for isolation_timeout"
    GUEST_FAILED = "the guest's network could not be configured"
    ADDRESS_LOST = "nobody holds the address any more: putting it back"

    # why a node does not claim
    STARTING = "this node has just started and still listens, or waits for startup_delay"
    MASTER_ALIVE = "the master is heard"
    MASTER_LATE = "the master is late, but not yet for the dead interval"
    MASTER_RESTARTING = "the master's host answers and its daemon may be restarting"
    CHECKS_PENDING = "this node's checks have not answered yet"
    PAUSED = "automatic moves are paused"
    WITNESS = "this node is a witness and never claims"
    HOLD_DOWN = "this node lost the address a short time ago"
    TAKEN_UNHEARD = "a node that is not heard, but lives, took the address: it is not taken back"
    OUTRANKED = "another candidate ranks higher"
    HOLDER_ALIVE = "the node that holds the address is alive and may go on"
    HOLDER_UNKNOWN = "the cloud has not yet said who holds the address"
    HELD_BY_STRANGER = "the address is on an ENI that belongs to no configured node: only people move it from there"
    HOLDER_KNOWS_NOT = "the node that holds the address is heard, and its file has no such group: it is left there"
    HOLDER_VOUCHED = "another node hears the one that holds the address, which this node has not heard yet"
    DISTRUST = "this node has just been asleep and does not trust its own view"
    GUARD_PENDING = "a guard has not answered yet"
    GUARD_DENIED = "a guard objects"
    PROMOTE_PENDING = "the promote hook has not answered yet"
    PROMOTE_REFUSED = "the promote hook says no"
    NO_QUORUM = "no majority of the configured nodes agrees that the holder is gone"
    RETURNING = "this node had the address a short time ago, and a request of that time may still be under way"

    # why a peer is or is not master, as far as this node can tell
    PEER_SERVES = "it is master"
    PEER_GIVES = "it hands over"
    PEER_CLAIMS = "it asks the cloud for the group"
    PEER_STARTING = "it still listens after its start"
    PEER_FAULT = "it reports that its service is at fault"
    PEER_DRAINED = "it is drained"
    PEER_WITNESS = "it is a witness and never claims"
    PEER_READY = "it could take over"
    PEER_NOT_READY = "it says that it could not take over now"
    PEER_RESTARTING = "its host answers and its daemon may be restarting"
    PEER_SILENT = "it has been silent for the dead interval"
    PEER_STOPPED = "its daemon has been stopped"
    PEER_NEVER_HEARD = "it has not been heard since this daemon started"
    PEER_KNOWS_NOT = "it says nothing of this group"

    # why an operator's request was refused
    ACCEPTED = "accepted"
    UNKNOWN_GROUP = "there is no such group"
    UNKNOWN_NODE = "there is no such node"
    ALREADY_MASTER = "the target is master already"
    TARGET_UNREACHABLE = "the target is not heard"
    TARGET_NOT_READY = "the target could not take over: at fault, drained, in hold-down or a witness"
    NO_CANDIDATE = "no other node could take over"
    NO_MASTER = "no node is master that could hand over"
    NODE_RUNS = "its daemon is still heard: stop it first, or it would miss this node and claim"
    NODE_HOLDS = "it still has what a group moves: hand that over first"
    NODE_MOVES = "a move of its own may still take effect"
    BUSY = "a hand-over or claim is already under way"

    @property
    def label(self) -> str:
        """Return the stable name for metrics, JSON and logs."""
        return self.name.lower()
