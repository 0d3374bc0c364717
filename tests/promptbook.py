"""Plays of prompts: a configuration with prompt targets, compiled as archc does, before APIs that a test answers for.

    async with prompts(WEATHER) as play:
        play.matches("weather", city="Bergen")
        reply = await play.ask("how is the weather in Bergen?")

What is matched and filled is what the test says; everything else is real.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec import Raw

from archflow_compiler.driver import compile_bytes
from archflow_plugins.kinds import Choice
from archflow_schema.conversation import Conversation
from archflow_schema.graph import Graph
from archflow_schema.slots import Filled, FilledCall, Question
from peers import CHAT, Client, Reply, Upstream
from playbook import ADDRESS, TRACER, Play, playing, registry

WEATHER: dict[str, Any] = {
    "name": "weather",
    "description": "tells the weather",
    "endpoint": {"name": "api", "path": "/weather/{city}"},
    "parameters": [
        {"name": "city", "description": "where", "type": "str", "required": True},
        {"name": "days", "description": "how many", "type": "int"},
        {"name": "units", "description": "of temperature", "type": "str", "default": "metric"},
    ],
}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-x",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "It rains"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
}
"""What the model says."""


def call(target: str, **values: object) -> FilledCall:
    """A filled call."""
    return FilledCall(
        target, tuple((name, Raw(msgspec.json.encode(value))) for name, value in values.items())
    )


def text(content: str, role: str = "user") -> dict[str, Any]:
    """A message."""
    return {"role": role, "content": content}


class Prompts:
    """A play with one client, a model and APIs.

    Attributes:
        play: the play underneath.
        model: the model's upstream.
        apis: the upstreams of the endpoints, as `api`, `api2` ...
        seen: the conversations that the matcher saw.
        filled: what the slot filler was asked for: the conversation, and the targets.
    """

    def __init__(self, play: Play, client: Client) -> None:
        self.play = play
        self.client = client
        self.model = play.upstreams[0]
        self.apis = play.upstreams[1:]
        self.seen: list[Conversation] = []
        self.filled: list[tuple[Conversation, tuple[str, ...]]] = []

    @property
    def api(self) -> Upstream:
        """The first API."""
        return self.apis[0]

    def matches(self, *targets: str, calls: Filled | Question | None = None, **values: object) -> None:
        """From now on prompts match these targets; the first is filled with these values."""
        target = targets[0] if targets else ""
        found = Filled((call(target, **values),)) if calls is None else calls

        def match(conversation: Conversation) -> Choice:
            self.seen.append(conversation)
            return Choice(option=target, also=targets[1:], reason="ranked", confidence=0.9)

        async def fill(conversation: Conversation, wanted: tuple[str, ...]) -> Filled | Question:
            self.filled.append((conversation, wanted))
            return found

        self.play.scene.match = match
        self.play.scene.fill = fill

    async def send(
        self,
        content: str | list[dict[str, Any]],
        *,
        headers: tuple[str, ...] = (),
        path: str = CHAT,
        **more: Any,
    ) -> None:
        """Send a prompt: the user's words, or whole messages."""
        messages = [text(content)] if isinstance(content, str) else content
        await self.client.ask({"model": "none", "messages": messages, **more}, headers=headers, path=path)

    async def reply(self) -> Reply:
        """The reply to what was sent."""
        return await self.client.reply()

    async def ask(self, content: str | list[dict[str, Any]], **more: Any) -> Reply:
        """Send a prompt and read its reply, which nobody else has to answer for."""
        await self.send(content, **more)
        return await self.reply()

    async def answered(self, body: bytes | dict[str, Any] = b"{}", **more: Any) -> Any:
        """The API gets a request and answers it; the request."""
        asked = await self.api.asked()
        await asked.reply(body, **more)
        return asked

    async def settled_api(self, served: set[int]) -> None:
        """Whichever API gets a request answers it; its number goes into `served`."""
        await self.play.settled(lambda: any(api.unanswered for api in self.apis))
        number = next(number for number, api in enumerate(self.apis) if api.unanswered)
        served.add(number)
        await (await self.apis[number].asked()).reply(b"rain")

    async def told(self) -> Any:
        """The model gets a request and says that it rains; the request's body."""
        asked = await self.model.asked()
        await asked.reply(ANSWER)
        return asked.json


def graph(upstreams: list[Upstream], *targets: dict[str, Any], **more: Any) -> Graph:
    """The graph of a configuration with prompt targets; `more` are keys of the configuration."""
    registry()
    model, *apis = upstreams
    prompting = {"matcher": {"kind": "play"}, "slot_filler": {"kind": "play"}, **more.pop("prompting", {})}
    provider = {"model": "openai/m", "base_url": model.url, "access_key": "$UPSTREAM_KEY", "default": True}
    endpoints = {
        f"api{number or ''}": {"endpoint": one.url.partition("//")[2]} for number, one in enumerate(apis)
    }
    configuration = {
        "version": "v0.4.0",
        "plugins": {"play": "*"},
        "listeners": [{"name": f"egress-{ADDRESS}", "type": "prompt", "address": ADDRESS, "port": 10000}],
        "model_providers": [{**provider, **more.pop("provider", {})}],
        "endpoints": {**endpoints, **more.pop("endpoints", {})},
        "prompt_targets": list(targets),
        "prompting": prompting,
        **more,
    }
    outcome = compile_bytes("arch_config.yaml", msgspec.json.encode(configuration))
    assert outcome.graph is not None, [(one.code, one.summary) for one in outcome.report]
    listeners = tuple(msgspec.structs.replace(one, port=0) for one in outcome.graph.listeners)
    requires = {one.entry_point: one for one in registry().requires({TRACER.kind})}
    requires |= {one.entry_point: one for one in outcome.graph.requires}
    return msgspec.structs.replace(
        outcome.graph, listeners=listeners, tracers=(TRACER,), requires=tuple(requires.values())
    )


@asynccontextmanager
async def prompts(*targets: dict[str, Any], apis: int = 1, **more: Any) -> AsyncIterator[Prompts]:
    """Run a gateway with these prompt targets, before a model and so many APIs."""
    async with playing(*(Upstream() for _ in range(apis + 1))) as play:
        await play.swap(graph(play.upstreams, *targets, **more))
        yield Prompts(play, await play.client())
