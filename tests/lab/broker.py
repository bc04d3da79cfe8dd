"""A real mosquitto in the lab, beside the client, and another program's view of what it carries."""

from __future__ import annotations

import contextlib
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from tests.lab.fabric import LabError
from tests.lab.lab import CLIENT
from tests.lab.processes import Process, inside, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.lab.lab import Lab

BROKER = CLIENT.address
PORT = 1883
MOSQUITTO = "mosquitto"

MQTT = f"""
[mqtt]
host = "{BROKER}"
port = {PORT}
tls = false
"""


@dataclass(slots=True)
class Broker:
    """A mosquitto. Use as a context manager; it may be killed meanwhile.

    `lines` are more lines of its configuration. With `namespace` "" it runs outside of any lab.
    """

    directory: Path
    namespace: str = ""
    host: str = BROKER
    port: int = PORT
    lines: tuple[str, ...] = ("allow_anonymous true",)
    process: Process | None = None
    _config: Path = field(init=False)

    def __post_init__(self) -> None:
        self._config = self.directory / "mosquitto.conf"

    @classmethod
    def of(cls, lab: Lab, *lines: str) -> Self:
        """Return the broker of a lab, in the client's place."""
        broker = cls(lab.directory, lab.fabric.namespace(CLIENT.name))
        return broker if not lines else cls(lab.directory, broker.namespace, lines=lines)

    def start(self) -> None:
        """Start it and wait until it listens."""
        listener = f"listener {self.port} {self.host}"
        text = "\n".join(
            ["user root", "set_tcp_nodelay true", "per_listener_settings false", listener, *self.lines, ""]
        )
        self._config.write_text(text, encoding="utf-8")
        command = ["nice", "-n", "-15", MOSQUITTO, "-c", str(self._config)]
        self.process = Process(self._inside(command), self.directory / "mosquitto.log")
        wait_for("mosquitto listens", self._listens)

    def _inside(self, command: list[str]) -> list[str]:
        return inside(self.namespace, command) if self.namespace else command

    def _listens(self) -> bool:
        if self.process is None or not self.process.running:
            raise LabError(f"mosquitto has ended: {(self.directory / 'mosquitto.log').read_text()[-500:]}")
        probe = self._inside(["bash", "-c", f"exec 3<>/dev/tcp/{self.host}/{self.port}"])
        return subprocess.run(probe, check=False, capture_output=True, timeout=10).returncode == 0

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()
            self.process = None

    def publish(self, topic: str, payload: str, *options: str) -> None:
        """Publish something as another client."""
        self._client("mosquitto_pub", "-t", topic, "-m", payload, *options)

    def _client(self, program: str, *arguments: str) -> str:
        command = self._inside([program, "-V", "5", "-h", self.host, "-p", str(self.port), *arguments])
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
        if done.returncode not in (0, 27):  # 27: it has listened for as long as it was told to
            raise LabError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def messages(self, topic: str, seconds: float = 1.0, *options: str) -> list[tuple[str, str]]:
        """Return topic and payload of what comes within so many seconds, kept messages first."""
        said = self._client("mosquitto_sub", "-t", topic, "-F", "%t %p", "-W", f"{max(1, seconds):.0f}", *options)
        return [(line.partition(" ")[0], line.partition(" ")[2]) for line in said.splitlines()]

    def publish_file(self, topic: str, path: Path, *options: str) -> None:
        """Publish a file's bytes."""
        self._client("mosquitto_pub", "-t", topic, "-f", str(path), *options)

    def record(self, topic: str, count: int) -> list[Path]:
        """Return files with the next messages of a topic, each as it came."""
        paths = []
        for number in range(count):
            command = self._inside(
                [
                    "mosquitto_sub", "-V", "5", "-h", self.host, "-p", str(self.port),
                    "-t", topic, "-C", "1", "-N", "-F", "%x", "-W", "10",
                ]
            )  # fmt: skip
            done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=20)
            path = self.directory / f"message-{number}"
            path.write_bytes(bytes.fromhex(done.stdout.strip()))
            paths.append(path)
        return paths

    def disconnect(self, client_id: str) -> None:
        """Take a client's session over for a moment, as a second client of the same id does."""
        self._client("mosquitto_pub", "-i", client_id, "-t", "taken/over", "-m", "")

    @contextlib.contextmanager
    def listening(self, *topics: str) -> Iterator[Callable[[], list[tuple[str, str]]]]:
        """Listen meanwhile; what is given returns topic and payload of what has come by then."""
        command = ["mosquitto_sub", "-V", "5", "-h", self.host, "-p", str(self.port), "-F", "%t %p"]
        command += [word for topic in topics for word in ("-t", topic)]
        log = self.directory / "listener.log"
        log.unlink(missing_ok=True)
        process = Process(self._inside(command), log)

        def heard() -> list[tuple[str, str]]:
            lines = log.read_text(errors="replace").splitlines(keepends=True)
            whole = [line.rstrip("\n") for line in lines if line.endswith("\n")]
            return [(line.partition(" ")[0], line.partition(" ")[2]) for line in whole]

        try:
            wait_for("the listener hears", lambda: bool(heard()))
            yield heard
        finally:
            process.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
