"""The built-in guards at work in a gateway."""

from __future__ import annotations

import pytest
from msgspec import json

from archflow_plugins.contexts import encode_compiled
from archflow_plugins.guards.external import HttpConfig, HttpGuard
from archflow_plugins.guards.pii import PiiConfig
from archflow_plugins.guards.regex import RegexConfig
from archflow_plugins.testing import compile_context
from archflow_schema.graph import Use
from peers import Upstream, reply
from playbook import WORDS, playing

pytestmark = pytest.mark.trio


async def test_a_pattern_in_an_earlier_turn_denies() -> None:
    use = Use("guard.regex", encode_compiled(RegexConfig(deny=(r"key\s*=",), message="no keys, please")))
    async with playing(guards=(use,)) as play:
        play.upstream.script = lambda _: reply()
        client = await play.client()
        assert (await client.talks(WORDS)).status == 200
        turns = [
            {"role": "user", "content": "my KEY = 1"},
            {"role": "assistant", "content": "thanks"},
            {"role": "user", "content": "what now?"},
        ]
        answer = await client.talks({"model": "m", "messages": turns})
        assert (answer.status, answer.message) == (400, "no keys, please")
        assert answer.header("x-arch-guard") == '"number 0";score=1.000'
        assert len(play.upstream.connections) == 1


async def test_personal_data_is_denied_in_the_assistants_place_and_never_told() -> None:
    use = Use("guard.pii", encode_compiled(PiiConfig()))
    async with playing(guards=(use,), denied="denied-in-words") as play:
        asked = {
            "model": "m",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "pay 4111111111111111"}],
        }
        answer = await (await play.client()).talks(asked, path="/v1/messages")
        assert answer.status == 200
        text = answer.json["content"][0]["text"]
        assert text == "This request was denied: it holds a card number."
        record = await play.record()
        assert (record.guards, record.denied_by) == ([("guard-0", "deny")], "number 0")
        assert "4111" not in f"{record}{play.log}"
        assert play.upstream.connections == []


async def test_a_service_judges_and_fails_as_the_graph_says() -> None:
    model, judge = Upstream(), Upstream()
    async with playing(model, judge, models={"m": 0, "other": 1}) as play:
        model.script = lambda _: reply()
        config = HttpGuard.compile(HttpConfig(url=f"{judge.url}/judge?a=1"), compile_context())
        use = Use("guard.http", encode_compiled(config))
        await play.swap(guards=(use,))
        client = await play.client()

        judge.script = lambda _: reply({"ok": True})
        assert (await client.talks(WORDS)).status == 200
        asked = judge.requests[0]
        assert (asked.method, asked.target) == ("POST", "/judge?a=1")
        assert json.decode(asked.body)["messages"] == WORDS["messages"]
        assert [one.provider for one in (await play.record()).attempts] == ["service", "openai"]

        judge.script = lambda _: reply({"detail": "off topic"}, status=422)
        answer = await client.talks(WORDS)
        assert (answer.status, answer.message) == (400, "off topic")
        assert (await play.record()).denied_by == "number 0"

        judge.script = lambda _: reply({"detail": "broken"}, status=500)
        assert (await client.talks(WORDS)).status == 503
        assert (await play.record()).guards == [("guard-0", "failed")]

        await play.swap(guards=(use,), fail="open")
        assert (await client.talks(WORDS)).status == 200
        assert (await play.record()).guards == [("guard-0", "failed")]
        play.outages = 2
