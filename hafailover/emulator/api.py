"""The API 3.0 endpoint: signature, envelope and transport faults around the model (API document 1130/46710).

A call takes the set latency before it is processed; what a write does takes effect one task time after that.
Errors of the API are HTTP 200; the content type is exactly application/json, as the SDK wants it.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hafailover.emulator import tc3
from hafailover.emulator.actions import SERVICES
from hafailover.emulator.faults import DEFAULT_CODES, Fault, Kind, Plan
from hafailover.emulator.service import CallRecord, Service
from hafailover.emulator.values import ApiError
from hafailover.http1 import Delivery, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VERSION = "2017-03-12"
HANG_S = 120.0
JSON = "application/json"
USAGE = b"POST a signed API 3.0 request to /, or see /_emulator/ for what can be set.\n"


@dataclass(frozen=True, slots=True)
class _Call:
    """A request whose sender is known."""

    action: str
    params: Mapping[str, Any]
    caller: str
    callers: tuple[str, ...]


class Api:
    """Answers signed requests; one object serves the `vpc` and `cvm` endpoints alike."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def handle(self, request: Request) -> Response:
        """Answer one HTTP request to the API's path."""
        if request.path != "/" or request.method != "POST":
            return Response(200 if request.path == "/" else 404, USAGE)
        arrived_ms = self._service.now_ms()
        try:
            call = self._authenticate(request)
        except ApiError as error:
            await asyncio.sleep(self._service.settings.latency_ms / 1000)
            error.request_id = self._service.model.new_request_id()
            self._log(request, arrived_ms, request.headers.get("x-tc-action", ""), "", error.code)
            return _refusal(error)
        plan = self._service.faults.plan(call.action, call.callers)
        await asyncio.sleep((self._service.settings.latency_ms + plan.delay_ms) / 1000)
        return await self._carry_out(request, arrived_ms, call, plan)

    async def _carry_out(self, request: Request, arrived_ms: int, call: _Call, plan: Plan) -> Response:
        try:
            if plan.before is not None:
                _refuse(plan.before, self._service)
            content = None
            if plan.before is None:
                content = self._service.request(call.action, call.params, call.caller, plan.handling)
        except ApiError as error:
            response, code, request_id = _refusal(error), error.code, error.request_id
        else:
            response, code = _success(content or {}), ""
            request_id = (content or {}).get("RequestId", "")
        fault = plan.before or plan.after
        self._log(request, arrived_ms, call.action, call.caller, code, request_id, fault)
        return response if fault is None else await _spoil(response, fault)

    def _log(
        self,
        request: Request,
        arrived_ms: int,
        action: str,
        caller: str,
        code: str,
        request_id: str = "",
        fault: Fault | None = None,
    ) -> None:
        kind = fault.kind.value if fault else ""
        now = self._service.now_ms()
        record = CallRecord(arrived_ms, now, caller, request.peer, action[:64], code, request_id, kind)
        self._service.calls.append(record)

    def _authenticate(self, request: Request) -> _Call:
        headers = request.headers
        claimed = tc3.parse(headers.get("authorization", ""))
        timestamp = tc3.check_time(headers.get("x-tc-timestamp", ""), self._service.now_s())
        key = self._service.keys.find(claimed.secret_id, headers.get("x-tc-token", ""), self._service.now_s())
        query = request.target.partition("?")[2]
        signed = tc3.Signed(request.method, query, headers, request.body, timestamp)
        tc3.verify(signed, claimed, key.secret_key)
        action = _check_target(headers, claimed.service, self._service.model.network.region)
        return _Call(action, _params(request.body), key.caller, (key.secret_id, key.caller, request.peer))


def _check_target(headers: Mapping[str, str], service: str, region: str) -> str:
    """Return the action that is asked for. Raises ApiError where service, version or region are not here."""
    for name in ("X-TC-Action", "X-TC-Version", "X-TC-Region"):
        if not headers.get(name.lower()):
            raise ApiError("MissingParameter", f"The request is missing the header {name}.")
    if service not in SERVICES:
        raise ApiError("NoSuchProduct", f"There is no product {service!r} here.")
    if headers["x-tc-version"] != VERSION:
        raise ApiError("NoSuchVersion", f"The version is {VERSION}.")
    if headers["x-tc-region"] != region:
        raise ApiError("UnsupportedRegion", f"The region here is {region}.")
    action = headers["x-tc-action"]
    if action not in SERVICES[service]:
        raise ApiError("InvalidAction", f"{service} has no action {action!r} here.")
    return action


def _params(body: bytes) -> dict[str, Any]:
    try:
        params = json.loads(body)
    except (ValueError, RecursionError):
        raise ApiError("InvalidRequest", "The body is not JSON.") from None
    if not isinstance(params, dict):
        raise ApiError("InvalidRequest", "The body is not a JSON object.")
    return params


def _success(content: Mapping[str, Any]) -> Response:
    return Response(200, json.dumps({"Response": content}).encode(), JSON)


def _refusal(error: ApiError) -> Response:
    return _success({"Error": {"Code": error.code, "Message": error.message}, "RequestId": error.request_id})


def _refuse(fault: Fault, service: Service) -> None:
    """Raise the error that a fault stands for, if it is one that has a code."""
    if fault.kind in DEFAULT_CODES:
        error = ApiError(fault.code, f"Fault {fault.id} of the emulator.")
        error.request_id = service.model.new_request_id()
        raise error


async def _spoil(response: Response, fault: Fault) -> Response:
    """Return what reaches the caller instead of the response."""
    if fault.kind in (Kind.HANG_BEFORE, Kind.HANG_AFTER):
        await asyncio.sleep(min(fault.ms / 1000 or HANG_S, HANG_S))
    spoil = SPOILS.get(fault.kind)
    return response if spoil is None else spoil(response, fault)


def _failed(_response: Response, _fault: Fault) -> Response:
    return Response(500, b"Internal Server Error")


def _reset(response: Response, _fault: Fault) -> Response:
    return replace(response, delivery=Delivery(reset=True))


def _truncated(response: Response, _fault: Fault) -> Response:
    return replace(response, delivery=Delivery(body_bytes=len(response.body) // 2))


def _slow(response: Response, fault: Fault) -> Response:
    delivery = Delivery(pause_s=max(fault.ms, 1) / 1000, slow_head=fault.kind is Kind.SLOW_HEAD)
    return replace(response, delivery=delivery)


def _not_json(response: Response, _fault: Fault) -> Response:
    return replace(response, body=b"<html>Bad gateway</html>")


def _charset(response: Response, _fault: Fault) -> Response:
    return replace(response, content_type=f"{JSON}; charset=utf-8")


SPOILS: Mapping[Kind, Callable[[Response, Fault], Response]] = {
    Kind.HTTP_500_BEFORE: _failed,
    Kind.HTTP_500_AFTER: _failed,
    Kind.OUTAGE: _reset,
    Kind.RESET_BEFORE: _reset,
    Kind.RESET_AFTER: _reset,
    Kind.HANG_BEFORE: _reset,
    Kind.HANG_AFTER: _reset,
    Kind.TRUNCATED: _truncated,
    Kind.SLOW_HEAD: _slow,
    Kind.SLOW_BODY: _slow,
    Kind.NOT_JSON: _not_json,
    Kind.CHARSET: _charset,
}
