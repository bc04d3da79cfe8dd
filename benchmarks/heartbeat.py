"""What a heartbeat costs: microseconds per advert and bytes per datagram, by number of groups.

Run: python benchmarks/heartbeat.py
"""

from __future__ import annotations

import os
from time import perf_counter
from typing import TYPE_CHECKING

from hafailover.election.values import Advert, GroupAdvert, GroupName, Leaving, NodeName, State
from hafailover.heartbeat.endpoint import Endpoint, Membership
from hafailover.heartbeat.wire import PathId

if TYPE_CHECKING:
    from collections.abc import Callable

A, B = NodeName("web-a"), NodeName("web-b")
INTERVAL_US = 200_000


def endpoint(me: NodeName, peer: NodeName, groups: tuple[GroupName, ...]) -> Endpoint:
    """Return one end of a pair."""
    membership = Membership(me, "web", (peer,), groups)
    return Endpoint(PathId.UDP, membership, [b"k" * 32], boot_id=os.urandom(8), silent_after_us=500_000)


def advert(me: NodeName, peer: NodeName, groups: tuple[GroupName, ...]) -> Advert:
    """Return a settled node's advert."""
    told = tuple(GroupAdvert(name, State.BACKUP, 3, 100, eligible=True) for name in groups)
    return Advert(me, b"digest!!", 1_000, Leaving.NO, False, (peer,), told)


def measure(groups: tuple[GroupName, ...], rounds: int) -> tuple[list[int], float, float]:
    """Return the sizes of one advert's datagrams, and the microseconds to make and to take them."""
    a, b = endpoint(A, B, groups), endpoint(B, A, groups)
    advert_a, advert_b = advert(A, B, groups), advert(B, A, groups)
    datagrams: list[bytes] = []
    making = taking = 0.0
    for turn in range(1, rounds + 1):
        now_us = turn * INTERVAL_US
        begin = perf_counter()
        datagrams = a.datagrams(advert_a, now_us)
        made = perf_counter()
        for datagram in datagrams:
            b.receive(datagram, now_us)
        making, taking = making + made - begin, taking + perf_counter() - made
        for datagram in b.datagrams(advert_b, now_us):
            a.receive(datagram, now_us)
    return [len(datagram) for datagram in datagrams], making / rounds * 1e6, taking / rounds * 1e6


def each_us(action: Callable[[], object], rounds: int = 20_000) -> float:
    """Return the microseconds that one call takes."""
    begin = perf_counter()
    for _ in range(rounds):
        action()
    return (perf_counter() - begin) / rounds * 1e6


def main() -> None:
    """Print the figures."""
    for count in (1, 10, 42, 100, 500):
        groups = tuple(GroupName(f"group-{number}") for number in range(count))
        sizes, making_us, taking_us = measure(groups, max(100, 5_000 // count))
        print(
            f"{count:4} groups: {len(sizes):2} datagrams, {sum(sizes):6} bytes (largest {max(sizes)}), "
            f"make {making_us:7.1f} us, take {taking_us:7.1f} us"
        )
    receiver = endpoint(A, B, ())
    (good,) = endpoint(B, A, ()).datagrams(advert(B, A, ()), 0)
    forged = good[:-1] + bytes([good[-1] ^ 1])
    print(f"garbage rejected in {each_us(lambda: receiver.receive(bytes(147), 0)):.1f} us")
    print(f"forged rejected in {each_us(lambda: receiver.receive(forged, 0)):.1f} us")


if __name__ == "__main__":
    main()
