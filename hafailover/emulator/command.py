"""`hafailover emulator`: the emulated cloud in the foreground, with a pair of instances to play with."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING

from hafailover.config import duration, files
from hafailover.emulator import world, world_file
from hafailover.emulator.server import SECRET_ID, SECRET_KEY, Emulator, Options
from hafailover.emulator.world_file import World
from hafailover.errors import ConfigError, Problem

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from hafailover.emulator.network import Eni, Network
    from hafailover.emulator.values import Change, PowerChange

LISTEN = "127.77.0.1:9080"
METADATA_LISTEN = "127.77.0.1:9081"
MAX_MS = 600_000
MAX_PORT = 65535


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's options to a parser."""
    parser.add_argument("--listen", type=_address, default=LISTEN, metavar="HOST:PORT", help="API (%(default)s)")
    parser.add_argument(
        "--metadata-listen",
        type=_address,
        default=METADATA_LISTEN,
        metavar="HOST:PORT",
        help="metadata service (%(default)s)",
    )
    parser.add_argument("--latency", type=_milliseconds, default="100ms", help="time of one request (%(default)s)")
    parser.add_argument(
        "--task", type=_milliseconds, default="500ms", help="until a write has effect (%(default)s)"
    )
    parser.add_argument("--secret-id", default=SECRET_ID, help="accepted API key (%(default)s)")
    parser.add_argument("--secret-key", default=SECRET_KEY, help="its secret (%(default)s)")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--vip", action="append", help=f"an address on the first instance ({world.VIP}); repeatable")
    start.add_argument(
        "--world", type=Path, metavar="FILE", help="what there is at the start, in TOML (docs/emulator.md)"
    )
    parser.add_argument("--admin-anywhere", action="store_true", help="let other machines use /_emulator/ too")


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not re.fullmatch("[0-9]{1,5}", port) or int(port) > MAX_PORT:
        raise ArgumentTypeError(f"{text!r} is not HOST:PORT with a port of 0..{MAX_PORT}")
    return host.strip("[]"), int(port)


def _milliseconds(text: str) -> int:
    try:
        value = duration.parse(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} {error}, as in {duration.EXAMPLES}") from None
    if value > MAX_MS:
        raise ArgumentTypeError(f"{text!r} is more than {duration.render(MAX_MS)}")
    return value


def run(args: Namespace) -> int:
    """Serve until SIGINT or SIGTERM; return the exit code."""
    try:
        start = _start(args)
    except ValueError as error:
        print(f"hafailover emulator: --vip: {error}", file=sys.stderr)  # noqa: T201 - a command's own words
        return 2
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - as above
        return 2
    options = Options(latency_ms=args.latency, task_ms=args.task, admin_anywhere=args.admin_anywhere)
    emulator = Emulator(start.network, options, on_change=_say)
    for fault in start.faults:
        emulator.faults.add(fault)
    emulator.keys.add(args.secret_id, args.secret_key)
    emulator.model.power_listeners.append(_say_power)
    try:
        asyncio.run(_serve(emulator, args))
    except OSError as error:
        print(f"hafailover emulator: cannot listen: {error}", file=sys.stderr)  # noqa: T201 - as above
        return 1
    return 0


def _start(args: Namespace) -> World:
    """Return what the emulator starts with. Raises ValueError because of --vip, ConfigError because of --world."""
    if args.world is None:
        return World(world.build(addresses=tuple(args.vip or (world.VIP,))), ())
    try:
        text = files.read_text(args.world)
    except files.UnusableError as error:
        raise ConfigError((Problem(str(args.world), "", str(error)),)) from None
    return world_file.parse(text, str(args.world))


async def _serve(emulator: Emulator, args: Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await emulator.start(args.listen, args.metadata_listen)
    print(_manual(emulator, args), flush=True)  # noqa: T201 - what the command is for
    try:
        await stop.wait()
    finally:
        await emulator.close()


def _say(change: Change) -> None:
    before, after = change.before or "nobody", change.after or "nobody"
    text = f"{change.at_ms} ms: {change.resource}: {before} -> {after} ({change.action} by {change.caller})"
    print(text, flush=True)  # noqa: T201 - what happens in the cloud


def _say_power(change: PowerChange) -> None:
    text = f"{change.at_ms} ms: {change.instance}: {change.before} -> {change.after}"
    print(text, flush=True)  # noqa: T201 - what happens in the cloud


def _manual(emulator: Emulator, args: Namespace) -> str:
    api = f"http://{args.listen[0]}:{emulator.api_port}"
    metadata = f"http://{args.metadata_listen[0]}:{emulator.metadata_port}"
    first, second, vip = _cast(emulator.model.network)
    settings = emulator.settings.latency_ms, emulator.model.rules.task_ms

    def post(name: str, **body: object) -> str:
        return f"  curl -d '{json.dumps(body)}' {api}/_emulator/{name}"

    return "\n".join(
        (
            f"emulated VPC, CVM and metadata of {emulator.model.network.region}: a request takes {settings[0]} ms,",
            f"a write has effect {settings[1]} ms later. {vip} is on {first.id} ({first.instance_id});",
            f"the other instance is {second.instance_id} with {second.id}.",
            "",
            "in the configuration of hafailover:",
            f'  endpoint = "{api}"',
            f'  cvm_endpoint = "{api}"',
            f'  metadata_url = "{metadata}/{first.instance_id}"   # and /{second.instance_id} on the other node',
            f"or with the key {args.secret_id} / {args.secret_key}",
            "",
            "who holds what, what was asked, what has happened:",
            *(f"  curl {api}/_emulator/{name}" for name in ("state", "calls", "history")),
            "make it slow, throttle, fail, lose replies, hang, go away; and all well again:",
            post("settings", latency_ms=2000, task_ms=5000),
            post("faults", kind="throttle", count=3),
            post("faults", kind="error", code="InternalError", action="MigratePrivateIpAddress", count=1),
            post("faults", kind="reset-after", action="writes", count=1),
            post("faults", kind="hang-before", caller=first.instance_id),
            post("faults", kind="task-stuck", count=1),
            post("faults", kind="stale", ms=10000),
            post("faults", kind="denied", action="*NetworkInterface", caller=first.instance_id),
            post("settings", rate_limits=True, rate_code="LimitExceeded.ActionLimited"),
            post("settings", metadata_down=True, expire_credentials="*"),
            post("faults", clear=True),
            post("settings", latency_ms=settings[0], task_ms=settings[1], metadata_down=False, rate_limits=False),
            "move the address by hand, as in the console; /_emulator/attach does so with an ENI and an instance:",
            post("move", address=vip, eni=second.id),
            "switch an instance off by hand; when instances were switched, by whatever:",
            post("instance", instance=second.instance_id, state="STOPPED"),
            f"  curl {api}/_emulator/power",
            "",
            "Ctrl-C ends it.",
        )
    )


def _cast(network: Network) -> tuple[Eni, Eni, str]:
    """Return the primary ENIs of the first and the last instance, and an address to play with on the first."""
    primary = [eni for eni in network.enis.values() if eni.primary]
    return primary[0], primary[-1], primary[0].ips[-1].address
