"""The date that a request is signed with: by the API's clock, and for writes so old that they die soon.

The API refuses a request whose timestamp is more than five minutes from its clock (AuthFailure.SignatureExpire). So
a write that was sent and never answered could take effect five minutes later, out of some queue on the way. A write
that is dated back by almost those five minutes is refused a few seconds after it was sent instead: what has not
arrived by then never will.

That needs the API's clock, which the Date header of every answer tells to about a second. The same knowledge makes
requests valid on a machine whose own clock is wrong. It is kept as the distance to a clock that nobody sets (the
boot-time clock, which goes on while the machine is suspended): were it kept to the time of day, a write after a
step forward would be dated ahead by that much, and live for minutes that nobody counts.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tencentcloud.common.common_client_async import CommonClient

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_AGE_S = 300  # the API's own limit
MARGIN_S = 5  # a second for the Date header's grain, one for the way, and some for nobody knows what
GRAIN_S = 1  # the API's clock is known to a second
PLAIN_S = 600  # for how long nothing is dated back after the API has found such a request too old
EXPIRING = "HafailoverExpiring"  # the key of the option that asks for a short life


def life_s(timeout_s: float) -> float:
    """Return how long after its sending a write can still be accepted, given what it may take to be answered."""
    return timeout_s + MARGIN_S


def steady_s() -> float:
    """Return the boot-time clock in seconds: nobody sets it, and it goes on in suspension (clock_gettime(2))."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Dating:
    """What is known of the API's clock. `timeout_s` is that of one request.

    `clock` tells seconds since the epoch and may jump, `steady` seconds since anything and may not.
    """

    def __init__(
        self,
        timeout_s: float,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = steady_s,
    ) -> None:
        self._life_s = life_s(timeout_s)
        self._clock = clock
        self._steady = steady
        self._ahead_s: float | None = None  # the API's clock minus the steady one
        self._plain_until_s = float("-inf")

    def learn(self, offset_s: float | None) -> None:
        """Take note of the API's clock minus the time of day here and now, None where an answer did not say."""
        if offset_s is not None:
            self._ahead_s = offset_s + self._clock() - self._steady()

    def found_too_old(self) -> None:
        """Take note that the API refused a request that was dated back: its limit is not what it is documented."""
        self._plain_until_s = self._steady() + PLAIN_S

    @property
    def shortens(self) -> bool:
        """Whether writes are dated back now: not without the API's clock, nor where it refuses them for it."""
        return self._ahead_s is not None and self._steady() >= self._plain_until_s

    def open_s(self, since_sent_s: float, *, expiring: bool) -> float:
        """Return for how long the API may still accept a request that was sent so long ago."""
        whole_s = self._life_s if expiring and self.shortens else MAX_AGE_S
        return max(0.0, whole_s + GRAIN_S - since_sent_s)

    def timestamp(self, *, expiring: bool) -> int:
        """Return the date for a request that is signed now, in seconds since the epoch."""
        now_s = self._clock() if self._ahead_s is None else self._steady() + self._ahead_s
        back_s = MAX_AGE_S - self._life_s if expiring and self.shortens else 0.0
        return int(now_s - back_s)


class DatedClient(CommonClient):  # type: ignore[misc]
    """The SDK's client with the dates of `dating`; the option EXPIRING of a call asks for a short life."""

    dating: Dating

    def _build_req_with_tc3_signature(
        self,
        action: str,
        params: dict[str, object],
        headers: dict[str, str],
        opts: dict[str, object],
    ) -> Any:  # noqa: ANN401 - the SDK has no types
        """Have the SDK build the request, and sign it again with another date where that differs."""
        request = super()._build_req_with_tc3_signature(action, params, headers, opts)
        stamp = self.dating.timestamp(expiring=bool(opts.get(EXPIRING)))
        if str(stamp) != headers["X-TC-Timestamp"]:
            headers["X-TC-Timestamp"] = request.headers["X-TC-Timestamp"] = str(stamp)
            request.headers["Authorization"] = self._authorization(request.content, headers, stamp, opts)
        return request

    def _authorization(self, body: bytes, headers: dict[str, str], stamp: int, opts: dict[str, object]) -> str:
        """Return the TC3-HMAC-SHA256 header for a date (API document: signature method v3)."""
        secret_id, secret_key, _ = self.credential.get_credential_info()
        date = datetime.fromtimestamp(stamp, UTC).strftime("%Y-%m-%d")
        signature = self._get_tc3_signature(
            "POST", self._requestPath, "", body, headers, date, self._service, secret_key, opts
        )
        scope = f"{secret_id}/{date}/{self._service}/tc3_request"
        return f"TC3-HMAC-SHA256 Credential={scope}, SignedHeaders=content-type;host, Signature={signature}"
