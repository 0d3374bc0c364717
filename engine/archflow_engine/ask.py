"""What the gateway itself asks while an exchange waits: models of its graph, and services of its configuration.

Kinds reach this through their RunContext, nodes directly. Each call is an attempt of the exchange that waits: it
carries its trace context, and its record shows it.

Rule: nothing here outlives the exchange's task; cancelled with it, a call is closed at once.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from archflow_engine import trace
from archflow_engine.hub import monotonic
from archflow_engine.upstream.call import Headers, split_lines
from archflow_engine.upstream.fetch import Fetched, fetch
from archflow_engine.upstream.pool import Origin, Pool
from archflow_plugins.contexts import Answered
from archflow_plugins.record import Attempt
from archflow_schema.conversation import Conversation
from archflow_schema.errors import ArchflowError, UpstreamError, UpstreamRefused, UpstreamTimeout
from archflow_schema.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archflow_engine.exchange import Exchange
    from archflow_engine.nodes.dispatch import DispatchNode

CONNECT = 5.0
"""Seconds until a connection to a service is made, where nobody says otherwise."""

current: ContextVar[Exchange | None] = ContextVar("current", default=None)
"""The exchange that this task works for."""


class Asker:
    """Asks the models of one plan, by the names of its dispatch nodes."""

    def __init__(self) -> None:
        self._nodes: dict[str, DispatchNode] = {}
        self._wildcards: list[tuple[str, DispatchNode]] = []

    def add(self, model: str, node: DispatchNode) -> None:
        """A model can be asked; `vendor/*` takes every name of that vendor."""
        if model.endswith("/*"):
            self._wildcards.append((model[:-1], node))
        else:
            self._nodes[model] = node

    async def __call__(self, model: str, conversation: Conversation, timeout: float) -> Reply:  # noqa: ASYNC109
        """Ask. Blocks until the reply is whole.

        Raises:
            UpstreamError: there is no reply, or it is an error's.
            ClientProtocolError: the model's dialect has no words for the conversation.
        """
        node = self._nodes.get(model)
        if node is not None:
            return await node.ask(conversation, "", timeout)
        for prefix, other in self._wildcards:
            if model.startswith(prefix):
                return await other.ask(conversation, model[len(prefix) :], timeout)
        raise ArchflowError(f"the graph has no model '{model}'")


class Services:
    """Asks services by URL; their connections are the plan's."""

    def __init__(self, pool: Callable[[Origin], Pool]) -> None:
        self._pool = pool

    async def __call__(
        self,
        method: str,
        url: str,
        headers: tuple[tuple[str, str], ...],
        body: bytes,
        timeout: float,  # noqa: ASYNC109
    ) -> Answered:
        """Ask. Blocks until the answer is whole.

        Raises:
            UpstreamError: there is no answer.
            ArchflowError: the URL cannot be used.
        """
        origin, authority, target = address(url)
        lines = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers]
        with attempting(authority, "service") as (attempt, traced):
            found = await fetch(
                self._pool(origin),
                target=target,
                authority=authority.encode("ascii"),
                headers=[*lines, *traced],
                body=body,
                method=method.encode("ascii"),
                timeout=timeout,
            )
            note(attempt, found)
        return Answered(
            found.status,
            found.content_type,
            tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in found.headers),
            found.body,
        )


def address(url: str) -> tuple[Origin, str, bytes]:
    """Where a URL leads: origin, authority, and path with query.

    Raises:
        ArchflowError: it is no http or https URL, or holds characters that a URL cannot.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise ArchflowError(f"'{url}' is no usable URL: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isascii() or " " in url:
        raise ArchflowError(f"'{url}' is not an http or https URL with a host")
    scheme: str = parts.scheme
    origin = Origin("https" if scheme == "https" else "http", parts.hostname, port, "1.1", "", CONNECT)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return origin, parts.netloc.rpartition("@")[2], target.encode("ascii")


def fits_a_host(authority: str) -> bool:
    """Whether a value can stand in a Host header."""
    return authority.isascii() and all(character > " " for character in authority)


@contextmanager
def attempting(name: str, provider: str) -> Iterator[tuple[Attempt, Headers]]:
    """One call as an attempt of the exchange that this task works for, and the trace headers that it carries."""
    exchange = current.get()
    attempt = Attempt(provider=provider, upstream=name, span_id=trace.new_span_id())
    if exchange is None:
        yield attempt, []
        return
    record = exchange.record
    began = attempt.began = monotonic() - exchange.began
    record.attempts.append(attempt)
    headers = split_lines(trace.lines(record, attempt.span_id, told=exchange.plan.samples).encode())
    try:
        yield attempt, headers
    except UpstreamError as error:
        attempt.outcome = (
            "refused" if isinstance(error, UpstreamRefused)
            else "timeout" if isinstance(error, UpstreamTimeout)
            else "failed"
        )  # fmt: skip
        attempt.error = str(error)
        raise
    finally:
        attempt.outcome = attempt.outcome or ("answered" if attempt.status else "cancelled")
        attempt.ended = max(began, monotonic() - exchange.began)


def note(attempt: Attempt, found: Fetched) -> None:
    """Write into an attempt what came of it."""
    attempt.status = found.status
    attempt.address = found.address
