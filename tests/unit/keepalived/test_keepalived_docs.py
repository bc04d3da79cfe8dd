"""docs/from-keepalived.md says of each keyword what the importer does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hafailover.keepalived import parser, tracked
from hafailover.keepalived.hooks import KEYS
from hafailover.keepalived.keywords import TABLE, said_of
from hafailover.keepalived.remarks import Verdict
from tests.unit.keepalived.files import instance, make

PAGE = (Path(__file__).parents[3] / "docs" / "from-keepalived.md").read_text(encoding="utf-8")
HERE = {
    Verdict.CARRIED: "supported",
    Verdict.CHANGED: "replaced",
    Verdict.MEANINGLESS: "meaningless",
    Verdict.MISSING: "missing",
}
# A line in which the importer finds each keyword that it has to understand; the others it looks up.
LINES = {
    "state": ("state MASTER", ""),
    "interface": ("interface eth0", ""),
    "priority": ("priority 100", ""),
    "advert_int": ("advert_int 1", ""),
    "down_timer_adverts": ("down_timer_adverts 3", ""),
    "virtual_ipaddress_excluded": ("virtual_ipaddress_excluded { 10.0.1.5 }", ""),
    "virtual_ipaddress": ("virtual_ipaddress { 10.0.1.5 }", ""),
    "virtual_routes": ("virtual_routes { 10.8.0.0/16 via 10.0.1.1 }", ""),
    "virtual_rules": ("virtual_rules { from 10.0.1.100 table 100 }", ""),
    "nopreempt": ("nopreempt", ""),
    "preempt": ("preempt", ""),
    "preempt_delay": ("preempt_delay 5", ""),
    **{keyword: (f"{keyword} /bin/x", "") for keyword in KEYS},
    **{
        keyword: ("track_script { c }", f"vrrp_script c {{\n script /bin/x\n {line}\n}}")
        for keyword, line in {
            "vrrp_script": "",
            "script": "",
            "interval": "interval 1",
            "timeout": "timeout 1",
            "weight": "weight 1",
            "rise": "rise 1",
            "fall": "fall 1",
            "user": "user root",
            "init_fail": "init_fail",
        }.items()
    },
    **{
        keyword: ("track_process { c }", f"vrrp_track_process c {{\n process x\n {line}\n}}")
        for keyword, line in {
            "vrrp_track_process": "",
            "process": "",
            "quorum": "quorum 2",
            "quorum_max": "quorum_max 2",
            "param_match": "param_match initial",
            "full_command": "full_command",
            "delay": "delay 1",
            "terminate_delay": "terminate_delay 1",
            "fork_delay": "fork_delay 1",
        }.items()
    },
    **{
        keyword: ("track_file { c }", f"vrrp_track_file c {{\n file /x\n weight 0\n {line}\n}}")
        for keyword, line in {"vrrp_track_file": "", "file": "", "init_file": "init_file 1"}.items()
    },
    "vrrp_instance": ("", ""),
    "vrrp_sync_group": ("", "vrrp_sync_group g {\n group { vip }\n}"),
    "group": ("", "vrrp_sync_group g {\n group { vip }\n}"),
    "vrrp_startup_delay": ("", "global_defs { vrrp_startup_delay 1 }"),
    "vrrp_delay_after_boot": ("", "global_defs { vrrp_delay_after_boot 1 }"),
}
LOOSE = ("state",)  # said to be carried over, and that it has become something else


def documented() -> dict[str, str]:
    rows = re.findall(r"(?m)^\| ((?:`\w+` ?)+) \| (\w+) \| (.+) \|$", PAGE.partition("## All keywords")[2])
    return {keyword: status for words, status, _ in rows for keyword in re.findall(r"`(\w+)`", words)}


@pytest.mark.parametrize("keyword", sorted(documented()))
def test_what_the_page_says_of_a_keyword_is_what_the_importer_does(keyword: str) -> None:
    if keyword in LINES:
        more, rest = LINES[keyword]
        said = {word.partition(":")[0] for word in make(instance(more, rest)).said(keyword)}
        verdicts = {HERE[verdict] for verdict in Verdict if verdict.value in said and verdict in HERE}
    else:
        verdicts = {HERE[said_of(keyword)[0]]}
    assert documented()[keyword] in verdicts or keyword in LOOSE


def test_all_that_the_importer_knows_is_on_the_page() -> None:
    assert set(documented()) >= set(TABLE) | set(LINES) | set(tracked.TRACKS)
    assert all(f"`{keyword}" in PAGE for keyword in ("include", "@", "~SEQ", "~LST", "${_ENV NAME}"))
    assert parser.INCLUDES[0] == "include"
