"""Google's requests to conversations: both spellings, both schema languages, calls without ids."""

import pytest
from msgspec import Raw, json

from archflow_plugins.dialects.gemini import Gemini
from archflow_plugins.dialects.gemini.signatures import pack
from archflow_plugins.dialects.sealed import Proof
from archflow_plugins.kinds import Empty, Head
from archflow_plugins.testing import run_context
from archflow_schema.conversation import (
    AudioPart,
    DocumentPart,
    ImagePart,
    Message,
    OpaquePart,
    Output,
    Reasoning,
    ReasoningPart,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from archflow_schema.errors import ClientProtocolError

dialect = Gemini(Empty(), run_context())
HI = [{"role": "user", "parts": [{"text": "hi"}]}]


def decode(**fields):
    return dialect.decode(dialect.decode_head(json.encode({"contents": HI, **fields})))


def parts(*wire, role="user"):
    (message,) = decode(contents=[{"role": role, "parts": list(wire)}]).messages
    return message.parts


def test_model_and_stream_are_the_paths():
    head = dialect.decode_head(b'{"model":"models/other","stream":true,"contents":[]}')
    assert (head.model, head.stream) == ("", False)
    named = Head("gemini-2.5-pro", True, head.fields, head.body)
    assert dialect.encode_head(named, "gemini-3-pro") is head.body
    found = dialect.decode(named)
    assert (found.model, found.stream, found.extras) == ("gemini-2.5-pro", True, ())


def test_turns_and_instructions():
    found = decode(
        systemInstruction={"parts": {"text": "be brief"}},
        contents=[
            {"parts": [{"text": "a"}, {"text": "b"}]},
            {"role": "model", "parts": [{"text": "c"}]},
            {"role": "model", "parts": [{"text": "d"}]},
            {"role": "user", "parts": []},
        ],
    )
    assert found.messages == (
        Message(role="system", parts=(TextPart("be brief"),)),
        Message(role="user", parts=(TextPart("a"), TextPart("b"))),
        Message(role="assistant", parts=(TextPart("cd"),)),
        Message(role="user", parts=()),
    )


def test_one_object_stands_for_a_list_of_one():
    found = decode(
        contents={"parts": {"text": "hi"}},
        tools={"function_declarations": {"name": "f"}},
    )
    assert found.last_user_text == "hi"
    assert found.tools == (Tool(name="f"),)


def test_media():
    found = parts(
        {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
        {"inlineData": {"mimeType": "audio/mpeg", "data": "AA=="}},
        {"inlineData": {"mimeType": "application/pdf", "data": "AA==", "displayName": "a.pdf"}},
        {"inlineData": {"mimeType": "text/plain; charset=utf-8", "data": "aMOk"}},
        {"fileData": {"fileUri": "https://x.org/a.webp?b=c"}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://x.org/a"}},
        {"fileData": {"mimeType": "image/png", "fileUri": "gs://bucket/a.png"}},
    )
    assert found == (
        ImagePart("data:image/png;base64,AA=="),
        AudioPart("AA==", "mp3"),
        DocumentPart(url="data:application/pdf;base64,AA==", media_type="application/pdf", name="a.pdf"),
        DocumentPart(text="hä", media_type="text/plain"),
        ImagePart("https://x.org/a.webp?b=c"),
        DocumentPart(url="https://x.org/a", media_type="application/pdf"),
        DocumentPart(file_id="gs://bucket/a.png", media_type="image/png", origin="gemini"),
    )


def test_the_alphabet_of_base64_that_googles_client_writes_becomes_everybodys():
    found = parts(
        {"inlineData": {"mimeType": "image/png", "data": "-_-_"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "_w"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "-A=="}},
    )
    assert found == (
        ImagePart("data:image/png;base64,+/+/"),
        AudioPart("/w==", "wav"),
        DocumentPart(url="data:application/pdf;base64,+A==", media_type="application/pdf"),
    )


@pytest.mark.parametrize(
    ("wire", "kind"),
    [
        ({"executableCode": {"language": "PYTHON", "code": "1"}}, "executableCode"),
        ({"thought": True, "codeExecutionResult": {"outcome": "OUTCOME_OK"}}, "codeExecutionResult"),
        ({"fileData": {"fileUri": "https://youtu.be/x"}, "videoMetadata": {"fps": 1}}, "fileData"),
        ({"inlineData": {"mimeType": "video/mp4", "data": "AA=="}}, "inlineData"),
        ({}, "empty"),
    ],
)
def test_what_only_google_knows_stays_as_it_came(wire, kind):
    (text, found) = parts({"text": "hi"}, wire)
    assert text == TextPart("hi")
    assert found == OpaquePart(kind, Raw(json.encode(wire)))


def test_calls_without_ids_get_some_and_answers_find_them():
    called = [{"functionCall": {"name": "f", "args": {"n": n}}} for n in (1, 2)]
    answered = [{"functionResponse": {"name": "f", "response": {"result": str(n)}}} for n in (1, 2)]
    found = decode(
        contents=[
            *HI,
            {"role": "model", "parts": [*called, {"functionCall": {"name": "g", "id": "own"}}]},
            {
                "role": "function",
                "parts": [
                    *answered,
                    {"functionResponse": {"name": "g", "id": "own", "response": {"error": "no"}}},
                ],
            },
        ]
    )
    assert found.messages[1].parts == (
        ToolCallPart("call_f_0", "f", '{"n":1}'),
        ToolCallPart("call_f_1", "f", '{"n":2}'),
        ToolCallPart("own", "g", "{}"),
    )
    assert found.messages[2].parts == (
        ToolResultPart("call_f_0", (TextPart("1"),), name="f"),
        ToolResultPart("call_f_1", (TextPart("2"),), name="f"),
        ToolResultPart("own", (TextPart("no"),), is_error=True, name="g"),
    )


@pytest.mark.parametrize(
    ("response", "text"),
    [
        ({"temperature": 20.0}, '{"temperature":20.0}'),
        ({"output": {"a": 1}}, '{"a":1}'),
        ({"result": "x", "more": 1}, '{"result":"x","more":1}'),
        ({}, ""),
        (None, ""),
    ],
)
def test_answers_become_text(response, text):
    contents = [
        {"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": response}}]},
    ]
    (result,) = decode(contents=contents).messages[1].parts
    assert result.text == text


