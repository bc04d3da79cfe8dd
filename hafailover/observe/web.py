"""What the metrics address answers: people, Prometheus, load balancers, and scripts."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hafailover.http1 import Request, Response
from hafailover.observe import page
from hafailover.observe.metrics import CONTENT_TYPE, Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Web:
    """The handler for `http1.Server`.

    `status`: the mapping that `status --json` shows. `alive`: whether the daemon's loop turns.
    `missing`: what keeps the node from being ready, and why; empty where nothing does. `failovers`: the records of
    the history, the newest first.
    """

    metrics: Metrics
    status: Callable[[], Mapping[str, Any]]
    alive: Callable[[], bool]
    missing: Callable[[], Mapping[str, str]]
    failovers: Callable[[], Sequence[Mapping[str, Any]]]

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        if request.method not in ("GET", "HEAD"):
            return Response(405, b"only GET and HEAD\n", headers=(("Allow", "GET, HEAD"),))
        return await self._answer(request)

    async def _answer(self, request: Request) -> Response:
        match request.path.split("/", 2)[1:]:
            case [""]:
                return await self._page(request.query)
            case ["metrics"]:
                return await self._scrape()
            case ["healthz"]:
                return Response(200, b"ok\n") if self.alive() else Response(503, b"the loop does not turn\n")
            case ["readyz"]:
                return self._ready()
            case [("master" | "backup") as state, group]:
                return self._group(group, state.upper())
        return Response(404, b"no such page\n")

    async def _page(self, query: Mapping[str, str]) -> Response:
        """Render in a thread, as for a scrape."""
        status, failovers = self.status(), tuple(self.failovers())
        html = await asyncio.to_thread(page.render, status, failovers, query, now_ms=time.time_ns() // 1_000_000)
        return Response(200, html, page.CONTENT_TYPE, page.HEADERS)

    async def _scrape(self) -> Response:
        """Render in a thread: hundreds of groups take longer than a heartbeat may be late."""
        text = await asyncio.to_thread(self.metrics.render, self.status())
        return Response(200, text, CONTENT_TYPE)

    def _ready(self) -> Response:
        missing = dict(self.missing())
        body = json.dumps({"ready": not missing, "missing": missing}) + "\n"
        return Response(503 if missing else 200, body.encode(), "application/json")

    def _group(self, name: str, wanted: str) -> Response:
        for group in self.status().get("groups") or ():
            if group.get("name") == name:
                state = str(group.get("state"))
                return Response(200 if state == wanted else 503, f"{state}\n".encode())
        return Response(404, b"no such group\n")
