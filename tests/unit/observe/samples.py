"""Statuses in the shape of `status --json`, for what shows them."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

NOW_MS = 1_764_079_187_000  # 2025-11-25T13:59:47Z


def a_path(**changes: Any) -> Json:
    return {"up": True, "last_seen_s": 0.06, "rtt_s": 0.00041, "loss": 0.02} | changes


def a_peer(**changes: Any) -> Json:
    return {
        "node": "web-b",
        "alive": True,
        "liveness": "alive",
        "dead_interval_s": 1.0,
        "hears_us": True,
        "hears": ["web-a"],
        "config_match": True,
        "paths": {"udp": a_path()},
    } | changes


def an_address(**changes: Any) -> Json:
    return {"address": "10.0.1.100", "holder": "web-a", "eni": "eni-aaaaaaaa", "configured": True} | changes


def a_check(**changes: Any) -> Json:
    return {"name": "nginx", "state": "up", "weight": 0, "detail": "HTTP 200"} | changes


def a_group(**changes: Any) -> Json:
    return {
        "name": "vip",
        "state": "MASTER",
        "master": "web-a",
        "why": "the cloud confirms this node as the holder",
        "term": 10,
        "since": "2025-11-25T13:50:11.000Z",
        "priority": 100,
        "effective_priority": 100,
        "eligible": True,
        "paused": False,
        "hold_down_s": 0.0,
        "addresses": [an_address()],
        "enis": [],
        "checks": [a_check()],
        "last_failover": None,
    } | changes


def a_status(**changes: Any) -> Json:
    return {
        "node": "web-a",
        "version": "0.1.0",
        "uptime_s": 93_784.2,
        "config_digest": "0123456789abcdef",
        "drained": False,
        "leaving": "no",
        "cloud": {"error": "", "read_age_s": 12.3},
        "log_lines_lost": 0,
        "peers": [a_peer()],
        "groups": [a_group()],
    } | changes


def a_failover(**phases_s: Any) -> Json:
    return {
        "at": "2025-11-25T13:50:10.123Z",
        "group": "vip",
        "reason": "master_dead",
        "why": "the master was silent for the dead interval",
        "from": "web-b",
        "to": "web-a",
        "term": 10,
        "moves": 1,
        "phases_s": {"detect": 0.3, "guard": 0.0, "fence": 0.0, "cloud": 0.6, "verify": 0.1, "guest": 0.001}
        | phases_s,
    }
