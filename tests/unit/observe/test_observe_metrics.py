from __future__ import annotations

import copy
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hafailover import __version__
from hafailover.config import model
from hafailover.election.reasons import Reason
from hafailover.election.values import State
from hafailover.observe import metrics
from hafailover.observe.history import to_json
from hafailover.observe.metrics import API_ACTIONS, CLAIM_REASONS, Metrics
from tests.unit.observe.test_observe_history import finished

if TYPE_CHECKING:
    from prometheus_client.samples import Sample

STATUS: dict[str, Any] = {
    "node": "web-a",
    "drained": False,
    "log_lines_lost": 2,
    "readiness": {"checks": {"quota-addresses": False, "eni-gone": True, "guest-interface": None}},
    "cloud": {"error": "", "read_age_s": 3.25},
    "announced": {
        "drained": True,
        "sources": {"spot": None, "repair": "UnauthorizedOperation"},
        "events": [
            {"source": "spot", "at": "2026-01-01T00:00:00Z"},
            {"source": "spot", "at": "2026-01-02T00:00:00Z"},
            {"source": "repair", "at": "soon"},
        ],
    },
    "mqtt": {"connected": True, "connections": 3, "failures": 2, "lost": 1, "round_trip_s": 0.002},
    "peers": [
        {
            "node": "web-b",
            "alive": True,
            "config_match": False,
            "hears_us": True,
            "paths": {
                "udp": {
                    "up": True,
                    "last_seen_s": 0.11,
                    "rtt_s": 0.0004,
                    "loss": 0.25,
                    "sent": 9,
                    "received": 8,
                    "refused": 1,
                    "send_errors": 3,
                    "foreign_source": 2,
                },
                "mqtt": {"up": False, "last_seen_s": None},
            },
        }
    ],
    "groups": [
        {
            "name": "vip",
            "state": "MASTER",
            "master": "web-a",
            "term": 3,
            "since": "2026-01-01T00:00:00Z",
            "priority": 100,
            "effective_priority": 80,
            "eligible": False,
            "paused": True,
            "hold_down_s": 12.5,
            "addresses": [{"address": "10.0.1.100", "holder": "web-a", "configured": True}],
            "enis": [{"eni": "eni-cccccccc", "holder": None}],
            "checks": [
                {"name": "nginx", "state": "up"},
                {"name": "disk", "state": "down"},
                {"name": "new", "state": "pending"},
            ],
            "last_failover": {"phases_s": {"detect": 1.0, "cloud": 0.6}},
        }
    ],
}


def used() -> Metrics:
    """Return metrics of which each method has been called."""
    made = Metrics("web", "web-a")
    made.role_changed("vip", State.BACKUP, State.CLAIMING, Reason.MASTER_DEAD)
    made.role_changed("vip", State.CLAIMING, State.MASTER, Reason.CLAIM_DONE)
    made.refrained("vip", Reason.GUARD_DENIED)
    made.failover("vip", Reason.MASTER_DEAD, "done", {"detect": 1.0, "cloud": 0.6})
    made.api_call("MigratePrivateIpAddress", "", 0.3)
    made.api_call("DescribeNetworkInterfaces", "RequestLimitExceeded", 0.1)
    made.throttled("DescribeNetworkInterfaces")
    made.credentials_expire(1_767_225_600.0)
    made.clock_offset(-0.25)
    made.datagram_rejected("bad_mac")
    made.datagram_rejected("bad_mac", 4)
    made.hook_result("vip", "master", "ok", 0.2)
    made.check_result("vip", "nginx", 0.003, passed=True)
    made.check_result("vip", "nginx", 0.005, passed=False)
    made.guard_verdict("vip", "cloud", "allow")
    made.guest_failed("vip", "arm")
    made.state_not_saved()
    made.ready(is_ready=True)
    made.loop_lag(0.002)
    made.config_loaded(1_767_225_601.0)
    made.config_refused()
    return made


def samples(text: bytes) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


