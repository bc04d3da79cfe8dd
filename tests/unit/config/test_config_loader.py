from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hafailover.config import loader, model
from hafailover.config.findings import Findings
from hafailover.election.values import Handover
from hafailover.errors import ConfigError
from tests.unit.config.conftest import PARTS

if TYPE_CHECKING:
    from tests.unit.config.conftest import Made, Text, Told

DURATION = 'a duration such as "200ms", "1.5s" or "2m"'
EXAMPLES = Path(__file__).parents[3] / "config"


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loader.load(path)
    assert all(problem.file == str(path) for problem in caught.value.problems)
    return [str(problem).removeprefix(f"{path}: ") for problem in caught.value.problems]


def placed(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(content)
    return path


def test_a_minimal_file_is_filled_with_defaults(tmp_path: Path, text: Text, key_file: Path) -> None:
    path = placed(tmp_path, text(cluster=f'[cluster]\nname = "web"\nkey_file = "{key_file}"\n'))
    config = loader.load(path)
    assert config == model.Config(
        path=path,
        digest=config.digest,
        keys=(b"\x0f" * 32,),
        cluster=model.Cluster("web", (key_file,)),
        nodes=(
            model.Node("web-a", "10.0.1.17", 7694, eni="eni-aaaaaaaa"),
            model.Node("web-b", "10.0.1.16", 7694, eni="eni-bbbbbbbb", priority=90),
        ),
        groups=(model.Group("vip", ("10.0.1.100",)),),
    )
    assert len(config.digest) == 8
    assert "0f0f" not in repr(config)


def test_every_value_reaches_its_field(made: Made) -> None:
    config = made(
        cluster='[cluster]\nname = "web"\nkey_files = ["/new", "/old"]\n',
        heartbeat='[heartbeat]\ninterval = "100ms"\ndead_interval = "500ms"\nrestart_grace = "2s"\n',
        cloud='[cloud]\nregion = "ap-guangzhou"\ncredentials = "role:ha"\nendpoint = "http://127.77.0.1:9080"\n'
        'cvm_endpoint = "cvm.internal"\nmetadata_url = "http://127.77.0.1:9081/"\ntimeout = "1.5s"\n'
        'strategy = "reassign"\naudit_interval = "1m"\n',
        nodes='[[node]]\nname = "n"\naddress = "[FD00::1]:1"\ninstance_id = "ins-00000000"\neni = "eni-00000000"\n'
        'interface = "eth1"\npriority = 7\nrole = "member"\n',
        group='[[group]]\nname = "g"\naddresses = ["10.0.0.9", "10.0.0.8"]\nenis = []\npreempt = true\n'
        'preempt_delay = "0s"\nstartup_delay = "6s"\nhandover = "overlap"\n'
        'on_isolation = "demote"\nisolation_timeout = "5s"\n'
        'hold_down = "0s"\nguards = ["cloud", "vip"]\nfence = "none"\nvip_port = 80\nguest = "none"\n',
        check='[[group.check]]\nname = "c"\ntype = "http"\nurl = "https://a/"\nstatus = 204\ninterval = "1s"\n'
        'timeout = "1s"\nrise = 3\nfall = 4\nweight = -5\nreverse = true\n'
        '[[group.check]]\nname = "t"\ntype = "tcp"\naddress = "DB:5"\n'
        '[[group.check]]\nname = "s"\ntype = "script"\ncommand = ["/a", "b"]\n',
        notify='[group.notify]\nmaster = "/m"\nbackup = ["/b", "x"]\nfault = "/f"\nstop = "/s"\n'
        'notify = ["/n", "y"]\ntimeout = "9s"\n',
        rest='[metrics]\nlisten = "[::]:1"\n[control]\nsocket = "/c"\ngroup = "ops"\n[state]\ndirectory = "/d"\n'
        '[log]\nlevel = "debug"\nformat = "json"\n',
    )
    assert config == model.Config(
        path=Path("f.toml"),
        digest=config.digest,
        keys=(bytes(32),),
        cluster=model.Cluster("web", (Path("/new"), Path("/old"))),
        heartbeat=model.Heartbeat(100, 500, 2000),
        cloud=model.Cloud(
            "ap-guangzhou",
            "role:ha",
            "http://127.77.0.1:9080",
            "cvm.internal",
            "http://127.77.0.1:9081",
            1500,
            "reassign",
            60_000,
        ),
        nodes=(model.Node("n", "fd00::1", 1, "ins-00000000", "eni-00000000", "eth1", 7, "member"),),
        groups=(
            model.Group(
                "g",
                ("10.0.0.9", "10.0.0.8"),
                (),
                preempt=True,
                preempt_delay_ms=0,
                startup_delay_ms=6000,
                handover=Handover.OVERLAP,
                on_isolation="demote",
                isolation_timeout_ms=5000,
                hold_down_ms=0,
                guards=("cloud", "vip"),
                vip_port=80,
                guest="none",
                checks=(
                    model.Check("c", "http", 1000, 1000, 3, 4, -5, reverse=True, url="https://a/", status=204),
                    model.Check("t", "tcp", address=("db", 5)),
                    model.Check("s", "script", command=("/a", "b")),
                ),
                notify=model.Notify((), ("/m",), ("/b", "x"), ("/f",), ("/s",), ("/n", "y"), 9000),
            ),
        ),
        metrics=model.Metrics("::", 1),
        control=model.Control(Path("/c"), "ops"),
        state=model.State(Path("/d")),
        log=model.Log("debug", "json"),
    )


@pytest.mark.parametrize(
    ("more", "guards"),
    [
        ("", ("cloud",)),
        ("vip_port = 80", ("vip", "cloud")),
        ("vip_port = 80\nguards = []", ()),
        ('vip_port = 80\nguards = ["cloud"]', ("cloud",)),
    ],
)
def test_a_vip_port_adds_the_vip_guard_to_the_default(made: Made, more: str, guards: tuple[str, ...]) -> None:
    config = made(group=f'[[group]]\nname = "g"\naddresses = ["10.0.0.9"]\n{more}\n')
    assert config.groups[0].guards == guards


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[cluster\n", r"is not TOML: .*\(at line 1, column 9\)"),
        ("a = 1\na = 2\n", r"is not TOML: .*\(at line 2, column 6\)"),
        ("a = 9" + "9" * 5000, r"is not TOML: .*4300 digits.*"),
        ("a = " + "[" * 8_000, r"is not usable TOML: arrays or tables are nested too deeply"),
        ("\na = " + "1" * 8200, r"line 2 is longer than 8192 characters"),
        ("[" + "a." * 32 + "a]", r"line 1 has a key of more than 32 parts"),
        ("\n" + "'a' . " * 32 + "a = 1", r"line 2 has a key of more than 32 parts"),
    ],
)
def test_what_is_not_toml_is_told_with_its_place(told: Told, content: str, message: str) -> None:
    (only,) = told(cluster=content, nodes="", group="")
    assert re.fullmatch(message, only)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert problems(tmp_path / "none.toml") == ["does not exist"]
    assert problems(tmp_path) == ["is a directory; allowed: a file"]


