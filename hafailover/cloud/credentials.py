"""Where the API's keys come from: the environment, a file, or the role of this instance.

Temporary keys are replaced long before they end, in the background, so that a failover never waits for them:
what cannot be refreshed in time goes on being used until it ends, and is then refused by the API.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hafailover.config.files import UnusableError, read_credentials
from hafailover.errors import ConfigError, CredentialsError, MetadataError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hafailover.cloud.metadata import Metadata
    from hafailover.config.model import Cloud as Settings

_LEAST_WAIT_S = 5.0
_RETRY_FIRST_S = 2.0
_RETRY_LAST_S = 60.0


@dataclass(frozen=True, slots=True)
class Credential:
    """Keys to sign with. `token` is "" for permanent keys; `expires_at_s` is on the monotonic clock."""

    secret_id: str
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)
    expires_at_s: float | None = None


class CredentialSource(Protocol):
    """Gives the keys that are valid now."""

    @property
    def expires_in_s(self) -> float | None:
        """Return for how long the present keys are good, None where they do not end or there are none."""

    async def current(self) -> Credential:
        """Return the keys to use now; at once where they are at hand. Raises CredentialsError."""

    async def refresh(self) -> None:
        """Fetch the keys anew. Raises CredentialsError; the old ones stay in use then."""

    def reject(self) -> None:
        """Take note that the API refused the present keys: `current` tries to replace them first."""

    async def run(self) -> None:
        """Keep the keys fresh until cancelled."""


class _Source:
    """What all sources share: one credential at hand, replaced by one `_fetch` at a time."""

    def __init__(self) -> None:
        self._credential: Credential | None = None
        self._rejected = False
        self._lock = asyncio.Lock()

    @property
    def expires_in_s(self) -> float | None:
        if self._credential is None or self._credential.expires_at_s is None:
            return None
        return self._credential.expires_at_s - time.monotonic()

    async def current(self) -> Credential:
        credential = self._credential
        if credential is not None and not self._rejected and not self._ended(credential):
            return credential
        try:
            await self._replace(credential)
        except CredentialsError:
            if credential is None:
                raise
        return self._credential or await self._fetch()

    async def refresh(self) -> None:
        await self._replace(self._credential)

    def reject(self) -> None:
        self._rejected = True

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def _replace(self, seen: Credential | None) -> None:
        async with self._lock:
            if self._credential is not seen:
                return  # another caller has just done it
            self._rejected = False
            self._credential = await self._fetch()

    @staticmethod
    def _ended(credential: Credential) -> bool:
        return credential.expires_at_s is not None and credential.expires_at_s <= time.monotonic()

    async def _fetch(self) -> Credential:
        raise NotImplementedError


class EnvironmentCredentials(_Source):
    """TENCENTCLOUD_SECRET_ID, TENCENTCLOUD_SECRET_KEY and, for temporary keys, TENCENTCLOUD_TOKEN."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__()
        self._environ = environ

    async def _fetch(self) -> Credential:
        secret_id = self._environ.get("TENCENTCLOUD_SECRET_ID", "")
        secret_key = self._environ.get("TENCENTCLOUD_SECRET_KEY", "")
        if not secret_id or not secret_key:
            raise CredentialsError("TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY are not both set")
        token = self._environ.get("TENCENTCLOUD_TOKEN", "")
        if not is_header_text(secret_id + secret_key + token):
            raise CredentialsError("TENCENTCLOUD_SECRET_ID, _KEY or _TOKEN has unprintable characters")
        return Credential(secret_id, secret_key, token)


class FileCredentials(_Source):
    """A TOML file with secret_id, secret_key and optionally token; read again when refreshed or refused.

    Raises ConfigError where it cannot be used.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._credential = read_credentials_file(path)

    async def _fetch(self) -> Credential:
        try:
            return await asyncio.to_thread(read_credentials_file, self._path)
        except ConfigError as exc:
            raise CredentialsError(str(exc)) from None


class RoleCredentials(_Source):
    """The temporary keys of the instance's CAM role; without a name, of whichever role is bound."""

    def __init__(self, metadata: Metadata, role: str = "", *, least_wait_s: float = _LEAST_WAIT_S) -> None:
        super().__init__()
        self._least_wait_s = least_wait_s
        self._metadata = metadata
        self._role = role

    async def _fetch(self) -> Credential:
        try:
            role = self._role or await self._metadata.role_name()
            return await self._metadata.role_credential(role)
        except MetadataError as exc:
            raise CredentialsError(f"no role credentials: {exc}") from None

    async def run(self) -> None:
        """Replace the keys whenever half of the life that they had left is over; try again where that fails."""
        retry_s = _RETRY_FIRST_S
        wait_s = 0.0 if self._credential is None else self._half_life_s()
        while True:
            await asyncio.sleep(wait_s)
            try:
                await self.refresh()
            except CredentialsError:
                wait_s, retry_s = retry_s, min(retry_s * 2, _RETRY_LAST_S)
            else:
                wait_s, retry_s = self._half_life_s(), _RETRY_FIRST_S

    def _half_life_s(self) -> float:
        return max(self._least_wait_s, (self.expires_in_s or 0.0) / 2)


class NoCredentials(_Source):
    """No keys at all: for a witness, which asks the cloud nothing."""

    async def _fetch(self) -> Credential:
        raise CredentialsError("a witness has no credentials")


def credential_source(
    settings: Settings, metadata: Metadata, environ: Mapping[str, str] = os.environ
) -> CredentialSource:
    """Make the source that [cloud] credentials names.

    That is "env", "file:PATH", "credential:NAME", "role" or "role:NAME".

    Raises ConfigError on any other text, and where the file cannot be used.
    """
    wanted = settings.credentials
    kind, _, rest = wanted.partition(":")
    if wanted == "env":
        return EnvironmentCredentials(environ)
    if kind == "file" and rest:
        return FileCredentials(Path(rest))
    if kind == "credential" and rest:
        return FileCredentials(Path(wanted))
    if wanted == "role" or (kind == "role" and rest):
        return RoleCredentials(metadata, rest)
    message = f'{wanted!r} is none of "role", "role:NAME", "file:PATH", "credential:NAME", "env"'
    raise ConfigError((Problem("configuration", "cloud.credentials", message),))


def read_credentials_file(path: Path) -> Credential:
    """Read a credentials file as `hafailover check` does; ConfigError names the file, never a value."""
    try:
        keys = read_credentials(path)
    except UnusableError as exc:
        raise ConfigError((Problem(str(path), "", str(exc)),)) from None
    return Credential(keys.secret_id, keys.secret_key, keys.token or "")


def is_header_text(value: str) -> bool:
    """Tell whether a text can stand in an HTTP header, where keys and tokens end up."""
    return value.isascii() and value.isprintable()
