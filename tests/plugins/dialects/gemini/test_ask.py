"""Conversations as Google's requests: turns, thoughts, and what each generation of models takes."""

import pytest
from google.genai import types
from msgspec import Raw, json

from archflow_plugins.dialects.gemini import Gemini
from archflow_plugins.dialects.gemini.ask import UNSIGNED
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import run_context
from archflow_plugins.translation import CannotExpress
from archflow_schema.conversation import (
    CacheMark,
    Conversation,
    DocumentPart,
    ImagePart,
    Message,
    OpaquePart,
    Output,
    Reasoning,
    ReasoningPart,
    RefusalPart,
    Sampling,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from archflow_schema.errors import ClientProtocolError

dialect = Gemini(Empty(), run_context())
HI = Message(role="user", parts=(TextPart("hi"),))
PIXEL = ImagePart("data:image/png;base64,AA==")


def encode(*messages, model="gemini-3-flash", **fields):
    encoded = dialect.encode(Conversation(messages=messages or (HI,), **fields), model)
    body = json.decode(encoded.body)
    for content in body["contents"]:
        types.Content.model_validate(content)
    types.GenerationConfig.model_validate(body.get("generationConfig", {}))
    return body, encoded.dropped


def said(role, *parts):
    return Message(role=role, parts=parts)


def test_instructions_are_gathered_and_turns_alternate():
    body, dropped = encode(
        said("system", TextPart("a")),
        said("user", TextPart("b"), TextPart("")),
        said("developer", TextPart("c")),
        said("user", TextPart("d")),
        said("assistant", RefusalPart("e")),
        said("assistant"),
    )
    assert body == {
        "systemInstruction": {"parts": [{"text": "a"}, {"text": "c"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "b"}, {"text": "d"}]},
            {"role": "model", "parts": [{"text": "e"}]},
        ],
    }
    assert dropped == ()


CALLED = said("assistant", ToolCallPart("1", "f", '{"a":1}'), ToolCallPart("2", "g", ""))
RESULTS = (
    said("tool", ToolResultPart("2", (TextPart("two"), PIXEL))),
    said("tool", ToolResultPart("1", (TextPart("one"),), is_error=True)),
)


def test_what_tools_answered_comes_first():
    body, _ = encode(HI, CALLED, said("user", TextPart("so?")), *RESULTS)
    assert body["contents"][1]["parts"] == [
        {"functionCall": {"name": "f", "args": {"a": 1}, "id": "1"}, "thoughtSignature": UNSIGNED},
        {"functionCall": {"name": "g", "args": {}, "id": "2"}},
    ]
    assert body["contents"][2] == {
        "role": "user",
        "parts": [
            {
                "functionResponse": {
                    "name": "g",
                    "response": {"output": "two"},
                    "id": "2",
                    "parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}],
                }
            },
            {"functionResponse": {"name": "f", "response": {"error": "one"}, "id": "1"}},
            {"text": "so?"},
        ],
    }


def test_before_gemini_3_pictures_follow_and_calls_need_no_signature():
    body, _ = encode(HI, CALLED, *RESULTS, model="gemini-2.5-flash")
    assert "thoughtSignature" not in body["contents"][1]["parts"][0]
    kinds = [next(iter(part)) for part in body["contents"][2]["parts"]]
    assert kinds == ["functionResponse", "functionResponse", "inlineData"]


