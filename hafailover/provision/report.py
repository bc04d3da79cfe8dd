"""What provisioning says: for people, and as JSON. PURE."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hafailover.cloud.outcome import CLIENT_TIMEOUT, classify
from hafailover.election.values import Refusal
from hafailover.provision.steps import Assign, Attach, Done
from hafailover.words import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hafailover.config.model import Config, Group
    from hafailover.provision.steps import Plan, Step

_ADVICE: Mapping[Refusal | None, str] = {
    Refusal.QUOTA: "there is no room for it, or no free address",
    Refusal.CONFLICT: "somebody else has it, or the cloud is at work on it",
}
NOTHING = "nothing to do"
_GRANT = "rights of an operator: those of the daemons, which `hafailover policy` prints, need not suffice"


def explained(code: str, action: str = "", detail: str = "") -> str:
    """Return an error code with what it means here, and what the API has said, where that is known."""
    said = ": ".join(clean(part) for part in (action, code, detail) if part)
    kind = classify(code, action)
    advice = kind.remedy.value or _ADVICE.get(kind.refusal, "")
    if code == CLIENT_TIMEOUT:
        advice = "it may have had an effect, or still have one: run this again, which looks first"
    return f"{said} ({advice})" if advice else said


def step_text(step: Step) -> str:
    """Return what a step does."""
    at = step.at
    if isinstance(step, Assign):
        return f"assign {', '.join(step.addresses)} to {at.eni} of {at.node}"
    if isinstance(step, Attach):
        return f"attach {step.eni} to {at.instance} of {at.node}"
    count = "1 address" if step.addresses == 1 else f"{step.addresses} addresses"
    groups = ", ".join(step.security_groups) or "the default security group"
    where = f"in {step.subnet_id} of {step.vpc_id}, with {count} and {groups}"
    return f'create the ENI "{step.name}" {where}, and attach it to {at.instance} of {at.node}'


def plan_text(config: Config, plan: Plan) -> str:
    """Return the plan for a person to agree to."""
    lines = [f"cluster {config.cluster.name}"]
    if plan.at is not None:
        lines[0] += (
            f": things are made for {plan.at.node} ({plan.at.instance}, {plan.at.eni}), of the highest priority"
        )
    lines += [f"  there     {clean(each)}" for each in plan.present]
    lines += [f"  note      {clean(each)}" for each in plan.notes]
    lines += [f"  to do     {clean(step_text(step))}" for step in plan.steps]
    if plan.steps:
        lines.append(f"  by        {', '.join(plan.actions)}")
        lines.append(f"  ({_GRANT})")
    lines += [f"  forbidden {clean(each.key)}: {clean(each.message)}" for each in plan.problems]
    if not plan.steps:
        lines.append("nothing is done" if plan.problems else NOTHING)
    return "\n".join(lines) + "\n"


def done_text(done: Done) -> str:
    """Return how a step ended, as one or two lines."""
    what = step_text(done.step)
    if not done.error:
        made = f": {done.eni}" if done.eni else ""
        return f"done: {clean(what)}{made}\n"
    left = f"{clean(done.left)}\n" if done.left else ""
    return f"failed: {clean(what)}: {clean(done.error)}\n{left}"


def interrupted(making: str) -> str:
    """Return what an interrupted run leaves: `making` is the ENI that it has created and not attached, or ""."""
    if making:
        return f"interrupted: {making} was created; run this again, which goes on with it, or delete it\n"
    return "interrupted: what was begun may still be done; run this again, which looks first\n"


def line_for_file(group: Group, existing: Iterable[str], eni: str) -> str:
    """Return the line for a group's table in the file: its ENIs that there are, and the new one."""
    kept = [each for each in group.enis if each in set(existing)]
    listed = ", ".join(f'"{each}"' for each in dict.fromkeys([*kept, eni]))
    return f"enis = [{listed}]"


def as_json(plan: Plan, done: Sequence[Done] | None, line: str) -> dict[str, Any]:
    """Return the plan and what came of it. `done` is None where nothing was tried; `line` is for the file, or "".

    A step's `state` is "planned", "done", "failed" or "not tried"; `ok` is true where there is nothing left to do.
    """
    ends = [*(done or ()), *[None] * len(plan.steps)][: len(plan.steps)]
    return {
        "ok": not plan.problems and all(end is not None and not end.error for end in ends),
        "confirmed": done is not None,
        "node": None if plan.at is None else asdict(plan.at),
        "present": list(plan.present),
        "notes": list(plan.notes),
        "problems": [asdict(problem) for problem in plan.problems],
        "actions": list(plan.actions),
        "steps": [
            {"does": step_text(step), **_end(end, tried=done is not None)}
            for step, end in zip(plan.steps, ends, strict=True)
        ],
        "line": line,
    }


def _end(done: Done | None, *, tried: bool) -> dict[str, str]:
    if done is None:
        return {"state": "not tried" if tried else "planned", "error": "", "eni": "", "left": ""}
    return {"state": "failed" if done.error else "done", "error": done.error, "eni": done.eni, "left": done.left}
