"""What the vendor's keepalived recipe does, written anew from its description.

keepalived runs `recipe.py FILE STATE` on each change of state and `recipe.py FILE CHECK` every five seconds.

- MASTER: wait half a second, look up to five times whether the address is on the interface, then make up to four
  rounds, two seconds apart: stop when the own ENI carries the address or when the state is no longer MASTER, else
  ask the cloud to move the address from the peer's ENI to the own one. Neither the task nor the real holder is
  looked at.
- CHECK: where the state is MASTER and the own ENI does not carry the address, do the above once more.

FILE is JSON: state_file, interface, address, own_eni, peer_eni, endpoint, region, secret_id, secret_key.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.vpc.v20170312 import models
from tencentcloud.vpc.v20170312.vpc_client import VpcClient

FIRST_WAIT_S = 0.5
LOCAL_CHECKS = 5
LOCAL_CHECK_PAUSE_S = 0.5
ROUNDS = 4
ROUND_PAUSE_S = 2.0


def _carries_address(settings: dict[str, str]) -> bool:
    command = ["ip", "-4", "addr", "show", "dev", settings["interface"]]
    shown = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5)
    return f"inet {settings['address']}/" in shown.stdout


class _Api:
    """The two calls that the recipe makes, by the vendor's own client."""

    def __init__(self, settings: dict[str, str]) -> None:
        http = HttpProfile(protocol="http", endpoint=settings["endpoint"], reqTimeout=3)
        credential = Credential(settings["secret_id"], settings["secret_key"])
        self._client = VpcClient(credential, settings["region"], ClientProfile(httpProfile=http))
        self._settings = settings

    def own_eni_carries(self) -> bool:
        """Whether the cloud names this host as the holder."""
        request = models.DescribeNetworkInterfacesRequest()
        request.NetworkInterfaceIds = [self._settings["own_eni"]]
        return any(
            entry.PrivateIpAddress == self._settings["address"]
            for interface in self._client.DescribeNetworkInterfaces(request).NetworkInterfaceSet
            for entry in interface.PrivateIpAddressSet
        )

    def move(self) -> None:
        """Ask for the move; the answer means that it was accepted."""
        request = models.MigratePrivateIpAddressRequest()
        request.SourceNetworkInterfaceId = self._settings["peer_eni"]
        request.DestinationNetworkInterfaceId = self._settings["own_eni"]
        request.PrivateIpAddress = self._settings["address"]
        self._client.MigratePrivateIpAddress(request)


def _is_master(settings: dict[str, str]) -> bool:
    path = Path(settings["state_file"])
    return path.exists() and path.read_text(encoding="ascii") == "MASTER"


def _one_round(api: _Api, settings: dict[str, str]) -> bool:
    """Return whether nothing is left to do."""
    try:
        if not api.own_eni_carries() and _is_master(settings):
            api.move()
    except TencentCloudSDKException as error:
        sys.stderr.write(f"{error}\n")
        return False
    return True


def become_master(settings: dict[str, str]) -> None:
    """Fetch the address, as the recipe does it."""
    time.sleep(FIRST_WAIT_S)
    for _ in range(LOCAL_CHECKS):
        if _carries_address(settings):
            break
        time.sleep(LOCAL_CHECK_PAUSE_S)
    api = _Api(settings)
    for number in range(ROUNDS):
        if number:
            time.sleep(ROUND_PAUSE_S)
        if _one_round(api, settings):
            return


def check(file: str, settings: dict[str, str]) -> None:
    """Look whether a master still is the holder; if not, start over without waiting for the end of that."""
    if not _is_master(settings):
        return
    try:
        if _Api(settings).own_eni_carries():
            return
    except TencentCloudSDKException as error:
        sys.stderr.write(f"{error}\n")
        return
    subprocess.Popen([sys.executable, __file__, file, "AGAIN"], start_new_session=True)


def main(file: str, verb: str) -> None:
    """Note the state and act on it."""
    settings = json.loads(Path(file).read_text(encoding="utf-8"))
    if verb == "CHECK":
        check(file, settings)
        return
    if verb != "AGAIN":
        Path(settings["state_file"]).write_text(verb, encoding="ascii")
    if verb in ("MASTER", "AGAIN"):
        become_master(settings)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
