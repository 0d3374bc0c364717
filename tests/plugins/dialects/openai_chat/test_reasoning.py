"""Thoughts in the five places that vendors have for them: read, proved, and put back."""

import pytest
from msgspec import Raw, json

from archflow_plugins.dialects.openai_chat import reasoning
from archflow_plugins.dialects.sealed import Proof, unwrap, wrap
from archflow_schema.conversation import ReasoningPart


@pytest.mark.parametrize(
    ("place", "item"),
    [
        (
            "reasoning_details",
            {"type": "reasoning.text", "text": "t", "signature": "s", "format": "f", "index": 1},
        ),
        ("reasoning_details", {"type": "reasoning.text", "text": "t", "index": 0}),
        ("reasoning_details", {"type": "reasoning.summary", "summary": "t", "id": "i"}),
        ("reasoning_details", {"type": "reasoning.encrypted", "data": "d", "id": "i"}),
        ("thinking_blocks", {"type": "thinking", "thinking": "t", "signature": "s"}),
        ("thinking_blocks", {"type": "redacted_thinking", "data": "d"}),
        ("content", {"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}),
    ],
)
def test_an_item_comes_back_as_it_was(place, item):
    (thought,) = reasoning.thoughts(Raw(json.encode([item])))
    part = reasoning.part_of(thought)
    assert part.origin == "openai_chat"
    assert part.summary == (item["type"] == "reasoning.summary")
    assert reasoning.item_of(part) == (place, item)


@pytest.mark.parametrize(
    "part",
    [
        ReasoningPart(text="t", signature="s", id="i", origin="anthropic_messages"),
        ReasoningPart(sealed="d", id="i", origin="anthropic_messages"),
        ReasoningPart(text="short", sealed="d", id="i", summary=True, origin="openai_responses"),
    ],
)
def test_what_another_provider_proved_comes_back_as_it_was(part):
    item = reasoning.foreign_item(part, 3)
    assert item["index"] == 3
    (thought,) = reasoning.thoughts(Raw(json.encode([item])))
    assert reasoning.part_of(thought) == part


def test_what_is_not_proved_is_not_brought_back():
    assert reasoning.foreign_item(ReasoningPart(text="t", origin="anthropic_messages"), 0) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"null",
        b"3",
        b'"x"',
        b"[3]",
        b"[{}]",
        b'[{"type":3}]',
        b'[{"type":"odd"}]',
        b'[{"type":"reasoning.encrypted"}]',
        b'[{"type":"redacted_thinking","data":{}}]',
    ],
)
def test_what_is_not_understood_is_left_alone(raw):
    assert reasoning.thoughts(Raw(raw)) == []


def test_texts_of_odd_types_are_empty():
    found = reasoning.thoughts(
        Raw(b'[{"type":"thinking","thinking":[3,{"text":4}]},{"type":"reasoning.text","text":5}]')
    )
    assert [thought.text for thought in found] == ["", ""]


def test_a_signature_in_a_call():
    assert reasoning.signature_of(None) == ("", "")
    assert reasoning.signature_of("s") == ("openai_chat", "s")
    carried = reasoning.carried("s", "gemini")
    assert unwrap(carried) == ("gemini", Proof(signature="s"))
    assert reasoning.signature_of(wrap("gemini", Proof(signature="s"))) == ("gemini", "s")
    assert reasoning.carried("s", "openai_chat") == "s"
