"""Where AWS credentials come from when the configuration names none: the chain that Amazon's own tools go through.

::

    AWS_BEARER_TOKEN_BEDROCK                      an API key
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY      and AWS_SESSION_TOKEN
    a profile with keys                           AWS_PROFILE or `default`, in ~/.aws/credentials and ~/.aws/config
    everything else                               botocore: roles of containers and machines, SSO, role_arn, processes

Source: AWS SDKs and Tools Reference Guide, "Standardized credential providers", 2026-11.

Rule: the process's environment and home are read here and nowhere else, once, at `open`: the chain is defined by them.
Rule: botocore comes with the extra `archflow[aws]`, is imported when nothing else is found, and works in a thread.
Invariant: temporary credentials are looked at every minute; botocore renews them 15 minutes before they end.
"""

from __future__ import annotations

import configparser
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from archflow_plugins.contexts import RunContext
from archflow_plugins.providers.sigv4 import Credentials
from archflow_schema.errors import ArchflowError

EXTRA = "pip install 'archflow[aws]'"
CHECK = 60.0
"""Seconds between two looks at temporary credentials."""
_ELSEWHERE = frozenset({
    "role_arn", "source_profile", "credential_source", "credential_process", "sso_session", "sso_start_url",
    "web_identity_token_file", "login_session",
})  # fmt: skip
_NEXT = (
    "set access_key to an API key of Bedrock, or to $AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY, "
    "or give the process one of the sources of the AWS credential chain"
)


class Found(Struct, frozen=True):
    """What the chain gave: an API key, or credentials with what reads them anew (None if they never change)."""

    api_key: str = ""
    credentials: Credentials | None = None
    renew: Callable[[], Credentials] | None = None


class Profile(Struct, frozen=True):
    """A profile of the shared files.

    Attributes:
        name: `default`, or what AWS_PROFILE says.
        chosen: whether somebody said which one.
        settings: of both files; those of the credentials file win.
    """

    name: str
    chosen: bool
    settings: dict[str, str]

    @property
    def credentials(self) -> Credentials | None:
        """Its keys, if it has any."""
        settings = self.settings
        if not (settings.get("aws_access_key_id") and settings.get("aws_secret_access_key")):
            return None
        return Credentials(
            settings["aws_access_key_id"],
            settings["aws_secret_access_key"],
            settings.get("aws_session_token", ""),
        )


def read_profile(environment: Mapping[str, str]) -> Profile:
    """The profile that is meant. Blocks on the disk.

    Raises:
        ArchflowError: a file cannot be read, or the profile is chosen and in none of them.
    """
    chosen = environment.get("AWS_PROFILE", "")
    name = chosen or "default"
    home = Path(environment.get("HOME", "~")).expanduser() / ".aws"
    config = Path(environment.get("AWS_CONFIG_FILE") or home / "config").expanduser()
    shared = Path(environment.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials").expanduser()
    settings: dict[str, str] = {}
    known = False
    for path, section in ((config, name if name == "default" else f"profile {name}"), (shared, name)):
        found = _section(path, section)
        known = known or found is not None
        settings |= found or {}
    if chosen and not known:
        raise ArchflowError(
            f"the AWS profile '{chosen}' is neither in {config} nor in {shared}: correct AWS_PROFILE, or add it there"
        )
    return Profile(name, bool(chosen), settings)


def region_of(environment: Mapping[str, str], profile: Profile) -> str:
    """The region, where the address does not tell it; empty if nobody says."""
    return (
        environment.get("AWS_REGION")
        or environment.get("AWS_DEFAULT_REGION")
        or profile.settings.get("region", "")
    )


def find(environment: Mapping[str, str], profile: Profile, name: str) -> Found:
    """Go through the chain. Blocks on the disk, and on the network where a role is asked for.

    Args:
        environment: of the process.
        profile: the one that is meant.
        name: of the provider, for errors.

    Raises:
        ArchflowError: there are no credentials; the text says what to do.
    """
    if environment.get("AWS_BEARER_TOKEN_BEDROCK"):
        return Found(api_key=environment["AWS_BEARER_TOKEN_BEDROCK"])
    key, secret = environment.get("AWS_ACCESS_KEY_ID", ""), environment.get("AWS_SECRET_ACCESS_KEY", "")
    if key and secret:
        return Found(credentials=Credentials(key, secret, environment.get("AWS_SESSION_TOKEN", "")))
    if key or secret:
        lacking = "AWS_ACCESS_KEY_ID" if secret else "AWS_SECRET_ACCESS_KEY"
        raise ArchflowError(f"{name} finds half of its AWS credentials in the environment: set {lacking} too")
    elsewhere = sorted(_ELSEWHERE & profile.settings.keys())
    if profile.credentials is not None and not elsewhere:
        return Found(credentials=profile.credentials)
    return _from_botocore(profile, elsewhere, name)


def _from_botocore(profile: Profile, elsewhere: list[str], name: str) -> Found:
    try:
        import botocore.exceptions
        import botocore.session
    except ImportError as error:
        if elsewhere:
            raise ArchflowError(
                f"the AWS profile '{profile.name}' of {name} has {elsewhere[0]}, which needs botocore: {EXTRA}"
            ) from error
        raise ArchflowError(
            f"{name} has no AWS credentials: {_NEXT}; for the role of a container or a machine: {EXTRA}"
        ) from error
    try:
        credentials: Any = botocore.session.Session().get_credentials()
        if credentials is None:
            raise ArchflowError(f"{name} has no AWS credentials, and botocore finds none either: {_NEXT}")

        def renew() -> Credentials:
            frozen = credentials.get_frozen_credentials()
            return Credentials(frozen.access_key, frozen.secret_key, frozen.token or "")

        return Found(credentials=renew(), renew=renew)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise ArchflowError(f"{name} has no AWS credentials: {error}") from error


def _section(path: Path, name: str) -> dict[str, str] | None:
    """One section of a file; None if there is none."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ArchflowError(f"the AWS file {path} cannot be read: {error}") from error
    except configparser.Error as error:  # its text quotes the line, which may hold a key
        raise ArchflowError(f"the AWS file {path} is not an INI file ({type(error).__name__})") from error
    return dict(parser[name]) if parser.has_section(name) else None


class Kept:
    """Credentials that are renewed in time, by a task that `close` ends.

    Attributes:
        now: those that are good.
    """

    def __init__(self, ctx: RunContext, now: Credentials, renew: Callable[[], Credentials]) -> None:
        self.now = now
        self._ctx = ctx
        self._renew = renew
        import trio

        self._scope = trio.CancelScope()
        trio.lowlevel.spawn_system_task(self._keep)

    async def _keep(self) -> None:
        import trio

        with self._scope:
            while True:
                await trio.sleep(CHECK)
                try:
                    self.now = await self._ctx.offload(self._renew)
                except Exception as error:  # noqa: BLE001 - of whatever the chain asks; the next look may do better
                    self._ctx.log(
                        "aws_credentials_not_renewed",
                        level="warning",
                        provider=self._ctx.name,
                        why=type(error).__name__,
                    )

    def close(self) -> None:
        """Renew no more."""
        self._scope.cancel()
