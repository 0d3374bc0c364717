"""Conversations that the gateway keeps: the official client goes on from them at any worker, and after a restart."""

from __future__ import annotations

from pathlib import Path

import openai
import pytest

from process.harness import PATIENCE, Gateway, compiled, free_port, model_config
from process.upstream import ScriptedUpstream

pytestmark = pytest.mark.process
MODEL = "deepseek/talker"
"""Of a vendor that speaks chat only."""


def keeping(folder: Path, upstream: ScriptedUpstream, *options: str, storage: str = "") -> Gateway:
    port = free_port()
    config = folder / "arch_config.yaml"
    config.write_text(model_config(port, upstream.port, models=MODEL, extra=storage))
    return Gateway(compiled(config), port, *options)


def in_a_file(folder: Path) -> str:
    return f"state_storage: {{type: sqlite, path: {folder / 'state.db'}}}\n"


def client(gateway: Gateway) -> openai.OpenAI:
    """A client with a connection of its own."""
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="k", max_retries=0, timeout=PATIENCE)


def turns(upstream: ScriptedUpstream) -> list[tuple[str, str]]:
    """Who said what, as the upstream was told last."""
    return [(message["role"], message["content"]) for message in upstream.last.json["messages"]]


def test_a_conversation_goes_on_at_any_worker_and_after_a_restart(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    said: list[tuple[str, str]] = []
    previous: str | None = None
    gateway = keeping(tmp_path, upstream, "--workers", "2", storage=in_a_file(tmp_path))
    with gateway:
        for number in range(12):
            text = f"turn {number}"
            with client(gateway) as one:
                if number % 2:
                    reply = one.responses.create(model=MODEL, input=text, previous_response_id=previous)
                else:
                    with one.responses.stream(
                        model=MODEL, input=text, previous_response_id=previous or openai.omit
                    ) as stream:
                        reply = stream.get_final_response()
            said.append(("user", text))
            assert turns(upstream) == said
            assert reply.output_text == f"talker heard: {text}"
            said.append(("assistant", reply.output_text))
            previous = reply.id
    gateway = Gateway(tmp_path / "graph.bin", gateway.port)
    with gateway, client(gateway) as one:
        assert previous is not None
        reply = one.responses.create(model=MODEL, input="still there?", previous_response_id=previous)
        assert turns(upstream) == [*said, ("user", "still there?")]
        told = one.responses.retrieve(reply.id)
        assert told.output_text == reply.output_text
        assert told.previous_response_id == previous
        (item,) = one.responses.input_items.list(reply.id)
        assert item.to_dict()["content"] == [{"type": "input_text", "text": "still there?"}]
        one.responses.delete(reply.id)
        with pytest.raises(openai.NotFoundError):
            one.responses.retrieve(reply.id)
        asked = len(upstream.received)
        with pytest.raises(openai.NotFoundError) as unknown:
            one.responses.create(model=MODEL, input="hi", previous_response_id=reply.id)
        assert (unknown.value.code, unknown.value.param) == (
            "previous_response_not_found",
            "previous_response_id",
        )
        assert len(upstream.received) == asked


def test_memory_is_enough_for_one_worker_and_several_are_warned_of(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    with keeping(tmp_path, upstream) as gateway, client(gateway) as one:
        first = one.responses.create(model=MODEL, input="one")
        one.responses.create(model=MODEL, input="two", previous_response_id=first.id)
        assert [text for _, text in turns(upstream)] == ["one", "talker heard: one", "two"]
        kept_not = one.responses.create(model=MODEL, input="one", store=False)
        with pytest.raises(openai.NotFoundError):
            one.responses.retrieve(kept_not.id)
    with Gateway(tmp_path / "graph.bin", gateway.port, "--workers", "2") as gateway:
        gateway.said("state_per_worker")
