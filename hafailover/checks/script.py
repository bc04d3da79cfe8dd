"""The check of type script: a program of the operator's, which passes by ending with 0 in time."""

from __future__ import annotations

from hafailover.checks.result import Verdict, late, one_line, unable
from hafailover.process import Ended, is_running, run_program


class ScriptProbe:
    """Runs `command` with no shell and no environment but PATH and HAFAILOVER_CHECK.

    A program that exceeds its time is killed at once with all that it has started; what one that ends in time
    leaves in its process group is killed too, since it would pile up. While a killed one still has not died
    (it hangs in the kernel), no other is started.
    """

    __slots__ = ("_command", "_env", "_last_pid")

    def __init__(self, name: str, command: tuple[str, ...]) -> None:
        self._command = command
        self._env = {"HAFAILOVER_CHECK": name}
        self._last_pid = 0

    async def run(self, timeout_s: float) -> Verdict:
        """Run the program once; the verdict says how it ended and the last line that it wrote."""
        if self._last_pid and is_running(self._last_pid):
            return unable(f"an earlier run (process {self._last_pid}) hangs and cannot be killed")
        ended = await run_program(self._command, env=self._env, timeout_s=timeout_s, grace_s=0, sweep=True)
        self._last_pid = ended.pid
        return _verdict(ended, timeout_s)


def _verdict(ended: Ended, timeout_s: float) -> Verdict:
    if ended.timed_out:
        return late(timeout_s)
    if ended.exit_code is None:
        return unable(ended.error)
    how = f"exit code {ended.exit_code}" if ended.exit_code >= 0 else f"killed by signal {-ended.exit_code}"
    said = ended.output.rpartition("\n")[2]
    return Verdict(passed=ended.exit_code == 0, detail=one_line(f"{how}: {said}" if said else how))
