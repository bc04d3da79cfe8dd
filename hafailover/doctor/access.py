"""Whether the cloud can be asked at all: metadata, keys, clock, and what an error of the API means. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hafailover.cloud.outcome import CLIENT_CREDENTIALS, UNANSWERED, UNSENT, Remedy, classify
from hafailover.doctor.findings import Note, Seen, failure, judged, unknown, warning
from hafailover.election.values import Outcome, Refusal
from hafailover.words import duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hafailover.config.model import Cloud, Node
    from hafailover.doctor.findings import Finding
    from hafailover.errors import CloudError

EXPIRY_S = 600  # a failover with its retries is over long before
CLOCK_WARNING_S = 30
CLOCK_FAILURE_S = 240  # the API's limit is 300


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the metadata service says, or the error of asking it."""

    instance_id: str | None = None
    region: str | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys at hand, or the error of fetching them. `unattended`: they end, and nothing here replaces them."""

    expires_in_s: float | None = None
    unattended: bool = False
    error: str = ""


def metadata(settings: Cloud, node: Node, said: Metadata) -> Seen:
    """Compare the metadata service with the file; it is only a failure to miss it where the daemon needs it."""
    if said.error:
        if settings.region is None or settings.credentials.startswith("role"):
            return Seen((failure("metadata", "metadata service", said.error),))
        text = f"it does not answer ({said.error}); instance and region were not compared with the file"
        return Seen(notes=(Note("metadata service", text),))
    return judged(_compared(settings, node, said), f"this is {said.instance_id} in {said.region}")


def _compared(settings: Cloud, node: Node, said: Metadata) -> Iterator[Finding]:
    if node.instance_id not in (None, said.instance_id):
        found = f"the file says {node.instance_id}, and this is {said.instance_id}"
        yield failure("metadata-instance", node.name, found)
    if settings.region not in (None, said.region):
        yield failure("metadata-region", node.name, f"the file says {settings.region}, and this is {said.region}")


def keys(said: Keys) -> Iterator[Finding]:
    """Look at the keys and their end."""
    if said.error:
        yield failure("credentials-absent", "credentials", said.error)
    elif said.unattended:
        found = "they have a token, and come from a file or the environment"
        yield warning("credentials-renewal", "credentials", found)
    elif said.expires_in_s is not None and said.expires_in_s < EXPIRY_S:
        left = duration(max(0.0, said.expires_in_s))
        yield warning("credentials-expiry", "credentials", f"they end in {left}")


def clock(offset_s: float | None) -> Iterator[Finding]:
    """Compare this machine's clock with the API's, given how far that is ahead; both are known to a second."""
    if offset_s is None or abs(offset_s) <= CLOCK_WARNING_S:
        return
    side = "behind" if offset_s > 0 else "ahead of"
    found = f"this machine is {duration(abs(offset_s))} {side} the API"
    yield failure("clock", "clock", found) if abs(offset_s) > CLOCK_FAILURE_S else warning("clock", "clock", found)


def of_error(error: CloudError, action: str) -> Finding:
    """Say what the failure of a read that a failover needs comes from."""
    if error.code == CLIENT_CREDENTIALS:
        return failure("credentials-absent", "credentials", error.detail)
    if error.code in UNSENT | UNANSWERED:
        return failure("api-unreachable", action, str(error))
    kind = classify(error.code, action)
    if kind.refusal is Refusal.PERMISSION:
        return _of_refusal(kind.remedy, action, str(error))
    level = unknown if kind.outcome is Outcome.THROTTLED else failure
    return level("api-refused", action, str(error))


def _of_refusal(remedy: Remedy, action: str, said: str) -> Finding:
    if remedy is Remedy.SYNC_CLOCK:
        return failure("clock", "clock", said)
    if remedy is Remedy.GRANT_PERMISSION:
        return failure("permission", action, f"denied: {said}")
    return failure("credentials-refused", "credentials", said)
