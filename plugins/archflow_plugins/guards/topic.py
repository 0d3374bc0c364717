"""The guard of topics: what conversations may be about, or may not, each described in words.

Who tells what a conversation is about is the scorer of the composite router: the descriptions are embedded when they
are compiled, and a follow-up is understood with the turns before it.

Rule: a topic that is denied is looked for in every turn of the user that is read, one that is allowed in the newest.
Rule: an answer is judged whole, in windows: none may be about what is denied, one must be about what is allowed.
Rule: what a turn says is never logged, and stands in no error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

from msgspec import Struct, structs

from archflow_plugins.choosing.chooser import Chooser
from archflow_plugins.choosing.compiled import WINDOW, ChooserConfig, Chosen, compile_options
from archflow_plugins.contexts import CompileContext, Option, RunContext
from archflow_plugins.guards.turns import said
from archflow_plugins.guards.whole import Whole
from archflow_plugins.guards.windows import windows
from archflow_plugins.kinds import Guard
from archflow_plugins.verdict import ALLOW, Screens, Side, Verdict
from archflow_schema.conversation import Conversation, Message, TextPart

MESSAGE = "This request was denied: it is not about what this assistant is for."
OF_ANSWERS = "This answer was withheld: it is not about what this assistant is for."
"""What a client is told of an answer, unless the configuration says something else."""
ELSE = Option(name="something else", description="anything else: any other subject, question or task")
"""What conversations are about that are about no topic: the scorer compares, so a topic alone is compared with this."""
THRESHOLD = 0.4
MOST_TURNS = 16
"""Turns of the user that are read, the newest of them."""


class Topic(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that conversations are about.

    Attributes:
        name: unique among the topics of a guard.
        description: what is said about it.
        examples: what people say then.
    """

    name: str
    description: str
    examples: tuple[str, ...] = ()


class TopicConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of the guard of topics.

    Attributes:
        deny: topics, as `{name, description, examples}`, that are denied.
        allow: topics; if there are any, everything else is denied.
        threshold: how likely, 0..1, a conversation must be about a topic.
        window: how many turns of the user are read together.
        message: what the client is told.
    """

    deny: tuple[Topic, ...] = ()
    allow: tuple[Topic, ...] = ()
    threshold: float = THRESHOLD
    window: int = WINDOW
    message: str = MESSAGE


class Compiled(Struct, frozen=True, kw_only=True):
    """What the graph keeps of it."""

    topics: Chosen
    denied: tuple[str, ...]
    allowed: tuple[str, ...]
    message: str


class TopicGuard(Guard):
    """Denies by what a conversation is about."""

    kind = "guard.topic"
    config = TopicConfig
    compiled: ClassVar[type[Struct] | None] = Compiled
    waits = True
    sides: ClassVar[tuple[Side, ...]] = ("input", "output")

    @classmethod
    def compile(cls, config: TopicConfig, ctx: CompileContext) -> Compiled:
        topics = (*config.deny, *config.allow)
        if not topics:
            ctx.error(
                "no-topics", "the topic guard has no topics", fix="describe some under `deny` or `allow`"
            )
        names = [*(topic.name for topic in topics), ELSE.name]
        for name in sorted({name for name in names if names.count(name) > 1}):
            ctx.error("same-topic", f"two topics are called '{name}'", fix="give each a name of its own")
        if not config.message.strip():
            ctx.error("empty-message", "a client that is denied is told nothing", "message", fix="say why")
        ctx.options = (
            *(Option(name=one.name, description=one.description, examples=one.examples) for one in topics),
            ELSE,
        )
        chooser = ChooserConfig(threshold=config.threshold, window=config.window)
        return Compiled(
            topics=compile_options(chooser, ctx),
            denied=tuple(topic.name for topic in config.deny),
            allowed=tuple(topic.name for topic in config.allow),
            message=OF_ANSWERS if ctx.side == "output" and config.message == MESSAGE else config.message,
        )

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self._chooser: Chooser

    @classmethod
    async def open(cls, compiled: Any, ctx: RunContext) -> Self:
        guard = cls(compiled, ctx)
        guard._chooser = await Chooser.open(compiled.topics, ctx)
        return guard

    async def close(self) -> None:
        self._chooser.close()

    async def check(self, conversation: Conversation) -> Verdict:
        messages = conversation.messages
        turns = [(at, _asked(message)) for at, message in enumerate(messages) if message.role == "user"]
        turns = [(at, text) for at, text in turns if text]
        for number, (at, text) in enumerate(reversed(turns[-MOST_TURNS:])):
            newest = Message(role="user", parts=(TextPart(text),))
            until = structs.replace(conversation, messages=(*messages[:at], newest))
            choice = await self._chooser.choose(until)
            if choice.option in self.settings.denied:
                return self._denied(choice.confidence)
            allowed = self.settings.allowed
            if number == 0 and allowed and choice.option not in allowed:
                return self._denied(0.0)
        return ALLOW

    def screens(self, asked: Callable[[], Conversation]) -> Screens:
        return lambda channel: Whole(self._judge) if channel == "text" else None

    async def _judge(self, text: str) -> Verdict:
        fits = not self.settings.allowed
        for piece in windows(text):
            turn = Message(role="user", parts=(TextPart(piece),))
            choice = await self._chooser.choose(Conversation(messages=(turn,)))
            if choice.option in self.settings.denied:
                return self._denied(choice.confidence)
            fits = fits or choice.option in self.settings.allowed
        return ALLOW if fits or not text.strip() else self._denied(0.0)

    def _denied(self, score: float) -> Verdict:
        return Verdict(allow=False, message=self.settings.message, score=score)


def _asked(message: Message) -> str:
    """What the user says in a message; what a document says, where that is all; empty if only tools answer."""
    return (
        message.own_text.strip() or next((text for who, text in said(message) if who == "user"), "").strip()
    )
