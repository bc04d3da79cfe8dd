from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from hafailover.cloud import credentials as module
from hafailover.cloud.credentials import (
    Credential,
    CredentialSource,
    EnvironmentCredentials,
    FileCredentials,
    RoleCredentials,
    credential_source,
    read_credentials_file,
)
from hafailover.config.files import read_credentials
from hafailover.errors import ConfigError, CredentialsError, MetadataError
from tests.unit.cloud.stub import KEYS, settings, until

if TYPE_CHECKING:
    from pathlib import Path

    from hafailover.cloud.metadata import Metadata

GOOD = 'secret_id = "AKIDfile"\nsecret_key = "hushHush"\n'


class Roles:
    """What the metadata service says of roles, in order; the last for ever. An exception is raised."""

    def __init__(self, *said: float | MetadataError) -> None:
        self.said = list(said)
        self.asked: list[str] = []

    async def role_name(self) -> str:
        return "bound"

    async def role_credential(self, role: str) -> Credential:
        self.asked.append(role)
        await asyncio.sleep(0)
        said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if isinstance(said, MetadataError):
            raise said
        return Credential(f"id-{len(self.asked)}", "key", "token", time.monotonic() + said)


def role_source(roles: Roles, role: str = "", **changes: Any) -> RoleCredentials:
    return RoleCredentials(cast("Metadata", roles), role, **changes)


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def source(wanted: str) -> CredentialSource:
    return credential_source(settings("", credentials=wanted), cast("Metadata", Roles(60)), KEYS)


def test_what_the_configuration_names(tmp_path: Path) -> None:
    path = written(tmp_path / "keys.toml", GOOD)
    assert isinstance(source("env"), EnvironmentCredentials)
    assert isinstance(source(f"file:{path}"), FileCredentials)
    assert isinstance(source("role"), RoleCredentials)
    assert isinstance(source("role:web"), RoleCredentials)


@pytest.mark.parametrize("wanted", ["", "rolex", "role:", "file:", "env:x", "AKIDxxx"])
def test_what_it_cannot_name(wanted: str) -> None:
    with pytest.raises(ConfigError, match=r"cloud\.credentials"):
        source(wanted)


async def test_the_environment() -> None:
    environ = {**KEYS, "TENCENTCLOUD_TOKEN": "tok"}
    found = EnvironmentCredentials(environ)
    assert await found.current() == Credential("AKIDtest", "testSecretKey0123456789", "tok")
    assert found.expires_in_s is None
    environ["TENCENTCLOUD_TOKEN"] = "tik"
    assert (await found.current()).token == "tok"
    await found.refresh()
    assert (await found.current()).token == "tik"


@pytest.mark.parametrize("change", [{"SECRET_ID": ""}, {"SECRET_KEY": ""}, {"TOKEN": "\n"}])
async def test_an_environment_without_keys(change: dict[str, str]) -> None:
    environ = {**KEYS, **{f"TENCENTCLOUD_{name}": value for name, value in change.items()}}
    with pytest.raises(CredentialsError) as caught:
        await EnvironmentCredentials(environ).current()
    assert "testSecretKey" not in str(caught.value)


async def test_a_file_is_read_again_after_a_refusal(tmp_path: Path) -> None:
    path = written(tmp_path / "keys.toml", GOOD)
    found = FileCredentials(path)
    assert await found.current() == Credential("AKIDfile", "hushHush")
    path.write_text(GOOD.replace("AKIDfile", "AKIDnext") + 'token = "tok"\n')
    assert (await found.current()).secret_id == "AKIDfile"
    found.reject()
    assert await found.current() == Credential("AKIDnext", "hushHush", "tok")
    path.unlink()
    found.reject()
    assert (await found.current()).secret_id == "AKIDnext"
    with pytest.raises(CredentialsError, match="does not exist"):
        await found.refresh()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hushHush", "not TOML"),
        ("a = " + "1" * 5000, "not TOML"),
        ("a = " + "[" * 5000, "not TOML"),
        ('secret_id = "a"', "no usable secret_key"),
        (GOOD + "token = 5", "no usable token"),
        (GOOD.replace("AKIDfile", "a\\nb"), "no usable secret_id"),
        (GOOD.replace("AKIDfile", "a b"), "no usable secret_id"),
        (GOOD + 'secretid = "x"', "unknown key"),
        ("#" * 20_000, "larger than"),
    ],
)
def test_a_file_that_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path / "keys.toml", text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_credentials_file(path)
    (problem,) = caught.value.problems
    assert problem.file == str(path)
    assert "hushHush" not in str(caught.value)


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "keys.toml", GOOD, 0o644)
    with pytest.raises(ConfigError, match="0644"):
        read_credentials_file(path)
    path.chmod(0o640)
    assert read_credentials_file(path).secret_id == "AKIDfile"


