"""Plays with a router: three models behind three upstreams that answer, and a router that does what the play says."""

from __future__ import annotations

from typing import Any

import trio

from archflow_plugins import Choice, Option
from archflow_schema.conversation import Conversation
from peers import Asked, Upstream, reply
from playbook import Play, playing

MODELS = {"coder": 0, "writer": 1, "plain": 2}
ROUTES = {"code": ("coder",), "story": ("writer",)}


def said(model: str = "none", *turns: str, **more: Any) -> dict[str, Any]:
    """A chat request of users' turns."""
    messages = [{"role": "user", "content": turn} for turn in turns or ("hello",)]
    return {"model": model, "messages": messages, **more}


def chooses(play: Play, option: str, **more: Any) -> list[tuple[Conversation, tuple[Option, ...]]]:
    """Let the router always choose an option; what it is asked is in the list."""
    asked: list[tuple[Conversation, tuple[Option, ...]]] = []

    async def choose(conversation: Conversation, options: tuple[Option, ...]) -> Choice:
        await trio.lowlevel.checkpoint()
        asked.append((conversation, options))
        return Choice(option=option, reason="similar" if option else "unclear", **more)

    play.scene.choose = choose
    return asked


def answering() -> tuple[Upstream, list[Asked]]:
    """An upstream that answers everything, and what it was asked."""
    upstream, asked = Upstream(), []

    def script(one: Asked) -> bytes:
        asked.append(one)
        return reply({"id": "1"})

    upstream.script = script
    return upstream, asked


class Three:
    """Three upstreams that answer, with a router before them."""

    def __init__(self, **graph: Any) -> None:
        made = [answering() for _ in range(3)]
        self.upstreams = [upstream for upstream, _ in made]
        self.asked = [asked for _, asked in made]
        options = {"models": MODELS, "default": "plain", "routes": ROUTES, **graph}
        self.playing = playing(*self.upstreams, **options)

    async def __aenter__(self) -> Play:
        self.play = await self.playing.__aenter__()
        return self.play

    async def __aexit__(self, *error: object) -> None:
        await self.playing.__aexit__(*error)

    @property
    def counts(self) -> list[int]:
        """How often each was asked."""
        return [len(asked) for asked in self.asked]