def test_the_problems_of_named_files_are_told_beside_the_others(
    tmp_path: Path, text: Text, key_file: Path, program: Path
) -> None:
    program.chmod(0o775)
    content = text(
        cluster=f'[cluster]\nname = "web"\nkey_files = ["{key_file}", "{tmp_path}/old.key"]\n',
        heartbeat='[heartbeat]\ninterval = "1h"\n',
        cloud=f'[cloud]\ncredentials = "file:{tmp_path}/c"\n',
        check=f'[[group.check]]\nname = "c"\ntype = "script"\ncommand = ["{program}", "x"]\n',
        notify=f'[group.notify]\nmaster = "{program}"\nbackup = "{tmp_path}/none"\n',
    )
    unsafe = 'has mode 0775; allowed: only its owner may write it ("chmod 0755")'
    assert problems(placed(tmp_path, content)) == [
        f"cluster.key_files[2]: {tmp_path}/old.key does not exist",
        f'heartbeat.interval: "1h" is out of range; allowed: {DURATION}, from 10ms to 10s',
        f"cloud.credentials: {tmp_path}/c does not exist",
        f'group "vip".check "c".command: {program} {unsafe}',
        f'group "vip".notify.master: {program} {unsafe}',
        f'group "vip".notify.backup: {tmp_path}/none does not exist',
    ]


