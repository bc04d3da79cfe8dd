from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest

from hafailover.election.values import State
from hafailover.observe import cards, page, picture, style
from tests.unit.observe.samples import (
    NOW_MS,
    Json,
    a_check,
    a_failover,
    a_group,
    a_path,
    a_peer,
    a_status,
    an_address,
)
from tests.unit.observe.test_observe_markup import Reader

ATTACK = "</title></style><script>alert(1)</script><img src=x onerror=alert(1)>\"'\u202e\x00"
MAX_BYTES = 400_000


def render(status: Json, failovers: tuple[Json, ...] = (), **query: str) -> str:
    return page.render(status, failovers, query, now_ms=NOW_MS).decode()


def seen(html: str) -> str:
    """Return the text of the body."""
    return Reader(html.partition("<body>")[2]).data


def test_a_master_says_who_and_why() -> None:
    html = render(a_status())

    assert "<title>web-a MASTER - hafailover</title>" in html
    text = seen(html)
    assert "All is well" in text
    assert "Master: web-a (this node). web-a is MASTER: the cloud confirms this node as the holder." in text
    assert "2025-11-25 13:50:11 UTC (9 min 36 s ago)" in text
    assert "What the cloud says: read 12.3 s ago" in text
    assert "As of 2025-11-25 13:59:47 UTC, renewed every 5 s" in text


@pytest.mark.parametrize("state", [state.value for state in State])
def test_every_state_has_a_look_of_its_own(state: str) -> None:
    html = render(a_status(groups=[a_group(state=state)]))

    assert f'<span class="state {state}">{state}</span>' in html
    assert re.search(rf"\.{state}[,{{]", style.CSS)


def test_a_state_of_a_newer_daemon_is_no_class() -> None:
    assert cards.state("x y") == '<span class="state">x y</span>'


def test_an_empty_status_is_a_page() -> None:
    text = seen(render({}))

    assert "This node has no group." in text
    assert "There is no other node." in text
    assert "None that this node has had a part in." in text
    assert "not read yet" in text


def test_what_is_wrong_comes_first() -> None:
    text = seen(render(a_status(groups=[a_group(master=None, state="INIT")])))

    assert "faultvip: no node is known as master" in text
    assert text.index("vip: no node") < text.index("Who hears whom")
    assert "No node is known as master. web-a is INIT" in text
    assert "All is well" not in text


def test_notes_are_bounded() -> None:
    checks = [a_check(name=f"c{index}", state="down") for index in range(100)]
    html = render(a_status(groups=[a_group(checks=checks)]))

    assert html.count('<li class="n-fault">') == page.MAX_NOTES
    assert "and 70 more" in html


def test_a_group_shows_its_flags_priority_and_resources() -> None:
    group = a_group(
        state="BACKUP",
        master="web-b",
        eligible=False,
        paused=True,
        hold_down_s=27.4,
        effective_priority=80,
        addresses=[an_address(holder="web-b", eni="eni-bbbbbbbb", configured=False), an_address(holder=None)],
        enis=[{"eni": "eni-cccccccc", "holder": "web-b", "instance": "ins-b"}],
        checks=[a_check(state="pending", detail=""), a_check(name="disk", state="down", weight=-20)],
        since="never",
    )
    text = seen(render(a_status(groups=[group])))

    assert "paused" in text
    assert "could not take over" in text
    assert "Hold-down27.4 s" in text
    assert "80, configured 100" in text
    assert "10.0.1.100web-beni-bbbbbbbbnot configured" in text
    assert "10.0.1.100no node" in text
    assert "eni-ccccccccweb-bins-bnot configured" in text
    assert "nginxpendingfault if down-" in text
    assert "diskdownweight -20" in text
    assert "never (-)" in text


def test_a_group_says_why_each_peer_is_or_is_not_master() -> None:
    nodes = [
        {"node": "web-b", "state": "BACKUP", "why": "it would take over"},
        {"node": "web-c", "state": None, "why": "never heard"},
    ]
    text = seen(render(a_status(groups=[a_group(nodes=nodes)])))

    assert "web-b is BACKUP: it would take over." in text
    assert "web-c: never heard." in text


def test_a_group_without_resources_and_checks_has_no_tables() -> None:
    assert "<caption>" not in render(a_status(groups=[a_group(addresses=[], checks=[])], peers=[]))


def test_a_holder_that_was_never_read_is_unknown() -> None:
    nothing = an_address(holder=None, eni=None, configured=False)
    status = a_status(cloud={"read_age_s": None}, groups=[a_group(addresses=[nothing])])

    assert "10.0.1.100unknown-not configured" in seen(render(status))


