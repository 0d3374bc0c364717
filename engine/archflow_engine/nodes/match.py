"""Finds the prompt target that a conversation asks for, after putting back what earlier turns called.

Rule: a matcher that fails, or takes too long, has matched nothing; the record says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archflow_engine.nodes.decide import decided
from archflow_engine.prompts.prompt import readable
from archflow_engine.walk import Runner
from archflow_plugins.kinds import Matcher

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange
    from archflow_engine.prompts.resuming import Resuming

EMPTY = "No content in the last user prompt"
TARGET = b"x-arch-prompt-target"
"""The reply header that names the target that the prompt is for."""


class MatchNode(Runner):
    """Asks a matcher kind."""

    waits = True

    def __init__(self, name: str, matcher: Matcher, resuming: Resuming, timeout: float) -> None:
        super().__init__(name)
        self._matcher = matcher
        self._resuming = resuming
        self._timeout = timeout

    async def run_waiting(self, exchange: Exchange) -> Runner | None:
        if not readable(exchange):
            return self.edges["pass"]
        prompt = await self._resuming.prompt(exchange)
        conversation = exchange.conversation
        if not conversation.newest_is_users:
            return self.edges["pass"]
        if not conversation.last_user_text.strip():
            prompt.status, exchange.error = 500, EMPTY
            return self.edges["empty"]
        decision, choice = await decided(exchange, self.name, self._matcher.match, self._timeout)
        if choice is None:
            return self.edges["failed"]
        decision.runner_up = next((name for name, _ in choice.scores if name != choice.option), "")
        if not choice.option:
            return self.edges["miss"]
        following = self.edges.get(f"target:{choice.option}")
        if following is None:
            decision.reason = "failed"
            error = ValueError(f"{self._matcher.kind} chose '{choice.option}', which is no prompt target")
            exchange.plan.hub.trouble(error)
            return self.edges["failed"]
        decision.option = choice.option
        prompt.targets = tuple(dict.fromkeys((choice.option, *choice.also)))
        named(exchange, choice.option)
        return following


def named(exchange: Exchange, target: str) -> None:
    """Name the target in the reply's header, in the place of another that was named before."""
    kept = [line for line in exchange.reply_headers if line[0] != TARGET]
    exchange.reply_headers[:] = [*kept, (TARGET, target.encode("ascii", "backslashreplace"))]
