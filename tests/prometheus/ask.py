"""Asks the Prometheus of this network namespace: `python -m tests.prometheus.ask`, see `server.Prometheus`.

Standard input is a JSON list of paths with their queries, standard output the list of the answers' bodies.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request

PORT = 9090
TIMEOUT_S = 10.0


def get(path: str) -> object:
    """Return what Prometheus answers, an error's body as well; None where it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", timeout=TIMEOUT_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        body = error.read()
        return json.loads(body) if body.startswith(b"{") else None
    except OSError:
        return None


if __name__ == "__main__":
    json.dump([get(path) for path in json.load(sys.stdin)], sys.stdout)
