"""The kernel's rtnetlink socket, lent to one operation at a time (rtnetlink(7)).

pyroute2 costs about 13 MB and 0.2 s to import; it is imported by `Kernel.open`, so that a daemon whose groups all
say guest = "none" does without (`NullGuest`).
"""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from hafailover.errors import GuestError
from hafailover.guest.network import NO_CAPABILITY, require_capability

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

_NO_GATEWAY = "the gateway is not in the subnet of that interface"
_WORDS = {
    errno.EPERM: NO_CAPABILITY,
    errno.EACCES: "IPv6 is switched off there (net.ipv6.conf.*.disable_ipv6)",
    errno.ENODEV: "the interface is gone",
    errno.ENETUNREACH: _NO_GATEWAY,
    errno.EHOSTUNREACH: _NO_GATEWAY,
}


class Kernel:
    """Lends the socket. Every operation ends within `deadline_s`, waiting for its turn included."""

    def __init__(self, deadline_s: float) -> None:
        self.deadline_s = deadline_s
        self.lock = asyncio.Lock()
        self.refusal: type[Any] = GuestError  # pyroute2's NetlinkError, once that is imported
        self._route: Any = None  # an AsyncIPRoute of pyroute2, which is not typed
        self._new_route: Any = None

    async def open(self, *, to_change: bool = True) -> None:
        """Import the library. Raises GuestError where CAP_NET_ADMIN is missing and something is to be changed."""
        if to_change:
            require_capability()
        importing = asyncio.get_running_loop().run_in_executor(None, _import_library)
        self._new_route, self.refusal = await importing

    def close(self) -> None:
        """Close the socket; a further operation opens it again."""
        route, self._route = self._route, None
        if route is not None:
            route.close()

    @asynccontextmanager
    async def lend(self, doing: str) -> AsyncIterator[Any]:
        """Lend the socket for one operation and turn its failures into a GuestError.

        After anything but a plain refusal the socket is given up, for an answer may still be on its way.
        """
        try:
            async with asyncio.timeout(self.deadline_s), self.lock:
                if self._route is None:
                    self._route = self._new_route(groups=0)
                yield self._route
        except self.refusal as error:
            raise GuestError(f"cannot {doing}: {explain(error.code)}") from error
        except TimeoutError:
            self.close()
            raise GuestError(f"cannot {doing}: the kernel did not answer in {self.deadline_s:g} s") from None
        except OSError as error:
            self.close()
            raise GuestError(f"cannot {doing}: {error.strerror or error}") from error
        except BaseException:
            self.close()
            raise

    async def unless(self, codes: tuple[int, ...], asked: Awaitable[Any]) -> None:
        """Await what was asked of the socket; a refusal for one of these reasons is as good as success."""
        try:
            await asked
        except self.refusal as error:
            if error.code not in codes:
                raise


def _import_library() -> tuple[Any, type[Any]]:
    from pyroute2.iproute.linux import AsyncIPRoute  # noqa: PLC0415 - 13 MB that guest = "none" does without
    from pyroute2.netlink.exceptions import NetlinkError  # noqa: PLC0415 - the same

    return AsyncIPRoute, NetlinkError


def explain(code: int) -> str:
    """Return why the kernel refuses, in words that help."""
    return _WORDS.get(code) or os.strerror(code)
