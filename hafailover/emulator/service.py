"""What the emulator's parts share: the model, keys, faults, settings and a log of the calls, on one clock."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hafailover.emulator.faults import Faults
from hafailover.emulator.keys import Keys
from hafailover.emulator.model import Model
from hafailover.emulator.values import NORMAL, Handling

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hafailover.emulator.network import Network

MAX_CALLS = 2000
MAX_HISTORY = 2000


@dataclass(slots=True)
class Settings:
    """What can be set at run time besides the model's rules; `latency_ms` is the time of one API request."""

    latency_ms: int = 100
    metadata_latency_ms: int = 0
    metadata_down: bool = False


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One API call: when it came and was answered, from whom, how it ended ("" for a success)."""

    at_ms: int
    answered_ms: int
    caller: str
    peer: str
    action: str
    code: str
    request_id: str
    fault: str = ""


@dataclass(slots=True)
class Service:
    """The emulated cloud and its clock; effects are applied when they are due, also while nobody asks.

    `unix_s` is the wall clock that signatures and temporary keys are checked against.
    """

    network: Network
    seed: str = ""
    unix_s: Callable[[], float] = time.time
    settings: Settings = field(default_factory=Settings)
    faults: Faults = field(default_factory=Faults)
    calls: deque[CallRecord] = field(default_factory=lambda: deque(maxlen=MAX_CALLS))
    model: Model = field(init=False)
    keys: Keys = field(init=False)
    _zero: float = field(default_factory=time.monotonic, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.model = Model(self.network, seed=self.seed, history_limit=MAX_HISTORY)
        self.keys = Keys(self.seed)

    def now_ms(self) -> int:
        """Return the milliseconds since the emulator was made."""
        return int((time.monotonic() - self._zero) * 1000)

    def now_s(self) -> int:
        """Return the wall clock in whole seconds."""
        return int(self.unix_s())

    def request(
        self, action: str, params: Mapping[str, Any], caller: str, handling: Handling = NORMAL
    ) -> dict[str, Any]:
        """Have the model carry out a request now. Raises ApiError."""
        try:
            return self.model.request(action, params, caller, self.now_ms(), handling)
        finally:
            self.arm()

    def arm(self) -> None:
        """Wake up when the next effect is due."""
        self.disarm()
        due = self.model.next_due()
        if due is not None:
            delay_s = due / 1000 - (time.monotonic() - self._zero)
            self._timer = asyncio.get_running_loop().call_later(max(0.0, delay_s), self._wake)

    def _wake(self) -> None:
        self.model.advance(self.now_ms())
        self.arm()

    def disarm(self) -> None:
        """Stop the clock's wake-ups."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
