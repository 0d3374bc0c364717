"""Mistral's form of chat completions, for requests that were translated."""

import re

import pytest
from msgspec import json

from archflow_plugins.kinds import ProviderConfig
from archflow_plugins.providers.mistral import BETWEEN, Mistral, call_id
from archflow_plugins.testing import compile_context, run_context

CLAUDES = "toolu_01A09q90qw90lq917835lq9"
CALL = {"type": "function", "function": {"name": "f", "arguments": "{}"}}


def live(**fields):
    config = ProviderConfig(name="m", access_key="$KEY", **{"vendor": "mistral", **fields})
    return Mistral(Mistral.compile(config, compile_context()), run_context(environment={"KEY": "k"}))


def adapted(messages=(), dialect="openai_chat", **fields):
    return json.decode(live().adapt(dialect, json.encode({"model": "m", "messages": messages, **fields})))


def test_it_is_asked_as_others_are():
    request = live().request("openai_chat", "m", stream=True)
    assert (request.path, request.headers) == ("/v1/chat/completions", (("authorization", "Bearer k"),))
    assert live().dialects(live().settings) == ("openai_chat", "openai_embeddings")


def test_fields_that_it_calls_otherwise_or_refuses():
    found = adapted(stream=True, stream_options={"include_usage": True}, seed=7, max_tokens=9)
    assert found == {"model": "m", "messages": [], "stream": True, "random_seed": 7, "max_tokens": 9}


@pytest.mark.parametrize("identity", [CLAUDES, "call_1", "", "abc-12345", "abc1234567", "\ud800"])
def test_ids_of_other_vendors_become_nine_letters_and_digits(identity):
    assert re.fullmatch(r"[a-zA-Z0-9]{9}", call_id(identity))
    assert call_id(identity) == call_id(identity)
    assert call_id(identity) != call_id(identity + "x")


def test_its_own_ids_stay():
    assert call_id("D681PevKs") == "D681PevKs"


def test_calls_and_their_answers_keep_their_ids_in_common():
    found = adapted(
        [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "tool_calls": [{"id": CLAUDES, **CALL}]},
            {"role": "tool", "tool_call_id": CLAUDES, "content": "sunny"},
        ]
    )["messages"]
    assert found[1]["tool_calls"] == [{"id": call_id(CLAUDES), **CALL}]
    assert found[2] == {"role": "tool", "tool_call_id": call_id(CLAUDES), "content": "sunny"}


def test_the_assistant_speaks_between_a_tool_and_the_user():
    answer = {"role": "tool", "tool_call_id": "D681PevKs", "content": "sunny"}
    said = {"role": "user", "content": "and now?"}
    found = adapted([answer, answer, said, said])["messages"]
    assert found == [answer, answer, {"role": "assistant", "content": BETWEEN}, said, said]


def test_an_earlier_refusal_is_text():
    said = [{"role": "assistant", "content": None, "refusal": "no"}, {"role": "user", "content": "why?"}]
    assert adapted(said)["messages"] == [{"role": "assistant", "content": "no"}, said[1]]
    both = {"role": "assistant", "content": "well", "refusal": "no"}
    assert adapted([both])["messages"] == [{"role": "assistant", "content": "well\nno"}]
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    listed = {"role": "assistant", "content": [thought], "refusal": "no"}
    assert adapted([listed])["messages"][0]["content"] == [thought, {"type": "text", "text": "no"}]


def test_other_dialects_are_left_alone():
    assert adapted([{"role": "tool", "tool_call_id": "x"}], dialect="openai_embeddings", seed=1)["seed"] == 1
