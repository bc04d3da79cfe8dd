"""The guard "gateway": is it this node that is cut off? It asks the node's own default gateway.

A gateway need not answer ICMP echo requests at all. Its silence is held against this node only if it has answered
lately, so it is also asked while all is well: one small packet every half a minute. A gateway that was told not to
answer any more costs a wrong objection for five minutes at most; and a node that is really cut off for longer does
no harm with a claim, because it does not reach the API either.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from hafailover.checks.echo import echo
from hafailover.election.values import GuardVerdict
from hafailover.guest.routes import default_gateway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ASKED_EVERY_S = 30.0
LATELY_S = 300.0
PATIENCE_S = 2.0  # of a question that nothing waits for

log = structlog.get_logger()


class Gateway:
    """This node's way out. `find` gives the gateway's address or None; `ask` whether an address answers."""

    def __init__(
        self,
        interface: str | None,
        *,
        find: Callable[[str | None], str | None] = default_gateway,
        ask: Callable[[str, float], Awaitable[bool]] = echo,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interface = interface
        self._find = find
        self._ask = ask
        self._clock = clock
        self._answered_by = ""
        self._answered_at_s = 0.0
        self._told = ""

    async def verdict(self, timeout_s: float) -> GuardVerdict:
        """Ask: PASS where the gateway answers, DENY where it does not and lately did, UNKNOWN otherwise.

        Where the route is gone, as with an interface that is down, the gateway that answered last is asked.
        """
        address = self._find(self._interface) or self._answered_by
        if not address:
            return GuardVerdict.UNKNOWN
        try:
            answers = await self._ask(address, timeout_s)
        except OSError as error:
            self._tell("gateway_not_asked", gateway=address, error=error.strerror or str(error))
            return GuardVerdict.UNKNOWN
        if answers:
            self._answered_by, self._answered_at_s = address, self._clock()
            return GuardVerdict.PASS
        return GuardVerdict.DENY if self._answered_lately(address) else GuardVerdict.UNKNOWN

    def _answered_lately(self, address: str) -> bool:
        return address == self._answered_by and self._clock() - self._answered_at_s < LATELY_S

    async def watch(self) -> None:
        """Ask now and then, for ever, to know whether silence means anything; say so where it does not."""
        while True:
            if await self.verdict(PATIENCE_S) is GuardVerdict.UNKNOWN:
                self._tell(
                    "gateway_silent", why="no default route, or it does not answer pings: the guard is blind"
                )
            else:
                self._told = ""
            await asyncio.sleep(ASKED_EVERY_S)

    def _tell(self, event: str, **fields: object) -> None:
        """Log what is wrong with the guard itself, once for as long as it lasts."""
        if not self._told:
            self._told = event
            log.warning(event, **fields)
