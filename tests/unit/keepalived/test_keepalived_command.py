from __future__ import annotations

import asyncio
import os
import random
import tomllib
from typing import TYPE_CHECKING

import pytest

from hafailover import cli
from hafailover.cloud.client import Cloud
from hafailover.cloud.credentials import EnvironmentCredentials
from hafailover.config import loader
from hafailover.emulator.server import SECRET_ID, SECRET_KEY, Emulator, Options
from hafailover.emulator.world import PAIR, REGION, build
from hafailover.keepalived import command, files
from hafailover.keepalived.draft import Draft, NodeDraft
from tests.unit.cloud.stub import settings
from tests.unit.keepalived.files import SAMPLES, instance

if TYPE_CHECKING:
    from pathlib import Path


PAIR_OF_FILES = [str(SAMPLES / "haproxy-a.conf"), str(SAMPLES / "haproxy-b.conf")]


def run(*arguments: str) -> int:
    return cli.main(["import-keepalived", *arguments])


def test_the_configuration_goes_out_and_the_report_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*PAIR_OF_FILES) == 0
    out, err = capsys.readouterr()
    assert [node["name"] for node in tomllib.loads(out)["node"]] == ["lb-a", "lb-b"]
    assert f"{PAIR_OF_FILES[0]}:16: carried over: interval" in err.splitlines()
    assert err.index(PAIR_OF_FILES[0] + ":42") < err.index(PAIR_OF_FILES[1] + ":2")
    assert '  - node "lb-a".eni: "FILL IN" is malformed; allowed: "eni-" and 8 lower-case letters or digits' in err


def test_what_was_written_loads_with_its_files_once_the_blanks_are_filled_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hook, key = tmp_path / "notify", tmp_path / "key"
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o755)
    source = tmp_path / "keepalived.conf"
    source.write_text(instance(f"notify {hook}"))
    made = tmp_path / "config.toml"
    assert run("-o", str(made), str(source)) == 0
    assert capsys.readouterr().out == ""
    assert cli.main(["keygen", str(key)]) == 0
    text = made.read_text().replace("/etc/hafailover/cluster.key", str(key))
    for letter in "ab":
        text = text.replace('"FILL IN"  #', f'"eni-{letter * 8}"  #', 1)
    made.write_text(text)
    assert loader.load(made).groups[0].notify.notify == (str(hook),)
    assert cli.main(["check", "-c", str(made)]) == 0


def test_it_writes_over_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "config.toml"
    made.write_text("mine")
    assert run("-o", str(made), *PAIR_OF_FILES) == 1
    assert capsys.readouterr().err.endswith(f"{made}: cannot be written: File exists\n")
    assert made.read_text() == "mine"


def test_one_file_may_be_read_for_chosen_nodes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(SAMPLES / "one-for-both.conf"), "--id", "web-b", "--id", "web-a") == 0
    nodes = tomllib.loads(capsys.readouterr().out)["node"]
    assert [(node["name"], node["priority"]) for node in nodes] == [("web-b", 140), ("web-a", 150)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vrrp_instance a {", ":1: the block that begins at {file}:1 is not closed"),
        ("global_defs { }", ": there is no vrrp_instance in it, so nothing that could move"),
        (
            "@a vrrp_instance x { }\n@b global_defs { }",
            ": there is no vrrp_instance in it for b, so nothing that could move",
        ),
        ("\n".join(f"@n{number} x" for number in range(17)), ": more than 16 nodes"),
    ],
)
def test_what_cannot_be_imported_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    path = tmp_path / "k.conf"
    path.write_text(text)
    assert run(str(path)) == 2
    assert capsys.readouterr() == ("", str(path) + message.format(file=path) + "\n")


def test_ids_are_for_one_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--id", "a", *PAIR_OF_FILES) == 2
    assert "--id is for one file" in capsys.readouterr().err


def test_files_are_bounded_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "MOST_BYTES", 10)
    path = tmp_path / "k.conf"
    path.write_text("x" * 11)
    assert run(str(path)) == 2
    assert run(str(tmp_path)) == 2
    assert run(str(tmp_path / ("y" * 300))) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"{path}: is longer than 10 bytes",
        f"{tmp_path}: is not a file",
        f"{tmp_path}/{'y' * 300}: cannot be read: File name too long",
    ]


def test_the_environment_is_that_of_who_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VIP", "10.0.1.77")
    path = tmp_path / "k.conf"
    path.write_text("vrrp_instance a { virtual_ipaddress { ${_ENV VIP} } }")
    assert run(str(path)) == 0
    assert tomllib.loads(capsys.readouterr().out)["group"][0]["addresses"] == ["10.0.1.77"]


async def test_the_cloud_tells_the_enis_where_it_is_clear() -> None:
    emulator = Emulator(build(), Options(latency_ms=0, task_ms=0))
    await emulator.start()
    keys = {"TENCENTCLOUD_SECRET_ID": SECRET_ID, "TENCENTCLOUD_SECRET_KEY": SECRET_KEY}
    cloud = Cloud(
        settings(f"http://127.0.0.1:{emulator.api_port}"),
        EnvironmentCredentials(keys),
        region=REGION,
        observer=lambda _call: None,
        rng=random.Random(1),  # noqa: S311 - jitter is not a secret
    )
    draft = Draft("web", nodes=[NodeDraft(node.name, node.address) for node in PAIR])
    draft.nodes += [NodeDraft("nobody", "10.0.1.99"), NodeDraft("blank"), NodeDraft("six", "fd00::1")]
    try:
        await command.fill_in(draft, cloud)
    finally:
        await cloud.close()
        await emulator.close()
    assert [node.eni for node in draft.nodes] == [*(node.eni_id for node in PAIR), "", "", ""]


def test_a_look_up_that_fails_is_told_and_does_no_harm(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert os.environ.get("TENCENTCLOUD_SECRET_ID") is None
    assert run("--lookup", "--credentials", "env", "--region", "ap-guangzhou", *PAIR_OF_FILES) == 0
    out, err = capsys.readouterr()
    assert 'region = "ap-guangzhou"' in out
    assert "  - the ENIs were not looked up: " in err


def test_a_look_up_has_a_deadline(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_draft: Draft, _arguments: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(command, "LOOKUP_S", 0.05)
    monkeypatch.setattr(command, "_ask_cloud", never)
    assert run("--lookup", *PAIR_OF_FILES) == 0
    assert "the ENIs were not looked up: no answer within 0.05 s" in capsys.readouterr().err