def values(text: bytes, name: str) -> dict[tuple[str, ...], float]:
    """Return the values of a metric by the values of its labels, those of all metrics aside."""
    return {
        tuple(value for label, value in sample.labels.items() if label not in ("cluster", "node")): sample.value
        for sample in samples(text)[f"hafailover_{name}"]
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("role_changes_total", {("vip", "master_dead", "CLAIMING"): 1, ("vip", "claim_done", "MASTER"): 1}),
        ("claims_held_back_total", {("vip", "guard_denied"): 1}),
        ("failovers_total", {("vip", "master_dead", "done"): 1}),
        ("failover_phase_duration_seconds_sum", {("detect",): 1.0, ("cloud",): 0.6}),
        (
            "cloud_api_requests_total",
            {("MigratePrivateIpAddress", ""): 1, ("DescribeNetworkInterfaces", "RequestLimitExceeded"): 1},
        ),
        (
            "cloud_api_request_duration_seconds_count",
            {("MigratePrivateIpAddress",): 1, ("DescribeNetworkInterfaces",): 1},
        ),
        ("cloud_api_throttled_total", {("DescribeNetworkInterfaces",): 1}),
        ("credentials_expiry_timestamp_seconds", {(): 1_767_225_600}),
        ("clock_offset_seconds", {(): -0.25}),
        ("heartbeat_datagrams_rejected_total", {("bad_mac",): 5}),
        ("hook_runs_total", {("vip", "master", "ok"): 1}),
        ("hook_duration_seconds_sum", {("master",): 0.2}),
        ("check_duration_seconds_sum", {("nginx", "vip"): 0.008}),
        ("check_duration_seconds_count", {("nginx", "vip"): 2}),
        ("check_failures_total", {("nginx", "vip"): 1}),
        ("guard_verdicts_total", {("vip", "cloud", "allow"): 1}),
        ("guest_failures_total", {("vip", "arm"): 1}),
        ("failover_duration_seconds_sum", {("master_dead",): 1.6}),
        ("state_save_failures_total", {(): 1}),
        ("node_ready", {(): 1}),
        ("cloud_last_read_successful", {(): 1}),
        ("group_master_info", {("vip", "web-a"): 1}),
        ("group_holder_mismatch", {("vip",): 1}),
        ("loop_lag_seconds_count", {(): 1}),
        ("config_last_reload_successful", {(): 0}),
        ("config_last_reload_success_timestamp_seconds", {(): 1_767_225_601}),
        ("node_drained", {(): 0}),
        ("announced_drained", {(): 1}),
        ("announced_source_readable", {("spot",): 1, ("repair",): 0}),
        ("announced_event_timestamp_seconds", {("spot",): 1_767_225_600}),
        ("log_lines_lost_total", {(): 2}),
        ("readiness", {("quota-addresses",): 0, ("eni-gone",): 1}),
        ("group_is_master", {("vip",): 1}),
        ("group_term", {("vip",): 3}),
        ("group_priority", {("vip",): 100}),
        ("group_effective_priority", {("vip",): 80}),
        ("group_hold_down_seconds", {("vip",): 12.5}),
        ("group_paused", {("vip",): 1}),
        ("group_state_start_timestamp_seconds", {("vip",): 1_767_225_600}),
        ("peer_alive", {("web-b",): 1}),
        ("peer_config_match", {("web-b",): 0}),
        ("peer_path_up", {("udp", "web-b"): 1, ("mqtt", "web-b"): 0}),
        ("peer_path_silence_seconds", {("udp", "web-b"): 0.11}),
        ("peer_path_rtt_seconds", {("udp", "web-b"): 0.0004}),
        ("peer_path_loss_ratio", {("udp", "web-b"): 0.25}),
        ("heartbeat_datagrams_sent_total", {("udp", "web-b"): 9}),
        ("heartbeat_datagrams_received_total", {("udp", "web-b"): 8}),
        ("heartbeat_refusals_total", {("udp", "web-b"): 1}),
        ("heartbeat_send_errors_total", {("udp", "web-b"): 3}),
        ("heartbeat_foreign_source_total", {("udp", "web-b"): 2}),
        ("peer_hears_this_node", {("web-b",): 1}),
        ("group_eligible", {("vip",): 0}),
        ("cloud_read_age_seconds", {(): 3.25}),
        ("check_up", {("nginx", "vip"): 1, ("disk", "vip"): 0}),
        ("address_holder_info", {("10.0.1.100", "vip", "web-a"): 1}),
        ("address_configured", {("10.0.1.100", "vip"): 1}),
        ("eni_holder_info", {("eni-cccccccc", "vip", ""): 1}),
        ("last_failover_phase_seconds", {("vip", "detect"): 1.0, ("vip", "cloud"): 0.6}),
    ],
)
def test_a_metric_says_what_happened_or_what_the_status_says(
    name: str, expected: dict[tuple[str, ...], float]
) -> None:
    assert values(used().render(STATUS), name) == pytest.approx(expected)


@pytest.mark.parametrize("state", list(State))
def test_a_group_is_in_one_state(state: State) -> None:
    status = copy.deepcopy(STATUS)
    status["groups"][0]["state"] = state.value

    found = values(Metrics("web", "web-a").render(status), "group_state")

    assert found == {("vip", other.value): float(other is state) for other in State}


@pytest.mark.parametrize(
    ("state", "holder", "expected"),
    [
        ("MASTER", "web-a", 0),
        ("MASTER", "web-b", 1),
        ("MASTER", None, 1),
        ("BACKUP", "web-b", 0),
        ("BACKUP", "web-a", 1),
        ("FAULT", "web-a", 1),
        ("INIT", None, 0),
        ("CLAIMING", "web-a", 0),
        ("RELEASING", "web-b", 0),
    ],
)
def test_mastership_is_held_against_what_the_cloud_says(state: str, holder: str | None, expected: int) -> None:
    group = {"name": "vip", "state": state, "addresses": [{"address": "10.0.1.100", "holder": holder}]}
    status = {"node": "web-a", "cloud": {"error": "", "read_age_s": 1.0}, "groups": [group]}

    assert values(Metrics("web", "web-a").render(status), "group_holder_mismatch") == {("vip",): expected}