def test_who_hears_whom() -> None:
    peers = [
        a_peer(hears=["web-a", "web-c"]),
        a_peer(node="web-c", alive=False, liveness="down", paths={"udp": a_path(up=False, last_seen_s=17.2)}),
        a_peer(node="web-d", liveness="late", hears=None, paths={}, config_match=None),
        a_peer(node="web-e", liveness=None, config_match=False, paths={"udp": a_path(last_seen_s=None, loss=None)}),
    ]
    html = render(a_status(peers=peers))
    matrix = [
        Reader(row).data for row in re.findall(r"<tr>.*?</tr>", html.split('class="hears"')[1].split("</table>")[0])
    ]

    assert matrix == [
        "-web-aweb-bweb-cweb-dweb-e"[1:],
        "web-a hears-yesudp 410 us, 2.0% lostnoyesyesudp 410 us, - lost",
        "web-b hearsyes-yesnono",
        "web-c hearsunknownunknown-unknownunknown",
        "web-d hearsunknownunknownunknown-unknown",
        "web-e hearsyesnonono-",
    ]
    text = seen(html)
    assert "web-balivethe sameudpyes, 60 ms ago410 us2.0%" in text
    assert "web-cdownthe sameudpno, 17.2 s ago" in text
    assert "web-dlate--never--" in text
    assert "web-ealiveDIFFERSudpnever410 us-" in text
    assert seen(render(a_status(peers=[a_peer(alive=False, liveness=None)]))).count("not heard") == 2


def test_the_node_says_what_it_is() -> None:
    cloud = {"error": "ClientTimeout", "read_age_s": 95}
    text = seen(render(a_status(drained=True, cloud=cloud)))

    assert "Drainedyes" in text
    assert "Configuration0123456789abcdef" in text
    assert "The same configuration on1 of 1 peers" in text
    assert "Cloudfails (ClientTimeout); read 1 min 35 s ago" in text


def test_the_last_failovers_are_drawn() -> None:
    html = render(a_status(), (a_failover(),) * 9)

    assert html.count("<svg") == picture.MAX_BARS
    assert "3 older: see `hafailover history`" in html


def test_many_groups_are_rows_and_one_is_opened_by_its_name() -> None:
    groups = [a_group(name=f"g{index}", state="FAULT" if index == 3 else "MASTER") for index in range(200)]
    html = render(a_status(groups=groups), group="g7", refresh="off")
    text = seen(html)

    assert "<title>web-a master of 199 of 200 - hafailover</title>" in html
    assert "1 FAULT199 MASTER" in text
    assert html.count("<tr>") > 200
    assert html.count("<h2>g") == 1
    assert "<h2>g7</h2>" in html
    assert '<a href="/?group=g12&amp;refresh=off">g12</a>' in html
    assert "g3FAULTweb-aweb-athe cloud confirms" in text


def test_a_few_groups_are_shown_whole() -> None:
    groups = [a_group(name="vip"), a_group(name="db", state="BACKUP", addresses=[], enis=[])]
    html = render(a_status(groups=groups))

    assert "<title>web-a master of 1 of 2 - hafailover</title>" in html
    assert "vip MASTERdb BACKUP" in seen(html)
    assert html.count("<h2>vip</h2>") == html.count("<h2>db</h2>") == 1


@pytest.mark.parametrize("count", [page.MAX_ROWS, 5_000])
def test_the_page_is_bounded(count: int) -> None:
    groups = [a_group(name="n" * 64, why="w" * 300) for _ in range(count)]
    raw = page.render(a_status(groups=groups), [a_failover()] * 1000, {}, now_ms=NOW_MS)

    assert len(raw) < MAX_BYTES
    assert (f"and {count - page.MAX_ROWS} more: see".encode() in raw) == (count > page.MAX_ROWS)


def test_it_renews_itself_until_told_not_to() -> None:
    renewed, still = render(a_status()), render(a_status(), refresh="off", group="a&b")

    assert '<meta http-equiv="refresh" content="5"/>' in renewed
    assert '<a href="/?refresh=off">stop that</a>' in renewed
    assert "http-equiv" not in still
    assert '<a href="/?group=a%26b">renew</a>' in still


def hostile(value: Any) -> Any:
    """Return the value with every text and key in it replaced by an attack."""
    if isinstance(value, dict):
        return {key: hostile(each) for key, each in value.items()} | {ATTACK: ATTACK}
    if isinstance(value, list):
        return [hostile(each) for each in value]
    return ATTACK if isinstance(value, str) else value


def test_no_text_from_outside_becomes_markup() -> None:
    group = a_group(enis=[{"eni": "e", "holder": "n", "instance": "i"}])
    status = hostile(a_status(groups=[group]))
    status["peers"][0]["paths"] = {ATTACK: a_path(up=False)}
    failover = hostile(a_failover()) | {"phases_s": {ATTACK: 1.0, "cloud": 0.5}}
    for groups in (1, 20):
        status["groups"] = status["groups"][:1] * groups
        html = render(status, (failover,), group=ATTACK, refresh=ATTACK)
        plain = render(a_status(groups=[group] * groups), (a_failover(),), group="vip")
        assert set(Reader(html).tags) <= {*Reader(plain).tags}
        assert "<script" not in html
        assert "onerror" not in {name for each in Reader(html).attributes for name in each}
        assert "\u202e" not in html
        assert "\x00" not in html


def test_the_policy_allows_this_style_and_nothing_else() -> None:
    inline = re.findall(r"<style>(.*?)</style>", render(a_status()), re.DOTALL)
    (digest,) = [b64encode(sha256(css.encode()).digest()).decode() for css in inline]

    assert page.POLICY.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    assert " style=" not in render(a_status(), (a_failover(),))


def test_a_text_that_is_no_unicode_does_not_break_the_page() -> None:
    assert "broken?" in render(a_status(node="broken\udcff"))