def test_own_thoughts_go_back_and_foreign_ones_are_named():
    own = (
        ReasoningPart(text="hm", summary=True, origin="gemini"),
        TextPart("yes"),
        ReasoningPart(signature="c2ln", origin="gemini"),
        ToolCallPart("1", "f", "{}", signature="b3du", origin="gemini"),
    )
    body, dropped = encode(HI, said("assistant", *own))
    assert body["contents"][1]["parts"] == [
        {"text": "hm", "thought": True},
        {"text": "yes"},
        {"text": "", "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "f", "args": {}, "id": "1"}, "thoughtSignature": "b3du"},
    ]
    assert dropped == ()
    foreign = (
        ReasoningPart(text="hm", signature="sig", origin="anthropic_messages"),
        ToolCallPart("1", "f", "{}", signature="sig", origin="anthropic_messages"),
    )
    body, dropped = encode(HI, said("assistant", *foreign), model="gemini-2.5-pro")
    assert body["contents"][1]["parts"] == [{"functionCall": {"name": "f", "args": {}, "id": "1"}}]
    assert dropped == ("reasoning.history",)


def test_what_proves_a_call_goes_back_to_it_from_clients_whose_calls_cannot_carry_it():
    proof = ReasoningPart(signature="b3du", id="1", origin="gemini")
    calls = (ToolCallPart("1", "f", "{}"), ToolCallPart("2", "f", "{}"))
    body, dropped = encode(HI, said("assistant", proof, *calls))
    assert body["contents"][1]["parts"] == [
        {"functionCall": {"name": "f", "args": {}, "id": "1"}, "thoughtSignature": "b3du"},
        {"functionCall": {"name": "f", "args": {}, "id": "2"}},
    ]
    assert dropped == ()


def test_arguments_that_are_no_object_go_as_text():
    body, _ = encode(HI, said("assistant", ToolCallPart("1", "f", '{"a": tru')), model="gemini-2.5-pro")
    assert body["contents"][1]["parts"][0]["functionCall"]["args"] == {"arguments": '{"a": tru'}


def test_documents():
    body, dropped = encode(
        said(
            "user",
            DocumentPart(text="hä", name="notes", context="old", citations=True, cache=CacheMark()),
            DocumentPart(url="https://x.org/a.pdf"),
            DocumentPart(file_id="gs://b/a.pdf", media_type="application/pdf", origin="gemini"),
        )
    )
    assert body["contents"][0]["parts"] == [
        {"text": "notes\nold"},
        {"inlineData": {"mimeType": "text/plain", "data": "aMOk"}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://x.org/a.pdf"}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://b/a.pdf"}},
    ]
    assert dropped == ("cache", "document.citations")


def test_tools_and_choice():
    schema = Raw(b'{"type":"object","additionalProperties":false,"$defs":{}}')
    body, dropped = encode(
        tools=(Tool(name="f", description="F", parameters=schema, strict=True), Tool(name="g")),
        tool_choice=ToolChoice("auto", allowed=("g",)),
        parallel_tool_calls=False,
    )
    (tool,) = body["tools"]
    types.Tool.model_validate(tool)
    assert tool["functionDeclarations"] == [
        {"name": "f", "description": "F", "parametersJsonSchema": json.decode(schema)},
        {"name": "g"},
    ]
    assert body["toolConfig"] == {
        "functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["g"]}
    }
    types.ToolConfig.model_validate(body["toolConfig"])
    assert dropped == ("tools.strict", "parallel_tool_calls")


def test_a_choice_among_no_tools_is_none():
    assert "toolConfig" not in encode(tool_choice=ToolChoice("none"))[0]


def test_sampling_and_form():
    body, dropped = encode(
        sampling=Sampling(
            max_tokens=9, temperature=0.0, top_p=0.5, top_k=4, stop=("a",), seed=1, n=1, presence_penalty=0.1,
            frequency_penalty=0.2, logprobs=True, top_logprobs=3, logit_bias=Raw(b"{}"),
        ),
        output=Output(form="json_schema", name="x", schema=Raw(b'{"type":"object"}'), strict=True),
        service_tier="default",
        user="u",
        metadata=(("a", "b"),),
    )  # fmt: skip
    assert body["generationConfig"] == {
        "maxOutputTokens": 9, "temperature": 0.0, "topP": 0.5, "topK": 4, "stopSequences": ["a"], "seed": 1,
        "presencePenalty": 0.1, "frequencyPenalty": 0.2, "responseLogprobs": True, "logprobs": 3,
        "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
    }  # fmt: skip
    assert body["serviceTier"] == "standard"
    assert dropped == ("user", "metadata")


@pytest.mark.parametrize(
    ("model", "reasoning", "config"),
    [
        ("gemini-3-pro", Reasoning(effort="xhigh"), {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-3-pro", Reasoning(effort="minimal", hidden=True), {"thinkingLevel": "LOW"}),
        ("gemini-3-flash", Reasoning(mode="off"), {"thinkingLevel": "LOW"}),
        ("gemini-flash-latest", Reasoning(effort="none"), {"thinkingLevel": "LOW"}),
        ("gemini-2.5-flash", Reasoning(mode="off"), {"thinkingBudget": 0}),
        ("gemini-2.5-pro", Reasoning(mode="off"), {"thinkingBudget": 128}),
        ("gemini-2.5-flash", Reasoning(effort="high"), {"thinkingBudget": 16384, "includeThoughts": True}),
        (
            "gemini-2.5-flash",
            Reasoning(mode="on", budget=31999),
            {"thinkingBudget": 24576, "includeThoughts": True},
        ),
        (
            "gemini-2.5-pro",
            Reasoning(mode="on", budget=31999),
            {"thinkingBudget": 31999, "includeThoughts": True},
        ),
        (
            "gemini-3-pro",
            Reasoning(mode="on", budget=2048),
            {"thinkingBudget": 2048, "includeThoughts": True},
        ),
        ("gemini-3-pro", Reasoning(mode="adaptive"), {"thinkingBudget": -1, "includeThoughts": True}),
        (
            "gemini-3-pro",
            Reasoning(mode="adaptive", effort="medium"),
            {"thinkingLevel": "MEDIUM", "includeThoughts": True},
        ),
        ("gemini-3-pro", Reasoning(summary="detailed"), {"includeThoughts": True}),
    ],
)
def test_thinking(model, reasoning, config):
    body, dropped = encode(model=model, reasoning=reasoning)
    assert body["generationConfig"]["thinkingConfig"] == config
    assert dropped == ()


def test_a_budget_and_an_effort_cannot_both_be_said():
    body, dropped = encode(reasoning=Reasoning(mode="on", budget=2048, effort="low"))
    assert body["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 2048
    assert dropped == ("reasoning.effort",)


@pytest.mark.parametrize(
    ("conversation", "feature"),
    [
        (Conversation(messages=(HI,), tools=(Tool(name="f", custom=True),)), "tools.custom"),
        (Conversation(messages=(HI,), sampling=Sampling(logit_bias=Raw(b'{"1":2}'))), "logit_bias"),
        (Conversation(messages=(said("user", OpaquePart("odd", Raw(b"{}"))),)), "opaque"),
        (Conversation(messages=(said("user", DocumentPart(file_id="f", origin="x")),)), "document.file_id"),
    ],
)
def test_what_would_be_missed_is_refused(conversation, feature):
    with pytest.raises(CannotExpress) as refusal:
        dialect.encode(conversation, "gemini-3-pro")
    assert refusal.value.feature == feature


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ((), "holds no message"),
        ((said("system", TextPart("s")),), "holds no message"),
        ((HI, *RESULTS), "follows no such call"),
        ((said("user", ImagePart("data:image/png,raw")),), "base64"),
    ],
)
def test_what_makes_no_sense_is_said(messages, complaint):
    with pytest.raises(ClientProtocolError, match=complaint):
        dialect.encode(Conversation(messages=messages), "gemini-3-pro")


def test_googles_own_parts_stay_as_they_are():
    raw = {"executableCode": {"language": "PYTHON", "code": "1"}}
    body, _ = encode(HI, said("assistant", OpaquePart("executableCode", Raw(json.encode(raw)))))
    assert body["contents"][1]["parts"] == [raw]
