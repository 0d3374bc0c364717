"""What an exchange was asked: the request as it came, and as it goes on once nodes made another one of it.

Rule: nothing here answers, waits, or asks an upstream.
Rule: a conversation is decoded when somebody first asks for it, and once for each request that it goes on as.
"""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from archflow_engine import trace
from archflow_engine.exchange.client import Client
from archflow_engine.hub import monotonic
from archflow_engine.prompts.prompt import cleaned
from archflow_engine.prompts.prompt import of as prompt_of
from archflow_engine.request import RequestHead
from archflow_plugins.kinds import Dialect, Head
from archflow_plugins.record import Record
from archflow_plugins.translation import estimate
from archflow_schema.conversation import Conversation
from archflow_schema.errors import ClientProtocolError

if TYPE_CHECKING:
    from archflow_engine.plan import ListenerPlan, Plan
    from archflow_engine.prompts.prompt import Prompt

_UNSET: Any = None
"""Of what every exchange has as soon as it is made."""


class Asked(Struct, eq=False):
    """The request's part of an exchange. Mutable: nodes change what is asked as the walk goes on.

    Attributes:
        listener: where the request came.
        received: the size of its body.
        deadline: when the hub asks whether something took too long.
        said: the request as the client sent it, where another one goes on.
    """

    client: Client
    listener: ListenerPlan
    request: RequestHead
    received: int
    plan: Plan = _UNSET
    record: Record = _UNSET
    deadline: float = 0.0
    dialect: Dialect | None = None
    head: Head | None = None
    said: Head | None = None
    prompt: Prompt | None = None
    _conversation: Conversation | None = None
    _began: float = 0.0
    _whole: float = 0.0
    """When the time for all of it is up."""

    def __post_init__(self) -> None:
        request, listener, client = self.request, self.listener, self.client
        self.plan = plan = listener.plan
        plan.live += 1
        self._began = began = monotonic()
        self._whole = self.deadline = began + listener.timeout
        request_id, trace_id, span_id = trace.new_ids()
        self.record = record = Record(
            request.request_id or request_id,
            trace_id,
            span_id,
            "",
            request.trace_state,
            False,
            time_ns(),
            listener.name,
            request.verb,
            request.path,
            client.protocol,
            "",
            client.peer,
            request.user_agent,
            request.authority,
            request.forwarded_for,
        )
        record.bytes_received = self.received
        if request.context is not None:
            record.trace_id, record.parent_span_id, record.sampled = request.context
        if plan.samples:
            record.sampled = plan.sample(record)

    @property
    def began(self) -> float:
        """When it began, on the monotonic clock."""
        return self._began

    @property
    def conversation(self) -> Conversation:
        """The request, dialect-free; decoded when first asked for.

        Raises:
            ClientProtocolError: it is not a request of its dialect.
        """
        if self._conversation is None:
            assert self.dialect is not None and self.head is not None  # noqa: PT018, S101 - set by begin()
            self._conversation = self.dialect.decode(self.head)
        return self._conversation

    @property
    def original(self) -> Conversation | None:
        """The conversation as the client sent it, where another one goes on; None where it goes on as it came."""
        return self.prompt.original if self.prompt is not None else None

    def estimate(self) -> int:
        """How many input tokens the request costs, roughly."""
        dialect, head = self.dialect, self.head
        assert dialect is not None and head is not None  # noqa: PT018, S101 - set by begin()
        if dialect.translates:
            try:
                return estimate(self.conversation)
            except ClientProtocolError:
                pass  # it may be relayed all the same
        return max(1, dialect.estimate(head))

    def becomes(self, head: Head) -> None:
        """The request goes on as another one; it is decoded anew when next asked for.

        What nodes made of its messages stays.
        """
        told, prompt = self._conversation, self.prompt
        self.head = head
        self._conversation = None
        if prompt is not None and prompt.original is not None and told is not None:
            prompt.original = self.conversation
            self._conversation = structs.replace(cleaned(prompt.original), messages=told.messages)

    def instead(self, head: Head) -> None:
        """As `becomes`, for what the client need not know: its reply, and what is kept of it, tell what it sent."""
        self.said = self.said or self.head
        self.becomes(head)

    def back(self, head: Head) -> None:
        """The request is again what it was before nodes made something of it."""
        self.head = head
        self._conversation = None
        if self.prompt is not None:
            self.prompt.original = None

    def rewrite(self, conversation: Conversation) -> None:
        """The request goes on with another conversation; dispatch asks that one."""
        before = self.conversation
        if conversation is before:
            return
        prompt = prompt_of(self)
        if prompt.original is None:
            prompt.original = before
        self._conversation = conversation
