"""The emulator's own endpoints under /_emulator/: look at it and change it while it runs, in JSON, unsigned.

They answer clients on this machine only, unless the emulator was told otherwise.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from hafailover.emulator import faults
from hafailover.emulator.actions import SERVICES
from hafailover.emulator.network import InstanceState, Repair
from hafailover.emulator.params import check_id
from hafailover.emulator.quota import RATE_CODES
from hafailover.emulator.reads import CREATED
from hafailover.emulator.repair_reads import NUMBERS, TIME
from hafailover.emulator.values import ApiError
from hafailover.http1 import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hafailover.emulator.service import Service

PREFIX = "/_emulator/"
MAX_MS = 600_000
MAX_LIFETIME_S = 86_400
MIGRATING = ("DETACHING", "AVAILABLE")
MAX_RATE = 1_000_000
ALL_ACTIONS = frozenset().union(*SERVICES.values())


class Admin:
    """Answers what stands under `PREFIX`; with `anywhere` also clients on other machines."""

    def __init__(self, service: Service, *, anywhere: bool = False) -> None:
        self._service = service
        self._anywhere = anywhere
        self._routes: Mapping[tuple[str, str], Callable[[Any], object]] = {
            ("GET", ""): lambda _: sorted(f"{method} {PREFIX}{name}" for method, name in self._routes),
            ("GET", "state"): lambda _: self.state(),
            ("GET", "calls"): lambda _: [asdict(call) for call in self._service.calls],
            ("GET", "history"): lambda _: [asdict(change) for change in self._service.model.history],
            ("GET", "power"): lambda _: [asdict(change) for change in self._service.model.power_history],
            ("GET", "faults"): lambda _: self._faults(),
            ("GET", "settings"): lambda _: self._settings(),
            ("POST", "faults"): self._post_faults,
            ("POST", "settings"): self._post_settings,
            ("POST", "move"): self._post_move,
            ("POST", "attach"): self._post_attach,
            ("POST", "instance"): self._post_instance,
            ("GET", "announced"): lambda _: self._announced(),
            ("POST", "termination"): self._post_termination,
            ("POST", "repair"): self._post_repair,
        }

    async def handle(self, request: Request) -> Response:
        """Answer one request under `PREFIX`."""
        if not self._anywhere and not ip_address(request.peer).is_loopback:
            return _json({"error": "only for clients on the emulator's own machine"}, 403)
        route = self._routes.get((request.method, request.path.removeprefix(PREFIX)))
        if route is None:
            return _json({"error": f"no such thing; GET {PREFIX} lists what there is"}, 404)
        try:
            return _json(route(_body(request)))
        except (ValueError, ApiError) as error:
            return _json({"error": str(error)}, 400)

    def state(self) -> dict[str, Any]:
        """Return who holds what now: by address, by ENI and by public address, and the instances' states."""
        service = self._service
        now = service.now_ms()
        service.model.advance(now)
        network = service.model.network
        addresses = {
            ip.address: {
                "eni": eni.id,
                "instance": eni.instance_id,
                "state": ip.state.value,
                "primary": ip.primary,
            }
            for eni in network.enis.values()
            for ip in eni.all_ips
        }
        enis = {
            eni.id: {"instance": eni.instance_id, "state": eni.state.value, "primary": eni.primary}
            for eni in network.enis.values()
        }
        eips = {
            eip.address: {"id": eip.id, "state": network.state_of(eip).value, "address": eip.private_ip}
            for eip in network.eips.values()
        }
        instances = {instance.id: instance.state.value for instance in network.instances.values()}
        return {"now_ms": now, "addresses": addresses, "enis": enis, "eips": eips, "instances": instances}

    def _faults(self) -> list[dict[str, Any]]:
        return [faults.as_json(fault) for fault in self._service.faults.listed()]

    def _settings(self) -> dict[str, Any]:
        service = self._service
        lifetime = {"credential_lifetime_s": service.keys.lifetime_s}
        return {**asdict(service.settings), **asdict(service.model.rules), **lifetime}

    def _post_faults(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        if "clear" in body:
            which = None if body["clear"] is True else faults.number(body, "clear", 1, 2**31)
            self._service.faults.remove(which)
            self._service.model.release_stuck(self._service.now_ms())
            self._service.arm()
        else:
            self._service.faults.add(faults.parse(body))
        return self._faults()

    def _post_settings(self, body: dict[str, Any]) -> dict[str, Any]:
        setters = self._setters(body)
        for key in body:
            if key not in setters:
                raise ValueError(f"unknown setting {key!r}, there are {', '.join(setters)}")
        for key in body:
            setters[key](key)
        return self._settings()

    def _setters(self, body: dict[str, Any]) -> dict[str, Callable[[str], None]]:
        service = self._service

        def milliseconds(target: object) -> Callable[[str], None]:
            return lambda key: setattr(target, key, faults.number(body, key, 0, MAX_MS))

        def switch(target: object) -> Callable[[str], None]:
            return lambda key: setattr(target, key, _flag(body, key))

        def lifetime(key: str) -> None:
            service.keys.lifetime_s = faults.number(body, key, 1, MAX_LIFETIME_S)

        return {
            "latency_ms": milliseconds(service.settings),
            "task_ms": milliseconds(service.model.rules),
            "power_ms": milliseconds(service.model.rules),
            "metadata_latency_ms": milliseconds(service.settings),
            "metadata_down": switch(service.settings),
            "strict_ids": switch(service.model.rules),
            "migrating_eni": lambda key: setattr(service.model.rules, key, _choice(body, key, MIGRATING)),
            "rate_limits": switch(service.model.rules),
            "rate_code": lambda key: setattr(service.model.rules, key, _choice(body, key, RATE_CODES)),
            "rates": lambda key: service.model.rules.rates.update(_rates(body, key)),
            "serialise": lambda key: setattr(service.model.rules, key, _choice(body, key, ("eni", "ip"))),
            "credential_lifetime_s": lifetime,
            "expire_credentials": lambda key: _ignore(service.keys.expire(_text(body, key), service.now_s())),
        }

    def _post_move(self, body: dict[str, Any]) -> dict[str, Any]:
        eni = None if body.get("eni") is None else _text(body, "eni")
        self._service.model.move(str(ip_address(_text(body, "address"))), eni, self._service.now_ms())
        return self.state()

    def _post_attach(self, body: dict[str, Any]) -> dict[str, Any]:
        instance = None if body.get("instance") is None else _text(body, "instance")
        self._service.model.attach(_text(body, "eni"), instance, self._service.now_ms())
        return self.state()

    def _post_instance(self, body: dict[str, Any]) -> dict[str, Any]:
        state = InstanceState(_choice(body, "state", tuple(state.value for state in InstanceState)))
        self._service.model.set_instance_state(_text(body, "instance"), state, self._service.now_ms())
        return self.state()

    def _announced(self) -> dict[str, Any]:
        """Return the ends of spot instances, by instance, and the repair tasks."""
        network = self._service.model.network
        spots = {each.id: each.termination_time for each in network.instances.values() if each.termination_time}
        return {"terminations": spots, "repairs": [asdict(repair) for repair in network.repairs.values()]}

    def _post_termination(self, body: dict[str, Any]) -> dict[str, Any]:
        at = "" if body.get("at") is None else _time(body, "at")
        self._service.model.announce_termination(_text(body, "instance"), at, self._service.now_ms())
        return self._announced()

    def _post_repair(self, body: dict[str, Any]) -> dict[str, Any]:
        number = {"type": 107, "status": 1, **body}
        repair = Repair(
            check_id(_text(body, "id"), "id", "rep"),
            _text(body, "instance"),
            faults.number(number, "type", NUMBERS["TaskTypeIds"][0], NUMBERS["TaskTypeIds"][-1]),
            faults.number(number, "status", NUMBERS["TaskStatus"][0], NUMBERS["TaskStatus"][-1]),
            *("" if body.get(key) is None else _time(body, key) for key in ("planned", "created")),
        )
        self._service.model.put_repair(repair, self._service.now_ms())
        return self._announced()


def _json(value: object, status: int = 200) -> Response:
    return Response(status, json.dumps(value, indent=1).encode() + b"\n", "application/json")


def _body(request: Request) -> dict[str, Any]:
    if request.method == "GET":
        return {}
    try:
        body = json.loads(request.body)
    except RecursionError:
        raise ValueError("the body is nested too deeply") from None
    if not isinstance(body, dict):
        raise ValueError("the body is not a JSON object")  # noqa: TRY004 - one kind of error for all bad input
    return body


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key} is {value!r}, allowed is a string")  # noqa: TRY004 - as above
    return value


def _time(body: Mapping[str, Any], key: str) -> str:
    value = _text(body, key)
    if not TIME.fullmatch(value):
        raise ValueError(f"{key} is {value!r}, allowed is a time such as {CREATED}")
    return value


def _flag(body: Mapping[str, Any], key: str) -> bool:
    value = body.get(key)
    if not isinstance(value, bool):
        raise ValueError(f"{key} is {value!r}, allowed is true or false")  # noqa: TRY004 - as above
    return value


def _choice(body: Mapping[str, Any], key: str, choices: tuple[str, ...]) -> str:
    value = _text(body, key)
    if value not in choices:
        raise ValueError(f"{key} is {value!r}, allowed is one of {', '.join(choices)}")
    return value


def _rates(body: Mapping[str, Any], key: str) -> dict[str, int]:
    value = body.get(key)
    if not isinstance(value, dict) or not set(value) <= ALL_ACTIONS:
        raise ValueError(f"{key} is {value!r}, allowed is an object of actions with requests per second")
    return {action: faults.number(value, action, 0, MAX_RATE) for action in value}


def _ignore(_count: int) -> None:
    return
