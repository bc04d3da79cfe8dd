from __future__ import annotations

import pytest

from hafailover.keepalived import scripts


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), ()),
        (("/bin/a b 'c d'",), ("/bin/a", "b", "c d")),
        (("/bin/a", "b c"), ("/bin/a", "b c")),
        (("killall -0 haproxy",), ("/bin/sh", "-c", "exec killall -0 haproxy")),
        (("ping", "-c 1", "10.0.0.1"), ("/bin/sh", "-c", "exec ping '-c 1' 10.0.0.1")),
        (("curl -f http://a | grep ok",), ("/bin/sh", "-c", "curl -f http://a | grep ok")),
        (("[[ -f /x ]] || exit 1",), ("/bin/bash", "-c", "[[ -f /x ]] || exit 1")),
        (("/bin/a don't",), ("/bin/sh", "-c", "/bin/a don't")),
    ],
)
def test_an_argument_list_that_begins_with_a_path(words: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert scripts.argv(words) == expected


@pytest.mark.parametrize(
    "text",
    [
        "killall -0 haproxy",
        "/usr/bin/killall -0 haproxy",
        "pidof haproxy",
        "/bin/pidof haproxy",
        "pgrep -x haproxy",
        "pgrep haproxy > /dev/null",
        "pkill -0 haproxy",
    ],
)
def test_what_asks_for_a_process(text: str) -> None:
    assert scripts.native((text,)) == ("haproxy", {"type": "process"})


@pytest.mark.parametrize(
    "text",
    [
        "systemctl is-active a@b.service",
        "/bin/systemctl -q is-active a@b.service",
        "systemctl is-active --quiet a@b.service",
    ],
)
def test_what_asks_for_a_unit(text: str) -> None:
    assert scripts.native((text,)) == ("", {"type": "systemd", "unit": "a@b.service"})


@pytest.mark.parametrize(
    "text",
    [
        "</dev/tcp/127.0.0.1/80",
        "bash -c '</dev/tcp/127.0.0.1/80'",
        "/bin/bash -c 'cat < /dev/tcp/127.0.0.1/80'",
        "nc -z 127.0.0.1 80",
        "/usr/bin/nc -w 2 -z 127.0.0.1 80",
        "nc -z -w1 127.0.0.1 80",
    ],
)
def test_what_asks_for_a_port(text: str) -> None:
    assert scripts.native((text,)) == ("", {"type": "tcp", "address": "127.0.0.1:80"})


@pytest.mark.parametrize(
    "text", ["[[ -f /a/b ]] && exit 1 || exit 0", "[ -e /a/b ] && exit 1", "test ! -f /a/b", "[ ! -e /a/b ]"]
)
def test_what_wants_a_file_to_be_away(text: str) -> None:
    assert scripts.native((text,)) == ("", {"type": "file", "path": "/a/b", "reverse": True})


@pytest.mark.parametrize("text", ["test -e /a/b", "[ -f /a/b ]", "[[ -e /a/b ]] && exit 0 || exit 1"])
def test_what_wants_a_file_to_be_there(text: str) -> None:
    assert scripts.native((text,)) == ("", {"type": "file", "path": "/a/b"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/etc/keepalived/check.sh",
        "killall -9 haproxy",
        "killall -0 a b",
        "nc -z 127.0.0.1 0",
        "</dev/tcp/127.0.0.1/99999",
        "test -e /a -a -e /b",
        "test -s /a",
        "pgrep -f /usr/bin/x",
    ],
)
def test_what_asks_for_something_else(text: str) -> None:
    assert scripts.native((text,)) is None
