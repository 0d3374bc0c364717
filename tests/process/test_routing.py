"""Preferences in words before the router that ships: what archrun does is what `archc explain` says it will.

Two scripted upstreams stand for two vendors; the official client asks and reads the headers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest

from process.harness import KEY, PATIENCE, Gateway, archc, compiled, eventually, free_port
from process.upstream import Answer, ScriptedUpstream

pytestmark = pytest.mark.process
CODE, STORY, ELSE = "openai/gpt-4.1", "mistral/large", "openai/gpt-4o-mini"
FUNCTION = "write a function in Rust"
DRAGON = "tell me a story about a dragon"
CAPITAL = "what is the capital of France?"


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


CASES: dict[str, tuple[str, list[dict[str, str]], str, str]] = {
    "a coding question": ("none", [user(FUNCTION)], CODE, "ranked"),
    "a story": ("none", [user(DRAGON)], STORY, "ranked"),
    "a drift": ("none", [user(FUNCTION), assistant("fn f() {}"), user(f"now {DRAGON}")], STORY, "ranked"),
    "thanks": ("none", [user(FUNCTION), assistant("fn f() {}"), user("thanks!")], CODE, "ranked"),
    "neither": ("auto", [user(CAPITAL)], ELSE, "unclear"),
    "an explicit model": ("large", [user(FUNCTION)], STORY, ""),
    "a long message": ("none", [user(f"{FUNCTION}: " + "x = x + 1; " * 20_000)], CODE, "ranked"),
}
"""The model that is named, the conversation, the model that answers, and why."""


class Side:
    """A gateway between two upstreams."""

    def __init__(
        self,
        folder: Path,
        first: ScriptedUpstream,
        second: ScriptedUpstream,
        *,
        routing: str = "",
        router: int = 0,
    ) -> None:
        """Args: `router` is the port of the router's model, if one decides."""
        self.upstreams = {CODE: first, ELSE: first, STORY: second}
        self.port = free_port()
        if router:
            routing += "routing: {model: openai/decider}\n"
        decider = (
            f"""
  - {{model: openai/decider, access_key: $TEST_KEY, base_url: "http://127.0.0.1:{router}"}}"""
            if router
            else ""
        )
        self.config = folder / "arch_config.yaml"
        self.config.write_text(f"""
version: v0.1.0
listeners: [{{name: egress, type: model, address: 127.0.0.1, port: {self.port}}}]
model_providers:
  - {{model: {ELSE}, access_key: $TEST_KEY, base_url: "http://127.0.0.1:{first.port}", default: true}}
  - model: {CODE}
    access_key: $TEST_KEY
    base_url: http://127.0.0.1:{first.port}
    routing_preferences:
      - name: code generation
        description: generating new code snippets, functions, or boilerplate based on user prompts or requirements
  - model: {STORY}
    access_key: $TEST_KEY
    base_url: http://127.0.0.1:{second.port}
    routing_preferences:
      - {{name: story writing, description: "writing stories, poems and other fiction"}}{decider}
{routing}
""")
        self.gateway = Gateway(compiled(self.config), self.port)

    def ask(self, model: str, messages: Any, **headers: str) -> Any:
        """The reply with its headers."""
        with openai.OpenAI(
            base_url=f"{self.gateway.url}/v1", api_key="k", max_retries=0, timeout=PATIENCE
        ) as client:
            return client.chat.completions.with_raw_response.create(
                model=model, messages=messages, extra_headers=headers
            )


@pytest.fixture
def both() -> Iterator[tuple[ScriptedUpstream, ScriptedUpstream]]:
    with ScriptedUpstream() as first, ScriptedUpstream() as second:
        yield first, second


def test_what_is_done_is_what_explain_says(
    tmp_path: Path, both: tuple[ScriptedUpstream, ScriptedUpstream], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "TEST_KEY", KEY)
    side = Side(tmp_path, *both)
    with side.gateway:
        for name, (model, messages, answers, reason) in CASES.items():
            raw = side.ask(model, messages)
            heard = side.upstreams[answers].last.json
            assert heard["model"] == answers.partition("/")[2], name
            assert raw.headers.get("x-arch-route-reason", "") == reason, name
            body = tmp_path / "body.json"
            body.write_bytes(msgspec.json.encode({"model": model, "messages": messages}))
            done = archc("--format", "json", "explain", side.config, "--messages", body)
            told = msgspec.json.decode(done.stdout)
            assert told["model"] == answers, (name, done.stderr)
            decided = [step["decision"] for step in told["steps"] if step.get("decision")]
            assert [one["option"] for one in decided] == (
                [raw.headers.get("x-arch-route", "")] if reason else []
            ), name
            if reason:
                assert raw.headers["x-arch-decision-id"], name


@pytest.mark.parametrize("answers", [False, True], ids=["nobody", "a stranger"])
def test_a_router_model_that_is_missing_costs_a_preference_and_nothing_else(
    tmp_path: Path, both: tuple[ScriptedUpstream, ScriptedUpstream], answers: bool
) -> None:
    with ScriptedUpstream() as stranger:
        stranger.script = lambda _: Answer(404, b'{"error": {"message": "there is no decider"}}')
        side = Side(tmp_path, *both, router=stranger.port if answers else free_port())
        with side.gateway as gateway:
            raw = side.ask("none", [user(FUNCTION)])
            assert (raw.headers["x-arch-model"], raw.headers["x-arch-route-reason"]) == (ELSE, "failed")
            heard = side.upstreams[ELSE].last
            assert heard.json["model"] == "gpt-4o-mini"
            gateway.said("service_failed")
            lines = [msgspec.json.decode(one) for one in gateway.stderr.splitlines() if "_failed" in one]
            assert [(one["event"], one["level"]) for one in lines] == [("service_failed", "warning")]
            assert lines[0]["request_id"] == heard.headers["x-request-id"]
            assert lines[0]["detail"]
            said = 'archflow_router_decisions_total{route="",reason="failed"} 1'
            eventually(lambda: said in gateway.ask_admin("/metrics").text, "the decision is counted")
            metrics = gateway.ask_admin("/metrics").text
            assert "archflow_service_failures_total 1" in metrics
            assert "archflow_internal_errors_total 1" not in metrics
            assert len(stranger.received) == int(answers)


def test_a_session_stays_with_its_model_across_a_restart(
    tmp_path: Path, both: tuple[ScriptedUpstream, ScriptedUpstream]
) -> None:
    kept = f"routing: {{session_cache: {{type: sqlite, path: {tmp_path / 'sessions.db'}}}}}\n"
    side = Side(tmp_path, *both, routing=kept)
    session = {"x-model-affinity": "chat-7"}
    with side.gateway:
        assert side.ask("none", [user(DRAGON)], **session).headers["x-arch-model"] == STORY
    side.gateway = Gateway(tmp_path / "graph.bin", side.port)
    with side.gateway:
        raw = side.ask("none", [user(FUNCTION)], **session)
        assert (raw.headers["x-arch-model"], raw.headers["x-arch-route-reason"]) == (STORY, "session")
        assert side.ask("none", [user(FUNCTION)]).headers["x-arch-model"] == CODE
