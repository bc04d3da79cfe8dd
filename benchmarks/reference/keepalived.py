"""keepalived as the vendor's recipe sets it up: unicast VRRP and a notify script that calls the cloud."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

RECIPE = Path(__file__).with_name("recipe.py")

_CONFIG = """{namespace}
global_defs {{
    router_id {name}
    vrrp_version 3
    script_user root
}}
{service}
vrrp_script check_self {{
    script "{notify} CHECK"
    interval 5
    timeout 3
    weight 1
}}
vrrp_instance vip {{
    state BACKUP
    nopreempt
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int {advert_s:g}
    unicast_src_ip {own}
    unicast_peer {{
        {peer}
    }}
    virtual_ipaddress {{
        {address}/32 dev eth0
    }}
    {tracked}
    track_script {{
        check_self
    }}
    notify_master "{notify} MASTER"
    notify_backup "{notify} BACKUP"
    notify_fault "{notify} FAULT"
    notify_stop "{notify} STOP"
}}
"""

_BY_SCRIPT = """vrrp_script service {{
    script "{check}"
    interval 1
    timeout 1
    fall 1
    rise 1
}}"""

_BY_PROCESS = """vrrp_track_process service {{
    process {process}
    weight 0
}}"""

# keepalived resolves the links in a script's path; an interpreter so resolved forgets its virtual environment.
_NOTIFY = '#!/bin/sh\nexec {python} {recipe} {settings} "$1" 2>> {log}\n'

_CHECK = "#!/bin/bash\nexec 3<>/dev/tcp/127.0.0.1/{port}\n"


@dataclass(frozen=True, slots=True)
class Side:
    """One host of the pair, as its keepalived is told of it."""

    name: str
    own: str
    peer: str
    own_eni: str
    peer_eni: str
    priority: int


@dataclass(frozen=True, slots=True)
class Cloud:
    """How the recipe reaches the cloud."""

    endpoint: str
    region: str
    secret_id: str
    secret_key: str


@dataclass(frozen=True, slots=True)
class Tracked:
    """The process that keepalived tracks in place of the script, and the host's network namespace.

    The kernel tells of processes only in the first network namespace, so keepalived must be started there and enter
    the host's by itself.
    """

    process: str
    namespace: str


def version() -> str:
    """Return the version of the installed keepalived, or an empty string."""
    if shutil.which("keepalived") is None:
        return ""
    done = subprocess.run(["keepalived", "--version"], capture_output=True, text=True, check=False, timeout=10)
    return (done.stderr or done.stdout).splitlines()[0].split()[1]


def _script(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def prepare(
    side: Side, cloud: Cloud, address: str, port: int, directory: Path, tracked: Tracked | None = None
) -> list[str]:
    """Write one host's files below `directory` and return the command that runs keepalived in the foreground.

    Advertisements come every 100 ms, so a master is taken for dead after 300 ms and VRRP's skew (RFC 9568
    section 6.1); the service is checked every second, keepalived's default for a script, unless it is `tracked`.
    """
    state_file = directory / "state"
    settings = directory / "recipe.json"
    values = {"state_file": str(state_file), "interface": "eth0", "address": address, "own_eni": side.own_eni}
    values |= {"peer_eni": side.peer_eni, "endpoint": cloud.endpoint, "region": cloud.region}
    values |= {"secret_id": cloud.secret_id, "secret_key": cloud.secret_key}
    settings.write_text(json.dumps(values), encoding="utf-8")
    check = _script(directory / "check", _CHECK.format(port=port))
    log = directory / "recipe.log"
    values = {"python": sys.executable, "recipe": str(RECIPE), "settings": str(settings), "log": str(log)}
    notify = _script(directory / "notify", _NOTIFY.format(**values))
    text = _CONFIG.format(
        name=side.name,
        own=side.own,
        peer=side.peer,
        priority=side.priority,
        address=address,
        namespace=f"net_namespace {tracked.namespace}" if tracked else "",
        service=_BY_PROCESS.format(process=tracked.process) if tracked else _BY_SCRIPT.format(check=check),
        tracked=f"track_{'process' if tracked else 'script'} {{\n        service\n    }}",
        advert_s=0.1,
        notify=notify,
    )
    config = directory / "keepalived.conf"
    config.write_text(text, encoding="ascii")
    return ["keepalived", "--dont-fork", "--log-console", "--log-detail", "-f", str(config)]
