"""A prompt under way: what was matched, filled, called and answered, and what goes on instead of the request.

One Prompt belongs to one exchange, from the first node that looks at its conversation to the end of its reply.

Rule: once a conversation goes on as another one than the client sent, dispatch encodes from it; everything that the
client said besides stays as it came.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct

from archflow_engine.stages import passed
from archflow_plugins.translation import Answering, Prelude
from archflow_schema.conversation import Conversation
from archflow_schema.events import Event, Finished, Started, Stopped, TextDelta, Usage, UsageReported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archflow_engine.exchange import Exchange
    from archflow_engine.exchange.asked import Asked
    from archflow_engine.nodes.fill import FillNode
    from archflow_engine.prompts.memory import Memory
    from archflow_schema.slots import Filled

FUNCTION_MODEL = "Arch-Function"
"""Who speaks where no model does: Arch's clients tell by `Arch` in front that a reply is the gateway's own."""
OURS = "x-arch-"
"""How the metadata begins that is between a client and us; no model's API gets it."""


class Made(Struct, frozen=True, kw_only=True):
    """A call that was made for a prompt: the target, its arguments as a JSON object, and what was answered, as text."""

    id: str
    target: str
    arguments: Raw
    answer: str


class Prompt(Struct, eq=False):
    """The state of one prompt. Mutable: nodes fill it in as the walk goes on.

    Attributes:
        names: every prompt target, by which calls of ours are told from those of the client's own tools.
        targets: what was matched, the surest first.
        filled, filler: what is to be called, and who found out.
        made: what was called.
        tells: whether the client is told what was called.
        metadata, prelude: what it is told with its reply.
        memory, key: where what was called is kept here, and as what; None and empty if it is not.
        status: of the reply to a failure.
        failure: what failed, in one word, for the error target.
        detail: the same for the record, without a word of the conversation.
        original: the conversation as the client sent it, once another one goes on.
    """

    names: frozenset[str] = frozenset()
    targets: tuple[str, ...] = ()
    filled: Filled | None = None
    filler: FillNode | None = None
    made: list[Made] = []
    tells: bool = False
    metadata: tuple[tuple[str, str], ...] = ()
    prelude: tuple[Prelude, ...] = ()
    memory: Memory | None = None
    key: str = ""
    status: int = 0
    failure: str = ""
    detail: str = ""
    original: Conversation | None = None

    @property
    def decorates(self) -> bool:
        """Whether the reply tells more than the model said."""
        return bool(self.metadata or self.prelude)


def of(exchange: Asked) -> Prompt:
    """The exchange's prompt; a new one if it has none yet."""
    prompt = exchange.prompt
    if prompt is None:
        prompt = exchange.prompt = Prompt()
    return prompt


def readable(exchange: Exchange) -> bool:
    """Whether the request is a conversation that can be read and written anew."""
    return exchange.dialect is not None and exchange.dialect.translates


def cleaned(conversation: Conversation) -> Conversation:
    """Without the metadata that is between a client and us."""
    if not any(name.startswith(OURS) for name, _ in conversation.metadata):
        return conversation
    kept = tuple(pair for pair in conversation.metadata if not pair[0].startswith(OURS))
    return msgspec.structs.replace(conversation, metadata=kept)


def answering(exchange: Exchange) -> Answering:
    """What a reply's encoder is told of an exchange."""
    record, head, prompt = exchange.record, exchange.said or exchange.head, exchange.prompt
    assert head is not None  # noqa: S101 - set by begin()
    return Answering(
        request_id=record.request_id,
        model=head.model or record.model,
        created=record.started_ns // 1_000_000_000,
        query=exchange.request.query.decode("latin-1"),
        metadata=prompt.metadata if prompt is not None else (),
        prelude=prompt.prelude if prompt is not None else (),
    )


def say(exchange: Exchange, text: str, *, model: str = "") -> None:
    """Answer with a text that is no model's of ours: streamed if the client wants that.

    Args:
        exchange: what is answered.
        text: the answer.
        model: who said it, where a service told.
    """
    model = model or FUNCTION_MODEL
    dialect, head, record = exchange.dialect, exchange.said or exchange.head, exchange.record
    assert dialect is not None and head is not None  # noqa: PT018, S101 - set by begin()
    encoder = dialect.reply_encoder(head, answering(exchange))
    events: list[Event] = [
        Started(model=model, created=int(time.time())),
        TextDelta(text),
        UsageReported(Usage()),
        Stopped("stop"),
        Finished(),
    ]
    record.response_model = model
    record.finish_reason = "stop"

    def write(left: Sequence[Event]) -> None:
        body = encoder.feed(left)

        def answer() -> None:
            exchange.tell(200, encoder.content_type.encode("ascii"), body, exchange.reply_headers)

        keeper, exchange.keeper = exchange.keeper, None
        if keeper is None or not keeper.keep(exchange, encoder, answer):
            answer()

    passed(exchange, events, write)
