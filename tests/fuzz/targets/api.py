"""cloud.api with the real SDK, and cloud.outcome: an HTTP answer to a response or an error, and what it proves."""

from __future__ import annotations

import asyncio
import atexit
import json
from typing import Any

import httpx

from hafailover.cloud.api import Api, ApiCall
from hafailover.cloud.credentials import EnvironmentCredentials
from hafailover.cloud.outcome import UNSENT, classify, is_code, known_codes
from hafailover.cloud.transport import API_LIMIT_BYTES, BoundedTransport
from hafailover.config.model import Cloud
from hafailover.election.values import Outcome
from hafailover.errors import CloudError
from tests.fuzz.source import Source, damaged

LONGEST_DETAIL = 400
ACTIONS = ("MigratePrivateIpAddress", "DescribeNetworkInterfaces", "DescribeVpcTaskResult", "")
STATUSES = (200, 200, 200, 500, 302, 200, 429)
CODES = sorted(known_codes())
GOOD: dict[str, Any] = {"Response": {"RequestId": "1", "Status": "SUCCESS"}}
BAD: dict[str, Any] = {"Response": {"RequestId": "1", "Error": {"Code": "InternalError", "Message": "no"}}}
SEEDS = (
    b"\x00\x00\x00" + json.dumps(GOOD).encode(),
    b"\x00\x00\x00" + json.dumps(BAD).encode(),
    b"\x00\x01\x00" + json.dumps(BAD).replace("InternalError", "ClientConnectError").encode(),
    b"\x00\x00\x00<html>bad gateway</html>",
    b"\x00\x00\x00" + b"[" * 1500,
    b"\x00\x00\x03{}",
    b"\x01\x00\x00\x02\x05\x03\x06",
    b"\x02\x00\x00\x02\x05\x03\x06",
    b"\x02\x00\x00\x01\x06\x03\x05",
    b"\x03\x00\x00\x07\x05",
)

_loop = asyncio.new_event_loop()
atexit.register(_loop.close)
_answer: list[tuple[int, bytes]] = []
_reported: list[ApiCall] = []


def _respond(_request: httpx.Request) -> httpx.Response:
    status, body = _answer[-1]
    return httpx.Response(status, stream=httpx.ByteStream(body))


def _api() -> Api:
    keys = EnvironmentCredentials({"TENCENTCLOUD_SECRET_ID": "id", "TENCENTCLOUD_SECRET_KEY": "key"})
    made = Api(Cloud(endpoint="http://127.77.0.1:1"), keys, "ap-guangzhou", _reported.append)
    transport = BoundedTransport(httpx.MockTransport(_respond), API_LIMIT_BYTES)
    made._http = httpx.AsyncClient(transport=transport, trust_env=False)
    made._clients["vpc"] = made._make_client("vpc")
    return made


_API = _api()


def one(data: bytes) -> None:
    """Any answer is a response with a RequestId and no Error, or a CloudError of a well-formed code that claims
    nothing that only this side may claim; every code of any action proves one thing, and a refusal says why.
    """
    source = Source(data)
    kind = source.below(4)
    action = source.pick(ACTIONS)
    status = source.pick(STATUSES)
    if kind == 3:
        _classified(source.pick(CODES) + source.text(), action)
        return
    body = source.rest() if kind == 0 else json.dumps(damaged((GOOD, BAD)[kind - 1], source)).encode()
    _answer[:] = [(status, body)]
    _reported.clear()
    try:
        response = _loop.run_until_complete(_API.call(action, {}))
    except CloudError as error:
        _check_error(error, action)
    else:
        assert status == 200
        assert "Error" not in response
        assert isinstance(response["RequestId"], str)
    assert len(_reported) == 1


def _check_error(error: CloudError, action: str) -> None:
    assert is_code(error.code)
    assert error.code not in UNSENT
    assert len(error.detail) <= LONGEST_DETAIL
    assert error.detail.isprintable()
    _classified(error.code, action)


def _classified(code: str, action: str) -> None:
    found = classify(code, action)
    assert (found.refusal is not None) == (found.outcome is Outcome.REFUSED)
    assert found.outcome is not Outcome.APPLIED
    assert classify(code, action) == found