def test_good_named_files_are_accepted(tmp_path: Path, text: Text, key_file: Path, program: Path) -> None:
    credentials = tmp_path / "credentials.toml"
    credentials.write_text('secret_id = "a"\nsecret_key = "b"\n')
    credentials.chmod(0o600)
    content = text(
        cluster=f'[cluster]\nname = "web"\nkey_file = "{key_file}"\n',
        cloud=f'[cloud]\ncredentials = "file:{credentials}"\n',
        notify=f'[group.notify]\nmaster = "{program}"\nstop = ["{program}", "x"]\n',
    )
    config = loader.load(placed(tmp_path, content))
    assert config.groups[0].notify.stop == (str(program), "x")
    assert config.cloud.credentials == f"file:{credentials}"


@pytest.mark.parametrize("name", ["hafailover.toml", "minimal.toml"])
def test_the_examples_load(tmp_path: Path, key_file: Path, name: str) -> None:
    content = (EXAMPLES / name).read_text()
    path = placed(tmp_path, content.replace("/etc/hafailover/cluster.key", str(key_file)))
    assert [node.name for node in loader.load(path).nodes] == ["web-a", "web-b"]


def test_the_example_shows_the_defaults(made: Made) -> None:
    content = (EXAMPLES / "hafailover.toml").read_text()
    examples = ("interface =", "promote =", "master =", "backup =", "fault =", "stop =", "notify =")
    shown = re.sub(r"(?m)^#(?!interface|promote|master|backup|fault|stop|notify)(\w+ = )", r"\1", content)
    plain = {"cluster": content, "nodes": "", "group": ""}
    assert made(**{**plain, "cluster": shown}).digest == made(**plain).digest
    everything = re.sub(r"(?m)^#(\w+ = )", r"\1", content)
    assert all(f"\n{example}" in everything for example in examples)
    assert made(**{**plain, "cluster": everything}).groups[0].notify.fault == ("/etc/hafailover/on-fault", "vip")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_content_is_a_config_error_and_nothing_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        loader.load(path)


@given(st.text(alphabet="[]{}=\"\n.,#'\\ab01-:_ ", max_size=80))
def test_any_text_is_judged(content: str) -> None:
    findings = Findings("f.toml")
    try:
        loader.parse(content, findings)
    except ConfigError as error:
        assert error.problems == findings.problems()  # noqa: PT017 - it need not raise
    assert findings.problems()


def test_a_witness_needs_the_key_and_no_other_file(tmp_path: Path, text: Text, key_file: Path) -> None:
    content = text(
        cluster=f'[cluster]\nname = "web"\nkey_file = "{key_file}"\n',
        cloud='[cloud]\ncredentials = "file:/none/credentials.toml"\n',
        nodes=PARTS["nodes"] + '[[node]]\nname = "w"\naddress = "10.0.1.9:7694"\nrole = "witness"\n',
        notify='[group.notify]\nbackup = "/none/on-backup"\n',
        check='[[group.check]]\nname = "c"\ntype = "script"\ncommand = "/none/check"\n',
    )
    path = placed(tmp_path, content)
    assert len(problems(path)) == 3
    witness = loader.load(path, "w")
    assert [node.role for node in witness.nodes] == ["member", "member", "witness"]
    key_file.unlink()
    with pytest.raises(ConfigError, match="does not exist"):
        loader.load(path, "w")
