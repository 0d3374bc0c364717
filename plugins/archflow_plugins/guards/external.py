"""The guard that asks a service: what it refuses is denied, with its own words.

The conversation is posted as JSON in the form of chat completions, whatever the client's dialect: `model`, `stream`,
and `messages` with the words of each turn; to judge an answer, with that as the last of them. A status of 2xx allows,
one of 4xx denies; anything else, and no answer in time, is a guard that could not judge.

Source: the HTTP filters of Arch's successor, which get a request by POST and refuse it by their status.

Rule: scheme and host come from the configuration alone.
Rule: what the service says is told to the client, cut short, and stands in the log as every guard's words do.
"""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from archflow_plugins.contexts import Answered, CompileContext, RunContext
from archflow_plugins.guards.asked import Refusal, ServiceGuard
from archflow_schema.errors import UpstreamProtocolError
from archflow_schema.text import Text, references


class HttpConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of the guard that asks a service.

    Attributes:
        url: where the conversation is posted; may name the environment.
        headers: sent along, name and value; may name the environment.
        timeout: seconds until it must have answered; after that the guard has failed.
        message: what the client is told instead of the service's words.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    timeout: float = 5.0
    message: str = ""


class Compiled(Struct, frozen=True, kw_only=True):
    """What the graph keeps of it."""

    url: Text
    headers: tuple[tuple[str, Text], ...]
    timeout: float
    message: str


class HttpGuard(ServiceGuard):
    """Denies what a service refuses."""

    kind = "guard.http"
    config = HttpConfig
    compiled: ClassVar[type[Struct] | None] = Compiled

    @classmethod
    def compile(cls, config: HttpConfig, ctx: CompileContext) -> Compiled:
        url = ctx.text(config.url, "url")
        if not references(url) and not _usable(config.url):
            ctx.error(
                "invalid-url",
                f"'{config.url}' is not an http or https URL with a host",
                "url",
                fix="write it like http://localhost:8000/guard",
            )
        if config.timeout <= 0:
            ctx.error("invalid-timeout", "a timeout must be above 0 seconds", "timeout")
        return Compiled(
            url=url,
            headers=tuple(
                (name.lower(), ctx.text(value, "headers", name, secret=True))
                for name, value in config.headers
            ),
            timeout=config.timeout,
            message=config.message,
        )

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self._url = ctx.text(compiled.url)
        self._headers = (
            ("content-type", "application/json"),
            *((name, ctx.text(value)) for name, value in compiled.headers),
        )

    async def refusal(self, body: bytes) -> Refusal | None:
        told = await self.ctx.fetch(
            "POST", self._url, headers=self._headers, body=body, timeout=self.settings.timeout
        )
        if 200 <= told.status < 300:
            return None
        if 400 <= told.status < 500:
            return Refusal(_words(told))
        raise UpstreamProtocolError(f"the service of {self.ctx.name} answered with status {told.status}")


class _Failure(Struct):
    """An error's body, in the ways in which services write it."""

    error: Any = None
    message: Any = None
    detail: Any = None


def _usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _words(told: Answered) -> str:
    """What the service says: `error.message`, `error`, `message` or `detail` of JSON, or its text."""
    try:
        failure = msgspec.json.decode(told.body, type=_Failure)
    except msgspec.MsgspecError:
        return told.body.decode("utf-8", "replace") if told.content_type.startswith("text/plain") else ""
    error = failure.error.get("message") if isinstance(failure.error, dict) else failure.error
    return next((one for one in (error, failure.message, failure.detail) if isinstance(one, str)), "")
