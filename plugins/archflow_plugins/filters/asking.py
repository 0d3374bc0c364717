"""How filters outside are asked: where, for how long, again when nobody listened, and what their errors mean.

Rule: only a request that never reached the filter is sent again, so a filter sees each body once.
"""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct

from archflow_plugins.contexts import Answered, CompileContext, RunContext
from archflow_plugins.kinds import Filter
from archflow_schema.errors import FilterRefused, UpstreamRefused
from archflow_schema.text import Text

RETRIES = 2
"""How often a filter that refused the connection is asked again."""
PAUSE = 0.1
"""Seconds before that, twice as long each time."""
SAID_AT_MOST = 64 * 1024
"""Bytes of a filter's error that are passed on."""
JSON = "application/json"
EVENTS = "text/event-stream"


class ServiceConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of a filter outside.

    Attributes:
        url: where it answers.
        timeout: seconds that one answer may take.
    """

    url: str
    timeout: float = 30.0


class Service(Struct, frozen=True, kw_only=True):
    """What the graph stores."""

    url: Text
    timeout: float


class ServiceFilter(Filter):
    """A filter outside the gateway."""

    config: ClassVar[type[Struct]] = ServiceConfig
    compiled: ClassVar[type[Struct] | None] = Service

    @classmethod
    def compile(cls, config: Any, ctx: CompileContext) -> Struct:
        return Service(url=ctx.text(config.url, "url"), timeout=config.timeout)

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self.url = ctx.text(compiled.url)

    async def post(
        self, url: str, body: bytes, headers: tuple[tuple[str, str], ...] = (), *, of: str = JSON
    ) -> Answered:
        """Post a body, and again if nobody listened; `of` is its content type. Blocks until the answer is whole.

        Raises:
            UpstreamError: there is no answer.
        """
        import trio  # here, for compiling imports nothing that waits

        pause = PAUSE
        for _ in range(RETRIES):
            try:
                return await self._posted(url, body, (("content-type", of), *headers))
            except UpstreamRefused:
                await trio.sleep(pause)
                pause *= 2
        return await self._posted(url, body, (("content-type", of), *headers))

    async def asked(
        self, url: str, body: bytes, headers: tuple[tuple[str, str], ...] = (), *, of: str = JSON
    ) -> Answered:
        """As `post`, for an answer that must be no error.

        Raises:
            FilterRefused: it is one.
            UpstreamError: there is no answer.
        """
        answered = await self.post(url, body, headers, of=of)
        if not 200 <= answered.status < 300:
            raise FilterRefused(answered.status, answered.body[:SAID_AT_MOST].decode("utf-8", "replace"))
        return answered

    async def _posted(self, url: str, body: bytes, headers: tuple[tuple[str, str], ...]) -> Answered:
        timeout = self.settings.timeout
        return await self.ctx.fetch("POST", url, headers=headers, body=body, timeout=timeout)
