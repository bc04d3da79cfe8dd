"""Which EIP belongs to which address, and which has been lost on the way: PURE.

An EIP follows its private address when that is migrated; UnassignPrivateIpAddresses lets it go. Whoever holds the
address then binds it again (AssociateAddress). What was bound is known from the readings that every node makes of
the ENIs anyway, so a node that dies between the two calls leaves it to the next holder.

An EIP that is gone while its address has stayed where it was has been taken off by somebody. It is forgotten after
a minute: the address may have been released and taken back between two readings, and its holder about to bind it.
Where it moves on before that, the EIP is to follow.

AssociateAddress works only on an EIP that is bound to nothing, so it cannot take one from anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hafailover.cloud.plan import TRANSIENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hafailover.cloud.replies import Eni

UNBOUND = "UNBIND"  # Address.AddressStatus of an EIP that can be bound
CHANGING = frozenset({"CREATING", "BINDING", "UNBINDING"})
FORGET_MS = 60_000  # the longest wait of a keeper and one attempt


@dataclass(frozen=True, slots=True)
class Binding:
    """An address had this EIP while this ENI carried it; `eni_id` is "" once it was seen elsewhere, or nowhere."""

    address: str
    eip_id: str
    eni_id: str


@dataclass(frozen=True, slots=True)
class Eip:
    """An EIP as DescribeAddresses tells of it; `address` and `eni_id` are "" while it is bound to nothing."""

    id: str
    status: str
    address: str = ""
    eni_id: str = ""

    def is_bound_as(self, wanted: Binding) -> bool:
        """Return whether it is where it is wanted, for good."""
        return (self.address, self.eni_id) == (wanted.address, wanted.eni_id) and self.status not in CHANGING


class EipBook:
    """The EIPs of the addresses in the file; `known` is what an earlier run of the daemon has noted."""

    def __init__(self, addresses: Iterable[str], known: Iterable[Binding] = ()) -> None:
        self._addresses = _fours(addresses)
        self._bound = {each.address: each for each in known if each.address in self._addresses}
        self._seen: dict[str, str] = {}  # the ENI that was last seen to carry each address for good, "" for none
        self._lost: dict[str, Binding] = {}
        self._bare_since: dict[str, int] = {}  # an address that has stayed where it was, and its EIP is gone

    def keep(self, addresses: Iterable[str]) -> None:
        """Look after these addresses from now on; what is known of others is forgotten."""
        self._addresses = _fours(addresses)
        notes: tuple[dict[str, Any], ...] = (self._bound, self._seen, self._lost, self._bare_since)
        for known in notes:
            for address in known.keys() - set(self._addresses):
                del known[address]

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """What is to be remembered."""
        return tuple(self._bound.values())

    @property
    def lost(self) -> tuple[Binding, ...]:
        """The bindings to be made anew, each with the ENI that carries its address now."""
        return tuple(self._lost.values())

    def see(self, enis: Sequence[Eni], now_ms: int) -> None:
        """Take in one reading of the nodes' ENIs; `now_ms` is of any clock that does not jump."""
        for address in self._addresses:
            self._see(address, _carriers(address, enis), now_ms)

    def _see(self, address: str, carriers: Mapping[str, str], now_ms: int) -> None:
        known = self._bound.get(address)
        if len(carriers) != 1:
            self._seen[address] = ""  # released, or on its way: whoever has it next may lack the EIP
            self._lost.pop(address, None)
            self._bare_since.pop(address, None)
            self._note_gap(known)
            return
        ((eni_id, eip_id),) = carriers.items()
        stayed = self._seen.get(address, "" if known is None else known.eni_id) == eni_id
        self._seen[address] = eni_id
        if known is not None and not eip_id and stayed and address not in self._lost:
            if now_ms - self._bare_since.setdefault(address, now_ms) >= FORGET_MS:
                self.forget(address)
            return
        self._bare_since.pop(address, None)
        if eip_id:
            self._bound[address] = Binding(address, eip_id, eni_id)
            self._lost.pop(address, None)
        elif known is not None:
            self._lost[address] = Binding(address, known.eip_id, eni_id)
            self._note_gap(known)

    def _note_gap(self, known: Binding | None) -> None:
        """Have a later run of the daemon know that an address without its EIP has not stayed where it was."""
        if known is not None and known.eni_id:
            self._bound[known.address] = Binding(known.address, known.eip_id, "")

    def restored(self, binding: Binding) -> None:
        """Take in that a lost EIP is bound again."""
        if binding.address in self._addresses:  # else it is looked after no longer
            self._lost.pop(binding.address, None)
            self._bound[binding.address] = binding

    def forget(self, address: str) -> None:
        """Want an EIP no longer: there is none, or another address has it."""
        for notes in (self._lost, self._bound, self._bare_since):
            notes.pop(address, None)


def _fours(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return the IPv4 addresses: no other has an EIP."""
    return tuple(address for address in addresses if ":" not in address)


def _carriers(address: str, enis: Sequence[Eni]) -> dict[str, str]:
    """Return the ENIs that carry the address for good, each with the EIP that it has there, "" for none."""
    return {
        eni.id: held.eip_id
        for eni in enis
        for held in eni.addresses
        if held.ip == address and held.state not in TRANSIENT
    }


def may_bind(lost: Binding, eip: Eip | None) -> bool | None:
    """Return whether a lost EIP can be bound again now, None where it never can: it is gone, or somebody has it."""
    if eip is None:
        return None
    if eip.status == UNBOUND:
        return True
    return False if eip.status in CHANGING or eip.is_bound_as(lost) else None
