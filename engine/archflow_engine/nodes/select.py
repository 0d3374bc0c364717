"""Lets a router choose the agent by what the conversation is about; or a matcher, which may choose several.

Several answer one after the other: what one says becomes a turn of the assistant before the newest turn of the user,
so that the next one knows it, and only the last one's answer goes to the client. Each passes its own filters. A prompt
target or a model may stand in the place of an agent; these come last, several prompt targets as calls of one prompt.

Rule: a router that fails, or takes too long, has chosen nobody; the record, the reply and the metrics say so.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from msgspec import structs

from archflow_engine.nodes.agent import AgentNode
from archflow_engine.nodes.decide import decided
from archflow_engine.nodes.filter import FilterNode
from archflow_engine.nodes.frame import FrameNode
from archflow_engine.nodes.match import named
from archflow_engine.nodes.resume import ResumeNode
from archflow_engine.nodes.rewrite import rewritten
from archflow_engine.prompts.prompt import of
from archflow_engine.walk import Runner
from archflow_plugins.kinds import Choice
from archflow_schema.conversation import Conversation, Message, TextPart, ToolResultPart
from archflow_schema.errors import ClientProtocolError, UpstreamError
from archflow_schema.graph import Select

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange


MOST = 8
"""Agents that answer one request, at most."""


class SelectNode(Runner):
    """Asks a router or a matcher kind."""

    waits = True

    def __init__(self, node: Select, choose: Callable[[Conversation], Awaitable[Choice]]) -> None:
        super().__init__(node.name)
        self._choose = choose
        self._known = frozenset(node.agents)
        self._targets = frozenset(node.targets)
        self._agents = self._known - self._targets - frozenset(node.models)
        self._timeout = node.timeout or math.inf

    async def run_waiting(self, exchange: Exchange) -> Runner | None:
        decision, choice = await decided(exchange, self.name, self._choose, self._timeout)
        wanted = dict.fromkeys((choice.option, *choice.also)) if choice is not None else ()
        several = [name for name in wanted if name in self._known][:MOST]
        chosen = several[0] if several else ""
        if choice is not None:
            decision.option = chosen
            decision.runner_up = next((name for name, _ in choice.scores if name != chosen), "")
        exchange.reply_headers += [
            (b"x-arch-decision-id", decision.id.encode("ascii")),
            (b"x-arch-route-reason", decision.reason.encode("ascii", "backslashreplace")),
        ]
        if choice is None:
            return self.edges["failed"]
        last = next((name for name in several if name not in self._agents), several[-1] if several else "")
        for agent in several:
            if agent in self._agents and agent != last:
                over = await self._hear(exchange, agent)
                if over is not None:
                    return over
        if last in self._targets:
            of(exchange).targets = tuple(name for name in several if name in self._targets)
            named(exchange, last)
        return self.edges[f"agent:{last}" if last else "none"]

    async def _hear(self, exchange: Exchange, agent: str) -> Runner | None:
        """Let an agent answer whose answer others go on from; the next runner if it ends here, else None."""
        head = exchange.head
        assert head is not None  # noqa: S101 - set by begin()
        runner = self.edges[f"agent:{agent}"]
        while isinstance(runner, FilterNode | ResumeNode | FrameNode):
            runner = await runner.run_waiting(exchange)
        if not isinstance(runner, AgentNode):
            return runner  # a filter refused
        try:
            said = await runner.ask(exchange)
            exchange.back(head)
            exchange.instead(rewritten(exchange, _told(exchange.conversation, agent, said)))
        except (UpstreamError, ClientProtocolError) as error:
            exchange.error = str(error)
            return runner.edges["failed"]
        return None


def _told(conversation: Conversation, agent: str, said: str) -> Conversation:
    """The conversation with an agent's answer before the newest turn of the user.

    A turn in which tools answer, too, stays behind their calls.
    """
    messages = conversation.messages
    turns = (at for at, one in enumerate(messages) if one.role == "user" and not _answers(one))
    at = max(turns, default=len(messages))
    answer = Message(role="assistant", parts=(TextPart(said),), name=agent)
    return structs.replace(conversation, messages=(*messages[:at], answer, *messages[at:]))


def _answers(message: Message) -> bool:
    """Whether tools answer in a message."""
    return any(isinstance(part, ToolResultPart) for part in message.parts)
