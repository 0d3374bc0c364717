"""Turns away conversations that are too long: a plugin for archflow, written as a stranger would write it.

It registers the kind `guard.brevity`, and adds a rule of its own to every compile: once an installation loads this
plugin, a model listener without a brevity guard is worth a warning.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from archflow_plugins import (
    ALLOW,
    CompileContext,
    Conversation,
    Diagnostic,
    Graph,
    Guard,
    Report,
    TextPart,
    ToolResultPart,
    Verdict,
    hookimpl,
)

__all__ = ["Brevity", "BrevityConfig", "archflow_graph_verified", "archflow_register_guards"]


class BrevityConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands beside `kind: brevity` in arch_config.yaml. At least one limit must be given.

    Attributes:
        max_characters: of all texts of the conversation together, tool results included; 0 means no limit.
        max_messages: how many turns a conversation may have; 0 means no limit.
        message: what the client is told; by default, what was too long.
    """

    max_characters: int = 0
    max_messages: int = 0
    message: str = ""


class Brevity(Guard):
    """Denies conversations with too many characters or too many messages."""

    kind = "guard.brevity"
    config = BrevityConfig

    @classmethod
    def compile(cls, config: BrevityConfig, ctx: CompileContext) -> BrevityConfig:
        for name in ("max_characters", "max_messages"):
            if getattr(config, name) < 0:
                ctx.error("invalid-length", f"{name} must not be negative", name, fix="use 0 for no limit")
        if not config.max_characters and not config.max_messages:
            ctx.error(
                "no-length", f"the guard {ctx.name} limits nothing", fix="set max_characters or max_messages"
            )
        return config

    def check_nowait(self, conversation: Conversation) -> Verdict:
        limits = self.settings
        count = len(conversation.messages)
        if limits.max_messages and count > limits.max_messages:
            return self._deny(f"the conversation has {count} messages, and {limits.max_messages} are allowed")
        if limits.max_characters:
            characters = sum(
                len(part.text)
                for message in conversation.messages
                for part in message.parts
                if isinstance(part, TextPart | ToolResultPart)
            )
            if characters > limits.max_characters:
                return self._deny(
                    f"the conversation has {characters} characters, and {limits.max_characters} are allowed"
                )
        return ALLOW

    def _deny(self, reason: str) -> Verdict:
        return Verdict(allow=False, message=self.settings.message or reason, score=1.0)


@hookimpl
def archflow_register_guards() -> list[type[Guard]]:
    return [Brevity]


@hookimpl
def archflow_graph_verified(graph: Graph, report: Report) -> None:
    """Warn about each way into a model listener that no brevity guard watches."""
    for listener in graph.listeners:
        for endpoint in listener.endpoints:
            if listener.type == "model" and Brevity.kind not in _guards(graph, endpoint.entry):
                report.add(
                    Diagnostic(
                        code="no-brevity-guard",
                        severity="warning",
                        summary=f"{endpoint.path} of the listener {listener.name} takes conversations of any length",
                        fix="add `- {kind: brevity, max_characters: ...}` to its guards",
                    )
                )


def _guards(graph: Graph, entry: int) -> Iterator[str]:
    """The kinds of the guards that a request passes one after the other, from where it enters."""
    index = entry
    while hasattr(node := graph.nodes[index], "use"):
        yield node.use.kind
        index = next(edge.target for edge in node.edges if edge.outcome == "allow")
