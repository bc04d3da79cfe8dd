"""A headless Chromium that a test steers through pipes: no port is opened, and nothing but the browser is needed.

The protocol is DevTools' (`--remote-debugging-pipe`): JSON on descriptors 3 and 4, a zero byte after each message.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from base64 import b64decode
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

Message = dict[str, Any]

PATIENCE_S = 30.0
END_S = 10.0
MAX_HEIGHT = 3000  # pixels of a picture
_READ_BYTES = 1 << 16
_HIGH = 10  # descriptors from here on are out of the way of 3 and 4
_FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",  # tests run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
)


class BrowserError(Exception):
    """The browser refused a command, has ended, or said nothing in time."""


def why_not() -> str:
    """Return why there can be no browser here, or an empty text."""
    return "" if shutil.which("chromium") else "chromium is not installed"


class Browser:
    """One browser with one tab and a profile of its own; a context manager. `said` keeps all events of the tab."""

    def __init__(self) -> None:
        self.said: list[Message] = []
        self._profile = tempfile.TemporaryDirectory(prefix="hafailover-browser-", ignore_cleanup_errors=True)
        self._waiting = bytearray()
        self._serial = 0
        self._session: str | None = None

    def __enter__(self) -> Self:
        hear, theirs_out = _high_pipe()
        theirs_in, self._say = _high_pipe()[0:2]
        self._hear = hear
        command = f'exec chromium "$@" 3<&{theirs_in} 4>&{theirs_out}'
        profile = f"--user-data-dir={self._profile.name}"
        self._process = subprocess.Popen(
            ["bash", "-c", command, "chromium", *_FLAGS, profile, "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            self._attach()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._say)
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(END_S)
        os.close(self._hear)
        self._profile.cleanup()

    def _attach(self) -> None:
        targets = self.ask("Target.getTargets")["targetInfos"]
        target = next(each["targetId"] for each in targets if each["type"] == "page")
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Runtime", "Audits", "Network"):
            self.ask(f"{domain}.enable")

    # -- talking -----------------------------------------------------------------------------------------------

    def ask(self, method: str, **params: object) -> Message:
        """Send a command and return its result. Raises BrowserError."""
        self._serial += 1
        message: Message = {"id": self._serial, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._say, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE_S
        while True:
            reply = self._receive(deadline)
            if reply.get("id") != self._serial:
                self.said.append(reply)
            elif "error" in reply:
                raise BrowserError(f"{method}: {reply['error']}")
            else:
                result: Message = reply["result"]
                return result

    def _receive(self, deadline: float) -> Message:
        while b"\0" not in self._waiting:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not select.select([self._hear], [], [], left_s)[0]:
                raise BrowserError("the browser said nothing in time")
            data = os.read(self._hear, _READ_BYTES)
            if not data:
                raise BrowserError("the browser has ended")
            self._waiting += data
        line, _, rest = bytes(self._waiting).partition(b"\0")
        self._waiting = bytearray(rest)
        message: Message = json.loads(line)
        return message

    def _until(self, method: str) -> None:
        """Wait for an event that was not said yet."""
        deadline = time.monotonic() + PATIENCE_S
        while (message := self._receive(deadline)).get("method") != method:
            self.said.append(message)
        self.said.append(message)

    # -- looking -----------------------------------------------------------------------------------------------

    def look_at(self, url: str, *, width: int, dark: bool = False) -> None:
        """Load a page in a window of this width, as a phone does below 600 pixels, and wait until all is there."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=844,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.said.clear()
        self.ask("Page.navigate", url=url)
        if not any(message.get("method") == "Page.loadEventFired" for message in self.said):
            self._until("Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """Return what a JavaScript expression gives in the page; the page's own policy does not bind it."""
        result = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise BrowserError(str(result["exceptionDetails"]))
        return result["result"].get("value")

    def complaints(self) -> list[str]:
        """Return what the browser objected to since the page was asked for: console, log and issues."""
        self.value("1")  # what was said before comes before this answer
        kinds = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Audits.issueAdded")
        return [json.dumps(message) for message in self.said if message.get("method") in kinds]

    def requests(self) -> list[str]:
        """Return the addresses that the browser has asked for since the page was asked for."""
        sent = (message for message in self.said if message.get("method") == "Network.requestWillBeSent")
        return [message["params"]["request"]["url"] for message in sent]

    def picture(self, path: Path) -> None:
        """Write the page as PNG, as far as `MAX_HEIGHT`."""
        height = min(self.value("document.documentElement.scrollHeight"), MAX_HEIGHT)
        width = self.value("innerWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(b64decode(shot["data"]))


def _high_pipe() -> tuple[int, int]:
    """Return a pipe, to read from and to write to, that the child's 3 and 4 do not collide with."""
    low = os.pipe()
    read, write = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _HIGH) for end in low)
    for end in low:
        os.close(end)
    return read, write
