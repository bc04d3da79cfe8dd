"""The exceptions that hafailover raises on purpose; any other one is a bug in hafailover.

    HafailoverError
    ├── ConfigError         the configuration or a file it names is wrong      (exit 2)
    ├── StartError          the daemon cannot start here: port, socket, right  (exit 1)
    ├── KeepalivedError     a keepalived.conf that cannot be understood          (exit 2)
    ├── InstallError        the service cannot be installed or removed so      (exit 1)
    ├── ControlError        the daemon said no, or spoke nonsense              (exit 1)
    ├── UnreachableError    no daemon answers on the control socket            (exit 3)
    ├── WireError           a datagram that is not a valid advertisement
    ├── ProtocolError       a control request that is not one
    ├── CloudError          the cloud's API refused a request or gave no usable answer
    ├── CredentialsError    no usable credentials for the cloud's API
    ├── MetadataError       the metadata service did not answer as documented
    ├── BrokerError         no connection to the MQTT broker, or not any more
    ├── GuestError          the kernel refused a change of its network
    └── InvariantError      the election core contradicts itself: the process must end

Each carries a message that an operator can act on; none carries a secret.
"""

from __future__ import annotations

from dataclasses import dataclass


class HafailoverError(Exception):
    """Base of all exceptions raised on purpose."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a configuration: where it is, what was found, what is allowed."""

    file: str
    key: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        return f"{where}: {self.message}"


class ConfigError(HafailoverError):
    """Everything that is wrong with a configuration, in file order; never just the first mistake."""

    exit_code = 2

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class KeepalivedError(HafailoverError):
    """A keepalived.conf, or a file that it includes, cannot be understood; the message names file and line."""

    exit_code = 2


class StartError(HafailoverError):
    """The daemon cannot start on this machine as it is."""


class InstallError(HafailoverError):
    """The service cannot be installed, or removed, on this machine as it is."""


class ControlError(HafailoverError):
    """The daemon refused a request or could not carry it out."""


class UnreachableError(HafailoverError):
    """No daemon answers on the control socket."""

    exit_code = 3


class WireError(HafailoverError):
    """A datagram that is not a valid advertisement; `reason` is the metric label."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        super().__init__(f"{reason}: {detail}" if detail else reason)


class ProtocolError(HafailoverError):
    """A control request that is not one."""


class CloudError(HafailoverError):
    """The cloud's API refused a request, or its answer proves nothing.

    `code` is the API's error code, or one of `cloud.outcome` for what went wrong on the way to it. `open_s`: for
    how long the API may still accept the request; 0 where it has answered, or was never asked.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code
        self.detail = detail
        self.open_s = 0.0
        super().__init__(f"{code}: {detail}" if detail else code)


class CredentialsError(HafailoverError):
    """No usable credentials for the cloud's API."""


class MetadataError(HafailoverError):
    """The metadata service did not answer as documented."""


class BrokerError(HafailoverError):
    """There is no connection to the MQTT broker, or not any more: why, and which key of [mqtt] is concerned."""


class GuestError(HafailoverError):
    """The kernel refused a change of its network, or the interface is not there."""


class InvariantError(HafailoverError):
    """The election core contradicts itself; going on could move an address wrongly."""
