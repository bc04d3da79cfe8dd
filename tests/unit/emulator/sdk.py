"""The unmodified SDK against an emulator of its own, over real sockets."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.vpc.v20170312 import models as vpc
from tencentcloud.vpc.v20170312 import vpc_client

from hafailover.emulator.server import SECRET_ID, SECRET_KEY, Emulator, Options
from hafailover.emulator.world import PAIR, VIP, build

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hafailover.emulator.network import Network

REGION = "ap-guangzhou"


def profile(emulator: Emulator, *, keep_alive: bool = False, timeout_s: float = 5) -> ClientProfile:
    http = HttpProfile(protocol="http", endpoint=f"127.0.0.1:{emulator.api_port}", reqTimeout=timeout_s)
    http.keepAlive = keep_alive
    return ClientProfile(httpProfile=http)


class Sdk:
    """The generated sync client, its calls in a thread."""

    def __init__(self, emulator: Emulator, credential: Credential | None = None, timeout_s: float = 5) -> None:
        self.emulator = emulator
        credential = credential or Credential(SECRET_ID, SECRET_KEY)
        self.client = vpc_client.VpcClient(credential, REGION, profile(emulator, timeout_s=timeout_s))

    async def call(self, action: str, **fields: Any) -> Any:
        request = getattr(vpc, f"{action}Request")()
        request._deserialize(fields)
        return await asyncio.to_thread(getattr(self.client, action), request)

    async def task(self, action: str, **fields: Any) -> str:
        """Make a write and return how its task ended."""
        reply = await self.call(action, **fields)
        return str((await self.call("DescribeVpcTaskResult", TaskId=reply.RequestId)).Status)

    async def eni(self, eni_id: str) -> Any:
        reply = await self.call("DescribeNetworkInterfaces", NetworkInterfaceIds=[eni_id])
        return reply.NetworkInterfaceSet[0]

    async def refused(self, action: str, **fields: Any) -> str:
        with pytest.raises(TencentCloudSDKException) as caught:
            await self.call(action, **fields)
        return str(caught.value.code)

    def move(self) -> dict[str, Any]:
        return {
            "SourceNetworkInterfaceId": PAIR[0].eni_id,
            "DestinationNetworkInterfaceId": PAIR[1].eni_id,
            "PrivateIpAddress": VIP,
        }

    def holder(self) -> str | None:
        return self.emulator.model.holder_of(VIP, self.emulator.service.now_ms())

    def close(self) -> None:
        self.client.request.conn._session.close()


@asynccontextmanager
async def emulated(network: Network | None = None, **options: Any) -> AsyncIterator[Sdk]:
    timeout_s = options.pop("timeout_s", 5)
    emulator = Emulator(network or build(), Options(**{"latency_ms": 0, "task_ms": 0, **options}))
    await emulator.start()
    sdk = Sdk(emulator, timeout_s=timeout_s)
    try:
        yield sdk
    finally:
        sdk.close()
        await emulator.close()