def test_thoughts_and_signatures():
    assert parts(
        {"text": "hm", "thought": True},
        {"text": "yes", "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "f"}, "thoughtSignature": "b3du"},
        role="model",
    ) == (
        ReasoningPart(text="hm", summary=True, origin="gemini"),
        TextPart("yes"),
        ReasoningPart(signature="c2ln", origin="gemini"),
        ToolCallPart("call_f_0", "f", "{}", signature="b3du", origin="gemini"),
    )


def test_a_foreign_proof_comes_back_with_its_thought():
    proof = pack("anthropic_messages", Proof(signature="sig"))
    hidden = pack("openai_responses", Proof(sealed="enc", id="rs_1", text="secret"))
    call = pack("anthropic_messages", Proof(signature="call"))
    assert parts(
        {"text": "I ", "thought": True},
        {"text": "think", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": proof},
        {"text": "", "thought": True, "thoughtSignature": hidden},
        {"text": "so"},
        {"functionCall": {"name": "f"}, "thoughtSignature": call},
        role="model",
    ) == (
        ReasoningPart(text="I think", signature="sig", origin="anthropic_messages"),
        ReasoningPart(text="secret", sealed="enc", id="rs_1", origin="openai_responses"),
        TextPart("so"),
        ToolCallPart("call_f_0", "f", "{}", signature="call", origin="anthropic_messages"),
    )


SCHEMA = {
    "type": "OBJECT",
    "properties": {
        "type": {"type": "STRING", "nullable": True, "enum": ["A", "B"]},
        "list": {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "1"},
        "any": {"anyOf": [{"type": "NUMBER"}, {"ref": "#/$defs/x"}]},
    },
    "propertyOrdering": ["list", "type"],
    "required": ["list"],
}
JSON_SCHEMA = {
    "type": "object",
    "properties": {
        "type": {"type": ["string", "null"], "enum": ["A", "B", None]},
        "list": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
        "any": {"anyOf": [{"type": "number"}, {"$ref": "#/$defs/x"}]},
    },
    "required": ["list"],
}


def test_tools_and_schemas():
    found = decode(
        tools=[
            {
                "functionDeclarations": [
                    {"name": "f", "description": "F", "parameters": SCHEMA},
                    {"name": "g", "parametersJsonSchema": JSON_SCHEMA},
                    {"name": "h", "parameters": None},
                ]
            },
            {"googleSearch": {}},
            {"codeExecution": None},
        ],
        toolConfig={"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}},
    )
    f, g, h = found.tools
    assert json.decode(f.parameters) == JSON_SCHEMA == json.decode(g.parameters)
    assert (f.description, bytes(h.parameters)) == ("F", b"{}")
    assert found.tool_choice == ToolChoice("required", allowed=("f", "g"))
    assert found.extras == (("tools", Raw(b'[{"googleSearch":{}}]')),)


def test_a_schema_as_googles_client_spells_it():
    schema = {
        "type": "OBJECT",
        "property_ordering": ["max_length"],
        "min_properties": "1",
        "properties": {
            "max_length": {"type": "STRING", "min_length": 1, "max_length": "9"},
            "property_ordering": {"any_of": [{"type": "INTEGER"}, {"type": "ARRAY", "max_items": 3}]},
        },
    }
    (tool,) = decode(tools=[{"functionDeclarations": [{"name": "f", "parameters": schema}]}]).tools
    assert json.decode(tool.parameters) == {
        "type": "object",
        "minProperties": 1,
        "properties": {
            "max_length": {"type": "string", "minLength": 1, "maxLength": 9},
            "property_ordering": {"anyOf": [{"type": "integer"}, {"type": "array", "maxItems": 3}]},
        },
    }


@pytest.mark.parametrize(
    ("config", "choice"),
    [
        ({"mode": "AUTO"}, ToolChoice("auto")),
        ({"mode": "NONE"}, ToolChoice("none")),
        ({"mode": "any"}, ToolChoice("required")),
        ({"mode": "VALIDATED"}, ToolChoice("auto")),
        ({"mode": "ANY", "allowedFunctionNames": ["f"]}, ToolChoice("named", "f")),
        ({"mode": "MODE_UNSPECIFIED"}, None),
        ({}, None),
    ],
)
def test_tool_choice(config, choice):
    assert decode(toolConfig={"functionCallingConfig": config}).tool_choice == choice


def test_generation():
    found = decode(
        generationConfig={
            "temperature": 0.5, "topP": 0.9, "topK": 40.0, "maxOutputTokens": 9, "stopSequences": ["a"],
            "candidateCount": 2, "seed": 3, "presencePenalty": 0.1, "frequencyPenalty": 0.2,
            "responseLogprobs": True, "logprobs": 4, "speechConfig": {}, "responseModalities": ["TEXT"],
        },
        serviceTier="flex",
        safetySettings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
    )  # fmt: skip
    said = found.sampling
    assert (said.temperature, said.top_p, said.top_k, said.max_tokens, said.stop) == (0.5, 0.9, 40, 9, ("a",))
    assert (said.n, said.seed, said.presence_penalty, said.frequency_penalty) == (2, 3, 0.1, 0.2)
    assert (said.logprobs, said.top_logprobs, found.service_tier) == (True, 4, "flex")
    assert [name for name, _ in found.extras] == ["safetySettings", "speechConfig", "responseModalities"]


@pytest.mark.parametrize(
    ("config", "output"),
    [
        ({"responseMimeType": "application/json"}, Output(form="json")),
        ({"responseMimeType": "text/plain"}, Output(form="text")),
        (
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
            Output(form="json_schema", schema=Raw(b'{"type":"object"}')),
        ),
        (
            {"responseMimeType": "application/json", "responseSchema": {"type": "STRING"}},
            Output(form="json_schema", schema=Raw(b'{"type":"string"}')),
        ),
        ({}, None),
    ],
)
def test_forms_of_the_answer(config, output):
    assert decode(generationConfig=config).output == output


def test_a_form_that_nobody_else_has_is_told():
    found = decode(generationConfig={"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING"}})
    assert found.output is None
    assert [name for name, _ in found.extras] == ["responseMimeType"]


@pytest.mark.parametrize(
    ("config", "reasoning"),
    [
        ({"thinkingBudget": 0}, Reasoning(mode="off", hidden=True)),
        ({"thinkingBudget": -1, "includeThoughts": True}, Reasoning(mode="adaptive", summary="auto")),
        ({"thinkingBudget": 512, "includeThoughts": True}, Reasoning(mode="on", budget=512, summary="auto")),
        ({"thinkingLevel": "high"}, Reasoning(effort="high", hidden=True)),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, Reasoning(hidden=True)),
    ],
)
def test_thinking(config, reasoning):
    assert decode(generationConfig={"thinkingConfig": config}).reasoning == reasoning


def test_snake_case_says_the_same():
    snake = {
        "system_instruction": {"parts": [{"text": "s"}]},
        "contents": [
            {"role": "user", "parts": [{"inline_data": {"mime_type": "image/png", "data": "AA=="}}]},
            {"role": "model", "parts": [{"function_call": {"name": "f", "args": {"inline_data": 1}}}]},
            {
                "role": "user",
                "parts": [
                    {
                        "function_response": {
                            "name": "f",
                            "response": {"top_k": 1},
                            "parts": [{"inline_data": {"mime_type": "image/png", "data": "AA=="}}],
                        }
                    }
                ],
            },
        ],
        "tools": [
            {
                "function_declarations": [
                    {"name": "f", "parameters_json_schema": {"properties": {"top_k": {}}}}
                ]
            }
        ],
        "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}},
        "generation_config": {
            "max_output_tokens": 5,
            "thinking_config": {"thinking_budget": 8, "include_thoughts": True},
            "response_mime_type": "application/json",
        },
        "cached_content": "cachedContents/1",
    }
    camel = {
        "systemInstruction": snake["system_instruction"],
        "contents": [
            {"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"inline_data": 1}}}]},
            {
                "role": "user",
                "parts": [
                    {
                        "functionResponse": {
                            "name": "f",
                            "response": {"top_k": 1},
                            "parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}],
                        }
                    }
                ],
            },
        ],
        "tools": [
            {"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"properties": {"top_k": {}}}}]}
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {
            "maxOutputTokens": 5,
            "thinkingConfig": {"thinkingBudget": 8, "includeThoughts": True},
            "responseMimeType": "application/json",
        },
        "cachedContent": "cachedContents/1",
    }
    assert decode(**snake) == decode(**camel)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"{}", "lacks `contents`"),
        (b'{"contents":3}', "`contents` is not understood"),
        (b'{"contents":[{"role":"system","parts":[{"text":"x"}]}]}', r"`contents\[0\]` has a role"),
        (b'{"contents":[{"parts":[{"text":3}]}]}', "`contents` is not understood"),
        (b'{"contents":[{"parts":[{"functionCall":{}}]}]}', "functionCall without a name"),
        (b'{"contents":[{"parts":[{"functionResponse":{"name":"f"}}]}]}', "was not called before"),
        (b'{"contents":[],"tools":[3]}', "`tools"),
        (b'{"contents":[],"toolConfig":{"functionCallingConfig":{"mode":"SOME"}}}', "is none of AUTO"),
        (b'{"contents":[],"generationConfig":{"seed":1e99}}', "`generationConfig` is not understood"),
        (b'{"contents":[],"generationConfig":{"topK":1e99}}', "`generationConfig` is not understood"),
        (
            b'{"contents":[{"parts":[{"inlineData":{"mimeType":"text/plain","data":"a"}}]}]}',
            "is not base64",
        ),
    ],
)
def test_what_is_wrong_is_said(body, complaint):
    with pytest.raises(ClientProtocolError, match=complaint):
        dialect.decode(dialect.decode_head(body))


def test_estimate_counts_text():
    assert (
        dialect.estimate(dialect.decode_head(json.encode({"contents": [{"parts": [{"text": "x" * 400}]}]})))
        == 100
    )
