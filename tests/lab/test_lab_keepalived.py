"""A pair as keepalived has it, imported, filled in and run: it moves, and its notify program is told as before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hafailover.keepalived import command, mapping
from hafailover.keepalived.draft import toml
from hafailover.keepalived.remarks import Remarks
from tests.lab.cloud import API_PORT
from tests.lab.fabric import API, METADATA
from tests.lab.lab import ADDRESS, ENI, SERVICE_PORT
from tests.lab.pair import Pair
from tests.lab.processes import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

_CONF = """
global_defs {{
    router_id {name}
}}
vrrp_script service {{
    script "/bin/bash -c '</dev/tcp/127.0.0.1/{port}'"
    interval 0.1
}}
vrrp_instance vip {{
    state BACKUP
    nopreempt
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int 0.1
    unicast_src_ip {own}
    unicast_peer {{
        {peer}
    }}
    virtual_ipaddress {{
        {address}/24 dev eth0
    }}
    track_script {{
        service
    }}
    notify "{notify} told"
}}
"""
_CLOUD = f"""[cloud]
region = "ap-guangzhou"
endpoint = "http://{API}:{API_PORT}"
cvm_endpoint = "http://{API}:{API_PORT}"
metadata_url = "http://{METADATA}"
"""


def _import(lab: Lab) -> str:
    """Return the configuration that is made of the two nodes' files, with the blanks filled in."""
    notify = lab.directory / "notify"
    notify.write_text('#!/bin/sh\necho "$@" >> /run/notify\n', encoding="ascii")
    notify.chmod(0o755)
    files = [str(_conf(lab, name, notify)) for name in lab.hosts]
    draft = mapping.make(command.read(files, []), Remarks())
    for node in draft.nodes:
        node.eni = ENI[node.name]
    text = toml(draft, files).replace("/etc/hafailover/cluster.key", "/var/lib/hafailover/cluster.key")
    return text.replace("[cloud]\n", _CLOUD)


def _conf(lab: Lab, name: str, notify: Path) -> Path:
    addresses = {host: lab.hosts[host].port.address for host in lab.hosts}
    [peer] = [address for host, address in addresses.items() if host != name]
    path = lab.directory / f"{name}.conf"
    values = {"own": addresses[name], "peer": peer, "priority": 100 if name == "web-a" else 90, "name": name}
    path.write_text(_CONF.format(port=SERVICE_PORT, address=ADDRESS, notify=notify, **values), encoding="ascii")
    return path


def _told(lab: Lab, name: str) -> list[str]:
    path = lab.hosts[name].directory / "run/notify"
    return path.read_text(encoding="ascii").splitlines() if path.exists() else []


def test_imported_pair_moves_and_tells_as_before(lab: Lab) -> None:
    pair = Pair(lab)
    pair.config.write_text(_import(lab), encoding="utf-8")
    pair.start()
    wait_for("web-a is told", lambda: _told(lab, "web-a") == ["told INSTANCE vip MASTER 100"])
    wait_for("web-b is told", lambda: _told(lab, "web-b") == ["told INSTANCE vip BACKUP 90"])
    lab.hosts["web-a"].stop_service()
    pair.wait_state("web-b", "MASTER")
    wait_for("web-a is told", lambda: _told(lab, "web-a")[1:] == ["told INSTANCE vip FAULT 100"])
    wait_for("web-b is told", lambda: _told(lab, "web-b")[1:] == ["told INSTANCE vip MASTER 90"])
    assert lab.cloud.moves() == ["web-b"]
    assert pair.group("web-a")["checks"][0]["name"] == "service"