@pytest.mark.parametrize(
    ("cloud", "expected"),
    [
        ({"error": "", "read_age_s": None}, {}),
        ({"error": "ClientTimeout", "read_age_s": None}, {(): 0}),
        ({"error": "ClientTimeout", "read_age_s": 9.0}, {(): 0}),
        ({"error": "", "read_age_s": 9.0}, {(): 1}),
    ],
)
def test_the_cloud_is_not_judged_before_it_was_asked(
    cloud: dict[str, Any], expected: dict[tuple[str, ...], float]
) -> None:
    text = Metrics("web", "web-a").render({"cloud": cloud})

    found = values(text, "cloud_last_read_successful") if expected else samples(text)
    assert expected or "hafailover_cloud_last_read_successful" not in found
    assert not expected or found == expected


def test_what_may_be_counted_is_there_before_it_happens() -> None:
    notify = model.Notify(master=("/etc/hafailover/on-master",))
    group = model.Group("vip", checks=(model.Check("web", "tcp"),), notify=notify)
    made = Metrics("web", "web-a")

    made.expect([group])

    text = made.render({})
    assert values(text, "failovers_total") == {("vip", reason.label, "done"): 0 for reason in CLAIM_REASONS}
    assert set(values(text, "failover_phase_duration_seconds_count")) == {
        (phase,) for phase in to_json(finished("vip"), 0)["phases_s"]
    }
    assert values(text, "failover_duration_seconds_count") == {(reason.label,): 0 for reason in CLAIM_REASONS}
    assert values(text, "hook_duration_seconds_count") == {("master",): 0}
    assert values(text, "hook_runs_total") == {("vip", "master", end): 0 for end in ("ok", "failed", "timeout")}
    assert values(text, "check_failures_total") == {("web", "vip"): 0}
    assert values(text, "cloud_api_throttled_total") == {(action,): 0 for action in API_ACTIONS}
    assert values(text, "guest_failures_total") == {("vip", "arm"): 0, ("vip", "disarm"): 0}


def test_all_metrics_say_which_cluster_and_node_and_none_is_shown_twice() -> None:
    found = [sample for group in samples(used().render(STATUS)).values() for sample in group]
    series = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in found]

    assert len(series) == len(set(series))
    own = [sample for sample in found if not sample.name.startswith("process_")]
    assert {(sample.labels["cluster"], sample.labels["node"]) for sample in own} == {("web", "web-a")}
    assert not [sample.name for sample in found if sample.name.endswith("_created")]


def test_the_process_and_the_build_are_described() -> None:
    found = samples(Metrics("web", "web-a").render({}))

    assert found["process_resident_memory_bytes"][0].value > 1_000_000
    assert found["process_open_fds"][0].value > 0
    assert found["process_cpu_seconds_total"][0].value > 0
    assert found["hafailover_build_info"][0].labels["version"] == __version__


def test_a_status_that_says_nothing_gives_no_samples() -> None:
    status: dict[str, Any] = {"peers": [{}], "groups": [{"addresses": None, "last_failover": None, "checks": [{}]}]}

    found = samples(Metrics("web", "web-a").render(status))

    assert "hafailover_group_term" not in found
    assert "hafailover_check_up" not in found
    assert "hafailover_log_lines_lost_total" not in found


def test_rendering_twice_gives_the_same() -> None:
    made = used()

    first, second = (
        [line for line in made.render(STATUS).splitlines() if b"process_" not in line] for _ in range(2)
    )

    assert first == second


def test_a_label_from_outside_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MAX_LABEL_VALUES", 2)
    made = Metrics("web", "web-a")

    for code in ("A", "B", "C", "D", "A"):
        made.api_call("Describe", code, 0.1)

    found = values(made.render({}), "cloud_api_requests_total")
    assert found == {("Describe", "A"): 2, ("Describe", "B"): 1, ("Describe", "other"): 2}


def test_names_from_a_configuration_cannot_break_the_text() -> None:
    status = {"groups": [{"name": 'a"b\\c\nd', "term": 1}]}

    assert values(Metrics("web", "web-a").render(status), "group_term") == {('a"b\\c\nd',): 1}


@pytest.mark.system
def test_prometheus_finds_nothing_to_complain_of() -> None:
    try:
        done = subprocess.run(
            ["promtool", "check", "metrics"],
            input=used().render(STATUS),
            capture_output=True,
            check=False,
            timeout=30,
        )
    except FileNotFoundError:
        pytest.skip("promtool is not installed")

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_of_a_group_that_has_gone_no_series_is_left() -> None:
    made = used()
    assert 'group="vip"' in made.render({}).decode()
    made.role_changed("other", State.INIT, State.BACKUP, Reason.LISTENED)
    made.forget("vip")
    text = made.render({}).decode()
    assert 'group="vip"' not in text
    assert 'group="other"' in text
