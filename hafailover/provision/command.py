"""`hafailover provision`: its options, and what it does. Returns the exit code."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from argparse import ArgumentTypeError
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hafailover.cloud.client import Cloud
from hafailover.cloud.credentials import credential_source
from hafailover.cloud.metadata import Metadata
from hafailover.cloud.outcome import SIGNATURE_EXPIRE
from hafailover.config import kinds, loader, wording
from hafailover.config.commands import DEFAULT_CONFIG
from hafailover.errors import CloudError, ConfigError, HafailoverError, Problem
from hafailover.provision import report
from hafailover.provision.look import make_plan
from hafailover.provision.plan import NEW_ENI
from hafailover.provision.steps import MAX_NEW_ADDRESSES, Done, NewEni, Plan
from hafailover.provision.work import Worker

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Awaitable, Callable, Sequence

    from hafailover.cloud.api import ApiCall
    from hafailover.config.model import Config

YES = "yes"

_T = TypeVar("_T")


def add_arguments(parser: ArgumentParser) -> None:
    """Add what `run` reads."""
    parser.add_argument("-c", "--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE", help="(%(default)s)")
    parser.add_argument("--yes", action="store_true", help="do it without asking")
    parser.add_argument("--json", action="store_true", help="print one JSON object; does nothing without --yes")
    parser.add_argument(NEW_ENI, metavar="GROUP", help="only create a secondary ENI for this group")
    parser.add_argument(
        "--addresses",
        type=_count,
        default=1,
        metavar="N",
        help="of the new ENI, with its primary one (%(default)s)",
    )
    parser.add_argument(
        "--credentials", type=_credentials, metavar="SOURCE", help="where the key comes from, if not as in the file"
    )


def _count(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text[:3]) <= MAX_NEW_ADDRESSES:
        return int(text)
    raise ArgumentTypeError(f"{text!r} is not a whole number, 1 to {MAX_NEW_ADDRESSES}")


def _credentials(text: str) -> str:
    try:
        value: str = kinds.CREDENTIALS.read(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    return value


def run(args: Namespace) -> int:
    """Show the plan, ask, and carry it out; return 0, 1 where it is refused or fails, 2 where the file is wrong."""
    try:
        config = loader.load_alone(args.config)
        wanted = _wanted(config, args)
        if args.credentials:
            config = replace(config, cloud=replace(config.cloud, credentials=args.credentials))
        return _Provision(config, wanted, args).run()
    except ConfigError as error:
        _tell_problems(error, as_json=args.json)
        return error.exit_code
    except HafailoverError as error:
        _tell_error(str(error), as_json=args.json)
        return error.exit_code


def _wanted(config: Config, args: Namespace) -> NewEni | None:
    """Return the ENI that is asked for. Raises ConfigError."""
    names = [group.name for group in config.groups]
    if args.new_eni is None or args.new_eni in names:
        return None if args.new_eni is None else NewEni(args.new_eni, args.addresses)
    message = f"{wording.quote(args.new_eni)} is not a group of this file; allowed: {wording.either(names)}"
    raise ConfigError((Problem(str(config.path), NEW_ENI, message),))


def _tell_problems(error: ConfigError, *, as_json: bool) -> None:
    if as_json:
        said = {"ok": False, "problems": [asdict(problem) for problem in error.problems]}
        sys.stdout.write(json.dumps(said, indent=2) + "\n")
    else:
        sys.stderr.write(f"{error}\n")


def _tell_error(text: str, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"ok": False, "error": text}, indent=2) + "\n")
    else:
        sys.stderr.write(f"hafailover: {text}\n")


class _Provision:
    """One run of the command."""

    def __init__(self, config: Config, wanted: NewEni | None, args: Namespace) -> None:
        self._config = config
        self._wanted = wanted
        self._args = args
        self._failed: dict[str, ApiCall] = {}
        self._rng = random.SystemRandom()
        self._worker: Worker | None = None

    def run(self) -> int:
        """Return the exit code. Raises ConfigError, CloudError, MetadataError."""
        try:
            return self._run()
        except KeyboardInterrupt:
            sys.stderr.write(report.interrupted("" if self._worker is None else self._worker.making))
            return 1

    def _run(self) -> int:
        plan = asyncio.run(self._with_cloud(self._plan))
        if not self._args.json:
            sys.stdout.write(report.plan_text(self._config, plan))
        if plan.problems or (plan.steps and not self._agreed()):
            return self._end(plan, None)
        done = asyncio.run(self._with_cloud(partial(self._work, plan))) if plan.steps else ()
        return self._end(plan, done)

    async def _with_cloud(self, use: Callable[[Cloud], Awaitable[_T]]) -> _T:
        async with AsyncExitStack() as stack:
            settings = self._config.cloud
            service = Metadata(settings.metadata_url)
            stack.push_async_callback(service.close)
            cloud = Cloud(
                settings,
                credential_source(settings, service),
                region=settings.region or await service.region(),
                observer=self._observe,
                rng=self._rng,
            )
            stack.push_async_callback(cloud.close)
            return await use(cloud)

    def _observe(self, call: ApiCall) -> None:
        self._failed[call.code] = call

    async def _plan(self, cloud: Cloud) -> Plan:
        try:
            return await make_plan(cloud, self._config, self._wanted)
        except CloudError as error:
            if error.code != SIGNATURE_EXPIRE:
                raise
        return await make_plan(cloud, self._config, self._wanted)  # by the API's clock, which its answer has told

    def _agreed(self) -> bool:
        if self._args.yes:
            return True
        if self._args.json or not sys.stdin.isatty():
            why = "--json asks nothing" if self._args.json else "this is no terminal"
            sys.stderr.write(f"nothing was done: {why}, so give --yes to have it done\n")
            return False
        sys.stdout.write(f'type "{YES}" to have it done: ')
        sys.stdout.flush()
        if sys.stdin.readline().strip() == YES:
            return True
        sys.stderr.write("nothing was done\n")
        return False

    async def _work(self, plan: Plan, cloud: Cloud) -> tuple[Done, ...] | None:
        """Carry out what was agreed to, if it still is what there is to do."""
        if (await self._plan(cloud)).steps != plan.steps:
            sys.stderr.write("nothing was done: what there is has changed meanwhile; run this again\n")
            return None
        self._worker = Worker(cloud, self._failed, self._rng)
        return await self._worker.work(plan.steps, self._tell)

    def _tell(self, done: Done) -> None:
        if not self._args.json:
            sys.stdout.write(report.done_text(done))
            sys.stdout.flush()

    def _end(self, plan: Plan, done: Sequence[Done] | None) -> int:
        """Say what is to be put into the file; with --json, say everything. Return the exit code."""
        said = report.as_json(plan, done, self._line(plan, done))
        if self._args.json:
            sys.stdout.write(json.dumps(said, indent=2) + "\n")
        elif said["line"]:
            where = f'in {self._config.path}, on every node, in the [[group]] "{self._args.new_eni}":'
            sys.stdout.write(f"{where}\n  {said['line']}\n")
        return 0 if said["ok"] else 1

    def _line(self, plan: Plan, done: Sequence[Done] | None) -> str:
        """Return the line of the file that names a new ENI that is there, "" where there is none."""
        if done is None or any(each.error for each in done):
            return ""
        eni = next((each.eni for each in done if each.eni), plan.ready)
        group = next((group for group in self._config.groups if group.name == self._args.new_eni), None)
        return report.line_for_file(group, plan.existing, eni) if eni and group is not None else ""
