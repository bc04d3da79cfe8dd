"""Break a pair or a trio in any way, heal it: one healthy node is master, and the cloud and the guests agree."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hafailover.election.values import Leaving
from tests.scenarios.language import Story
from tests.simulation.mover import FAULTS, TASK_FAILS

PAIR, TRIO = ("a", "b"), ("a", "b", "c")
LEAVE_MS = 20_000  # a stop takes less
HEAL_MS = 100_000  # more than any hold-down that a short one can have grown to here


def faults(names: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Return commands of the transcripts' language that break something, or mend it, or let time pass."""
    one = st.sampled_from(names)
    two = st.permutations(names).map(lambda order: f"{order[0]} {order[1]}")
    one_way = st.permutations(names).map(lambda order: f"{order[0]} ->{order[1]}")
    link = st.tuples(st.sampled_from(("cut", "heal")), st.sampled_from(("heartbeat", "host")), two | one_way)
    api = st.tuples(st.sampled_from(("cut", "heal")), st.just("api"), one)
    daemon = st.tuples(
        st.sampled_from(("kill", "start", "restart", "stop", "freeze", "thaw", "failover", "drain", "undrain")), one
    )
    host = st.tuples(st.sampled_from(("power off", "power on", "service down", "service up")), one)
    call = st.tuples(st.just("next"), st.sampled_from((*FAULTS, TASK_FAILS)))
    hand = st.tuples(st.just("console"), st.sampled_from((*names, "nobody")))
    pause = st.tuples(st.just("run"), st.sampled_from(("50ms", "300ms", "700ms", "1.1s", "2s", "5s", "40s")))
    return st.one_of(link, api, daemon, host, call, hand, pause, pause, pause, pause).map(" ".join)


def obey(story: Story, line: str) -> None:
    """Carry out a command where it makes sense: a daemon is started when it does not run, a host when it is off."""
    verb, *words = line.split()
    host = story.world.hosts.get(words[-1])
    off = host is not None and not host.powered
    running = host is not None and host.node is not None
    if verb == "start" and (off or running):
        return
    if line.startswith("power on") and not off:
        return
    story.obey(line)


def heal(story: Story) -> None:
    world = story.world
    world.cuts.clear()
    world.walls.clear()
    world.api_cuts.clear()
    world.api_faults.clear()
    for name, host in world.hosts.items():
        if host.frozen:
            story.obey(f"thaw {name}")
    nodes = [host.node for host in world.hosts.values() if host.node is not None]
    if any(node.context.leaving is not Leaving.NO for node in nodes):
        world.run_until(world.now + LEAVE_MS)  # or it would end, for good, in the middle of the healing
    for name, host in world.hosts.items():
        if not host.powered:
            story.obey(f"power on {name}")
        elif host.node is None:
            story.obey(f"start {name}")
        story.obey(f"service up {name}")
        story.obey(f"undrain {name}")
    world.run_until(world.now + HEAL_MS)


def check_converged(names: tuple[str, ...], group: str, commands: list[str]) -> None:
    story = Story()
    story.obey("nodes " + " ".join(f"{name}:{100 - 10 * place}" for place, name in enumerate(names)))
    story.obey(f"group hold_down=1s {group}")
    story.obey("start")
    story.obey("run 3s")
    for command in commands:
        obey(story, command)
    heal(story)
    story.obey("mark")
    story.obey("run 40s")
    (master,) = story._who("master")
    for claim in (f"holder {master}", f"guest {master}", "outage == 0", "moves == 0", "writes == 0"):
        story.obey(f"expect {claim}")
    if "preempt" in group:
        story.obey("expect master a")
    assert not story.unmet, story.unmet


groups = st.sampled_from(
    (
        "guards=",
        "guards=vip",
        "strategy=reassign",
        "guards=vip demote=10s",
        "preempt=5s",
        "handover=strict",
    )
)
FEW = settings(max_examples=max(10, settings().max_examples // 4))  # each is minutes of a cluster's life


@given(group=groups, commands=st.lists(faults(PAIR), max_size=25))
@FEW
def test_a_pair_heals(group: str, commands: list[str]) -> None:
    check_converged(PAIR, group, commands)


@given(group=groups, commands=st.lists(faults(TRIO), max_size=25))
@FEW
def test_a_trio_heals(group: str, commands: list[str]) -> None:
    check_converged(TRIO, group, commands)
