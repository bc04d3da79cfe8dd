"""Switching instances off and on: StopInstances, StartInstances and RebootInstances of the CVM API.

A request is for all of its instances or for none. What StopType says makes no difference here: each instance is in
its passing state for the power time and then where it was to get. Nothing else happens to an instance that is off:
its ENIs and addresses stay, as in the cloud, and whoever plays the machine has to end it (`Model.power_listeners`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hafailover.emulator.network import InstanceState, Network
from hafailover.emulator.params import Params
from hafailover.emulator.reads import instance_ids
from hafailover.emulator.values import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hafailover.emulator.network import Instance
    from hafailover.emulator.writing import Parser

STOP_TYPES = ("SOFT", "SOFT_FIRST", "HARD")
STOPPED_MODES = ("KEEP_CHARGING", "STOP_CHARGING")

# For each action the state that an instance must be in, the one that it passes through, and where it ends.
STEPS: Mapping[str, tuple[InstanceState, InstanceState, InstanceState]] = {
    "StopInstances": (InstanceState.RUNNING, InstanceState.STOPPING, InstanceState.STOPPED),
    "StartInstances": (InstanceState.STOPPED, InstanceState.STARTING, InstanceState.RUNNING),
    "RebootInstances": (InstanceState.RUNNING, InstanceState.REBOOTING, InstanceState.RUNNING),
}

# The refusal of an instance that is not in the state that the action needs (CVM API, error codes of the actions).
REFUSALS: Mapping[InstanceState, str] = {
    state: f"UnsupportedOperation.InstanceState{word}"
    for state, word in (
        (InstanceState.PENDING, "Pending"),
        (InstanceState.LAUNCH_FAILED, "LaunchFailed"),
        (InstanceState.RUNNING, "Running"),
        (InstanceState.STOPPED, "Stopped"),
        (InstanceState.STARTING, "Starting"),
        (InstanceState.STOPPING, "Stopping"),
        (InstanceState.REBOOTING, "Rebooting"),
        (InstanceState.SHUTDOWN, "Shutdown"),
        (InstanceState.TERMINATING, "Terminating"),
    )
}


@dataclass(frozen=True, slots=True)
class Switch:
    """One request to switch instances; `request_id` becomes their LatestOperationRequestId."""

    action: str
    instances: tuple[str, ...]
    request_id: str

    @property
    def enis(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def touches(self) -> tuple[str, ...]:
        """The instances."""
        return self.instances

    def busy(self, network: Network) -> str:
        """Let an instance that is stopping say so rather than that it is busy."""
        self.begin(network)
        return "OperationDenied.InstanceOperationInProgress"

    def begin(self, network: Network) -> Network:
        """Put all of them into the passing state. Raises ApiError where one of them is not in the right one."""
        needed, passing, _ = STEPS[self.action]
        for instance_id in self.instances:
            state = network.instances[instance_id].state
            if state is not needed:
                text = f"{instance_id} is {state.value}; {self.action} needs {needed.value}."
                raise ApiError(REFUSALS[state], text)
        return self._put(network, needed, passing, "OPERATING")

    def finish(self, network: Network) -> Network:
        """Put those into the last state that nobody has changed by hand meanwhile."""
        _, passing, last = STEPS[self.action]
        return self._put(network, passing, last, "SUCCESS")

    def cancel(self, network: Network) -> Network:
        """Put them back where they were."""
        needed, passing, _ = STEPS[self.action]
        return self._put(network, passing, needed, "FAILED")

    def _put(self, network: Network, of: InstanceState, into: InstanceState, word: str) -> Network:
        for instance_id in self.instances:
            instance = network.instances[instance_id]
            if instance.state is of:
                network = network.with_instance(self._after(instance, into, word))
        return network

    def _after(self, instance: Instance, state: InstanceState, word: str) -> Instance:
        operation = (self.action, word, self.request_id)
        return replace(instance, state=state, operation=operation)

    def reply(self, _network: Network) -> dict[str, Any]:
        """Nothing but the RequestId."""
        return {}


def _stop(raw: Mapping[str, Any], network: Network, request_id: str) -> Switch:
    params = Params(raw, ("InstanceIds", "ForceStop", "StopType", "StoppedMode"))
    _check_type(params, raw, "ForceStop")
    _choice(params, "StoppedMode", STOPPED_MODES)
    if raw.get("StoppedMode") == "STOP_CHARGING":
        code = "UnsupportedOperation.StoppedModeStopCharging"
        raise ApiError(code, "The instances here are not charged by the hour.")
    return Switch("StopInstances", _ids(params, network), request_id)


def _start(raw: Mapping[str, Any], network: Network, request_id: str) -> Switch:
    return Switch("StartInstances", _ids(Params(raw, ("InstanceIds",)), network), request_id)


def _reboot(raw: Mapping[str, Any], network: Network, request_id: str) -> Switch:
    params = Params(raw, ("InstanceIds", "ForceReboot", "StopType"))
    _check_type(params, raw, "ForceReboot")
    return Switch("RebootInstances", _ids(params, network), request_id)


def _ids(params: Params, network: Network) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(instance_ids(params, network)))
    if not found:
        raise ApiError("MissingParameter", "The request is missing the parameter `InstanceIds`.")
    return found


def _check_type(params: Params, raw: Mapping[str, Any], force: str) -> None:
    """See that the way of stopping is one that there is, said in one way only."""
    _choice(params, "StopType", STOP_TYPES)
    if params.has(force) and not isinstance(raw[force], bool):
        raise ApiError("InvalidParameter", f"The parameter `{force}` is not a boolean.")
    if params.has(force) and params.has("StopType"):
        raise ApiError("InvalidParameterCombination", f"{force} and StopType exclude each other.")


def _choice(params: Params, name: str, choices: tuple[str, ...]) -> None:
    if params.has(name) and params.text(name) not in choices:
        raise ApiError("InvalidParameterValue", f"`{name}` is one of {', '.join(choices)}.")


PARSERS: Mapping[str, Parser] = {
    "StopInstances": _stop,
    "StartInstances": _start,
    "RebootInstances": _reboot,
}
