"""What one exchange tells about itself: the facts that tracers, access logs and metrics are made of.

The engine fills one Record per request, with plain assignments, and hands it to every tracer when the exchange ends.

Rule: no content of a conversation and no secret is in a Record, so that nobody downstream has to remove it.
Times: `started_ns` is wall clock (Unix, nanoseconds); everything else is seconds since the start, or -1 for never.
"""

from __future__ import annotations

from msgspec import Struct

from archflow_schema.assigned import assigned
from archflow_schema.events import Usage


@assigned
class Attempt(Struct, gc=False):
    """One try at one upstream. Mutable: the engine fills it in as the try goes on."""

    provider: str = ""
    upstream: str = ""
    """Name of the provider as configured."""
    address: str = ""
    """host:port."""
    span_id: str = ""
    began: float = 0.0
    first_byte: float = -1.0
    ended: float = -1.0
    status: int = 0
    outcome: str = ""
    """streaming, refused, timeout, failed; empty while under way."""
    error: str = ""
    reused: bool = False
    """Whether the connection was already open."""


class Decision(Struct):
    """What a router or a matcher decided, and why. Mutable: the engine fills it in as the router answers.

    Attributes:
        id: told to the client, so that it can be found again.
        node: who decided.
        option: what was chosen; empty for none.
        model: what is asked because of it; empty for the default.
        reason: one word for how it was found, `session` for what was found earlier, or `timeout` or `failed`.
        confidence: 0..1.
        runner_up: the second best; empty if there is none.
        seconds: how long it took.
        proposed: whether the request brought the options.
        pinned: whether the session was with this model before.
        switched: whether the session moved from another model to it.
        kept_from: the model that the session did not move to, as far as that is recorded.
    """

    id: str = ""
    node: str = ""
    option: str = ""
    model: str = ""
    reason: str = ""
    confidence: float = 0.0
    runner_up: str = ""
    seconds: float = 0.0
    proposed: bool = False
    pinned: bool = False
    switched: bool = False
    kept_from: str = ""


@assigned
class Record(Struct, gc=False):
    """One exchange. Mutable: the engine fills it in as the exchange goes on; tracers only read."""

    request_id: str = ""
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    trace_state: str = ""
    sampled: bool = False
    started_ns: int = 0
    listener: str = ""
    method: str = ""
    path: str = ""
    protocol: str = ""
    dialect: str = ""
    client: str = ""
    """The client's address."""
    user_agent: str = ""
    authority: str = ""
    forwarded_for: str = ""
    model_asked: str = ""
    model: str = ""
    """The model as `/v1/models` names it."""
    model_sent: str = ""
    provider: str = ""
    reason: str = ""
    """Why this model: name, alias, hint, wildcard, default; with `, hint unknown` when a hint was passed over."""
    stream: bool = False
    status: int = 0
    error: str = ""
    """One word, such as upstream_timeout or client_gone; empty when all went well."""
    detail: str = ""
    bytes_received: int = 0
    bytes_sent: int = 0
    first_byte: float = -1.0
    duration: float = -1.0
    usage: Usage | None = None
    finish_reason: str = ""
    response_model: str = ""
    response_id: str = ""
    guards: list[tuple[str, str]] = []
    """Guard name and outcome, in order."""
    denied_by: str = ""
    """What clients are told that the guard is called which denied; empty if none did."""
    denied_score: float = -1.0
    """How sure it was, 0..1."""
    attempts: list[Attempt] = []
    decisions: list[Decision] = []
    """What routers and matchers decided, in order."""
