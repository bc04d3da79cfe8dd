"""keepalived: a keepalived.conf of anybody's to a configuration, through everything but the disk."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from hafailover.errors import KeepalivedError
from hafailover.keepalived import facts, mapping, parser
from hafailover.keepalived.command import problems
from hafailover.keepalived.draft import toml
from hafailover.keepalived.remarks import Remarks
from tests.fuzz.source import Source

if TYPE_CHECKING:
    from collections.abc import Sequence

MAIN = "k.conf"
MOST_WORDS = 400
SAMPLES = sorted((Path(__file__).parents[2] / "unit" / "keepalived" / "samples").glob("*.conf"))
RAW = 255
# What a file is made of where the bytes are no text: words, each one byte.
WORDS = (
    *"\n{}!#\"'\\",
    *("vrrp_instance", "vrrp_sync_group", "group", "vrrp_script", "script", "track_script", "track_file", "file"),
    *("vrrp_track_process", "process", "track_process", "track_interface", "interface", "priority", "advert_int"),
    *("state", "MASTER", "nopreempt", "unicast_peer", "unicast_src_ip", "virtual_ipaddress", "virtual_router_id"),
    *(
        "notify",
        "notify_master",
        "weight",
        "reverse",
        "interval",
        "timeout",
        "rise",
        "fall",
        "include",
        "global_defs",
    ),
    *(
        "router_id",
        "a",
        "b",
        "vip",
        "10.0.1.1",
        "10.0.1.2/24",
        "fd00::1",
        "0",
        "1",
        "-300",
        "0.5",
        "9" * 9,
        "@a",
        "$A",
    ),
    *(
        "$A=",
        "$A=$A",
        '"killall -0 a"',
        "/bin/x",
        "dev",
        "eth0",
        "x" * 70,
        "\u00e9",
        "~SEQ(a,1,2)",
        "",
        "224.0.0.1",
    ),
)
SEEDS = (
    *(bytes([RAW]) + path.read_bytes() for path in SAMPLES),
    bytes(range(8, 60)),
    bytes([8, 50, 1, 31, 1, 53, 2, 2]),
)


class Memory:
    """The only file there is; including it includes it again."""

    def __init__(self, text: str) -> None:
        self._text = text

    def text(self, _name: str) -> str:
        return self._text

    def names(self, pattern: str, _including: str) -> Sequence[str]:
        return [MAIN] if pattern == MAIN else []


def one(data: bytes) -> None:
    """Any text is refused with its place, or becomes TOML of which the loader can say what is wrong with it.

    Of each file that is taken something is said, and a second reading says the same.
    """
    source = Source(data)
    text = source.rest().decode("utf-8", "replace") if source.byte() == RAW else _from_words(data)
    try:
        made, said = _import(text)
    except KeepalivedError as error:
        assert str(error).startswith(MAIN), error  # noqa: PT017 - the text decides whether it must raise
        return
    assert said
    assert tomllib.loads(made)["group"]
    problems(made)
    assert _import(text) == (made, said)


def _from_words(data: bytes) -> str:
    return " ".join(WORDS[byte % len(WORDS)] for byte in data[:MOST_WORDS])


def _import(text: str) -> tuple[str, list[str]]:
    parsed = parser.parse(MAIN, Memory(text), "a", {"HOME": "/"})
    view = facts.view(MAIN, "a", parsed)
    if not view.units:
        raise KeepalivedError(f"{MAIN}: there is no vrrp_instance in it")
    remarks = Remarks()
    draft = mapping.make([view], remarks)
    return toml(draft, [MAIN]), [str(each) for each in remarks.in_order([MAIN])]
