"""What all writes have in common: three steps, begin (checked and marked), finish (the effect), cancel.

A write is accepted first and takes effect later; what the caller named is checked at both moments, so that a
request which waited cannot take anything from a later holder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from hafailover.cloud.quota import MAX_PRIVATE_IPS
from hafailover.emulator.network import EniState
from hafailover.emulator.params import MALFORMED, MAX_TOKEN
from hafailover.emulator.quota import UNATTACHED
from hafailover.emulator.reads import quota_for
from hafailover.emulator.values import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hafailover.emulator.network import Eni, Network
    from hafailover.emulator.wanted import Family

INVALID_STATE = "UnsupportedOperation.InvalidState"
MUTEX = "UnsupportedOperation.MutexOperationTaskRunning"


class Write(Protocol):
    """One write: it occupies `enis` and `touches` while it runs."""

    @property
    def enis(self) -> tuple[str, ...]:
        """Return the ENIs it works on."""

    @property
    def touches(self) -> tuple[str, ...]:
        """Return the addresses, ENIs or EIPs whose holder it may change."""

    def busy(self, network: Network) -> str:
        """Return the code of a refusal because a task is at work on what this occupies.

        Raises ApiError where something else is to be said of the request first.
        """

    def begin(self, network: Network) -> Network:
        """Accept: return the network with the work marked. Raises ApiError."""

    def finish(self, network: Network) -> Network:
        """Take effect. Raises ApiError where what was accepted is no longer possible."""

    def cancel(self, network: Network) -> Network:
        """Take the marks back, as far as they are still there."""

    def reply(self, network: Network) -> dict[str, Any]:
        """Return the content of the response to the accepted request."""


class Parser(Protocol):
    """Reads a request: its parameters, the network as it is, the request's id. Raises ApiError."""

    def __call__(self, raw: Mapping[str, Any], network: Network, request_id: str, /) -> Write:
        """Return the write that the request asks for."""


def known_eni(network: Network, eni_id: str) -> Eni:
    """Return an ENI by its id. Raises ApiError where there is none."""
    if eni_id not in network.enis:
        raise ApiError("ResourceNotFound", f"{eni_id} does not exist.")
    return network.enis[eni_id]


def require_settled(network: Network, eni_id: str, code: str = INVALID_STATE) -> None:
    """Raise ApiError where an ENI is itself on its way, being created or being deleted."""
    state = network.enis[eni_id].state
    if state is not EniState.AVAILABLE:
        raise ApiError(code, f"{eni_id} is {state.value}.")


def require_room(network: Network, eni: Eni, more: int, family: Family) -> None:
    """Raise ApiError where an ENI cannot take so many more addresses of a kind.

    The documents have no quota of their own for IPv6; the same number is taken for it. Where the quota is not
    known, what holds for every ENI holds.
    """
    quota = quota_for(network, eni) or UNATTACHED
    most = min(quota.private_ips, MAX_PRIVATE_IPS)
    if len(family.carried(eni)) + more > most:
        raise ApiError(family.full, f"{eni.id} may have {most} addresses, the primary included.")


def client_token(raw: Mapping[str, Any]) -> str:
    """Return the request's ClientToken, empty where it has none. Raises ApiError."""
    token = raw.get("ClientToken") or ""
    if not isinstance(token, str) or len(token) > MAX_TOKEN or not token.isascii():
        raise ApiError(MALFORMED, f"ClientToken is not a string of at most {MAX_TOKEN} ASCII characters.")
    return token