def test_what_the_check_takes_the_daemon_takes(tmp_path: Path) -> None:
    path = written(tmp_path / "keys.toml", "\ufeff" + GOOD)
    assert read_credentials(path).secret_id == read_credentials_file(path).secret_id == "AKIDfile"


def test_only_a_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    wrong = {tmp_path / "pipe": "is a device, pipe", tmp_path: "is a directory", tmp_path / "no": "does not exist"}
    for path, message in wrong.items():
        with pytest.raises(ConfigError, match=message):
            read_credentials_file(path)
    written(tmp_path / "binary", "").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not TOML in UTF-8"):
        read_credentials_file(tmp_path / "binary")


async def test_a_role_is_asked_for_once_however_many_want_it() -> None:
    roles = Roles(600)
    found = role_source(roles)
    assert found.expires_in_s is None
    got = await asyncio.gather(*(found.current() for _ in range(5)))
    assert {each.secret_id for each in got} == {"id-1"}
    assert roles.asked == ["bound"]
    assert found.expires_in_s == pytest.approx(600, abs=5)


async def test_a_named_role_is_the_one_asked_for() -> None:
    roles = Roles(600)
    await role_source(roles, "web").current()
    assert roles.asked == ["web"]


async def test_keys_that_have_ended_are_replaced_before_they_are_used() -> None:
    found = role_source(Roles(-1, 600))
    assert (await found.current()).secret_id == "id-1"
    assert (await found.current()).secret_id == "id-2"
    assert (await found.current()).secret_id == "id-2"


async def test_old_keys_stay_in_use_while_new_ones_cannot_be_had() -> None:
    roles = Roles(600, MetadataError("down"))
    found = role_source(roles)
    await found.current()
    found.reject()
    assert (await found.current()).secret_id == "id-1"
    assert (await found.current()).secret_id == "id-1"
    assert len(roles.asked) == 2
    with pytest.raises(CredentialsError, match="down"):
        await found.refresh()


async def test_without_any_keys_the_error_is_said() -> None:
    with pytest.raises(CredentialsError, match="down"):
        await role_source(Roles(MetadataError("down"))).current()


async def test_keys_are_replaced_at_half_their_life_and_failures_are_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_RETRY_FIRST_S", 0.001)
    monkeypatch.setattr(module, "_RETRY_LAST_S", 0.002)
    roles = Roles(MetadataError("down"), MetadataError("down"), 0.02, MetadataError("down"), 0.02, 600)
    found = role_source(roles, least_wait_s=0.001)
    task = asyncio.create_task(found.run())
    await until(lambda: (found.expires_in_s or 0) > 60)
    assert len(roles.asked) == 6
    assert (await found.current()).secret_id == "id-6"
    await asyncio.sleep(0.02)
    assert len(roles.asked) == 6
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_keys_at_hand_are_not_fetched_again_when_the_task_starts() -> None:
    roles = Roles(600)
    found = role_source(roles)
    await found.current()
    task = asyncio.create_task(found.run())
    await asyncio.sleep(0.02)
    task.cancel()
    assert len(roles.asked) == 1


async def test_permanent_keys_need_no_care() -> None:
    found = EnvironmentCredentials(KEYS)
    task = asyncio.create_task(found.run())
    await asyncio.sleep(0.01)
    assert not task.done()
    task.cancel()


async def test_a_credential_of_the_service_is_read_like_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "keys.toml", GOOD)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert await source("credential:keys.toml").current() == Credential("AKIDfile", "hushHush")
