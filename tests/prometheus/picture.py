"""Makes docs/dashboard.png: `python -m tests.prometheus.picture FILE.png`, as root, in about four minutes.

A pair in the lab goes through a few failovers before a real Prometheus; the dashboard is drawn from what that has
seen (there is no Grafana in Debian), and Chromium takes the picture.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.lab.cloud import CloudSettings
from tests.lab.lab import Lab, pause
from tests.lab.pair import Pair
from tests.prometheus import drawing
from tests.prometheus.scene import SETTINGS, Scene
from tests.prometheus.server import Prometheus

RATE = "20s"
LAST = "The service and its hooks"  # the picture ends before this row


def play(scene: Scene) -> None:
    """Let this and that happen, with some peace between."""
    scene.begin(30)
    scene.hand_over("web-b", 25)
    scene.disturb("web-a")
    pause(20)
    scene.lose("web-b", "web-a", 4)
    pause(35)
    scene.fail_service("web-a", 12)
    pause(30)


def shoot(page: Path, picture: Path, width: int, height: int) -> None:
    """Take the picture of a page."""
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-lcd-text", "--hide-scrollbars"]
    profile = f"--user-data-dir={page.parent / 'chromium'}"
    size = f"--window-size={width},{height}"
    subprocess.run(
        [*command, profile, size, f"--screenshot={picture.resolve()}", page.as_uri()],
        check=True,
        capture_output=True,
        timeout=120,
    )


def main(picture: Path) -> None:
    """Play, draw, and shoot."""
    with Lab(CloudSettings()) as lab:
        pair = Pair(lab, SETTINGS)
        pair.start()
        with Prometheus(lab) as prometheus:
            start_s = time.time() + 8
            play(Scene(lab, pair, prometheus))
            text = drawing.page(prometheus, "lab", RATE, start_s, time.time())
        page = lab.directory / "dashboard.html"
        page.write_text(text, encoding="utf-8")
        shoot(page, picture, *drawing.size(before_row=LAST))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
