"""Where each feature of a request stands in Converse, and what becomes of Converse's own fields elsewhere.

Source: botocore's service model of bedrock-runtime, 1.44; Amazon Bedrock User Guide, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping

from archflow_plugins.translation import Becomes, Dropped, Place, Refused, Sent

MINIMAL = '{"messages":[{"role":"user","content":[{"text":"hi"}]}]}'
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
_CALL = (
    '{"messages":[{"role":"user","content":[{"text":"weather?"}]},{"role":"assistant","content":[{"toolUse":'
    '{"toolUseId":"call_1","name":"weather","input":{"city":"Ulm"}}}]},{"role":"user","content":[{"toolResult":'
    '{"toolUseId":"call_1","content":[%s]%s}}]}],"toolConfig":{"tools":[{"toolSpec":{"name":"weather",'
    '"inputSchema":{"json":{"type":"object","properties":{"city":{"type":"string"}}}}}}]}}'
)
_TOOLS = (
    '"tools":[{"toolSpec":{"name":"weather","description":"tells the weather","inputSchema":{"json":{"type":"object",'
    '"properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}}%s}}]'
)


def _offer(strict: str = "", after: str = "") -> str:
    return '{"toolConfig":{' + _TOOLS % strict + after + "}}"


_THINKING = '{"inferenceConfig":{"maxTokens":8192},"additionalModelRequestFields":{"thinking":%s}%s}'
_AS_TEXT = "told as text where no tools are offered"
_FETCHES_NOTHING = "Converse fetches nothing: it takes the bytes"


def _user(block: str) -> str:
    return f'{{"messages":[{{"role":"user","content":[{{"text":"look"}},{block}]}}]}}'


PLACES: Mapping[str, Place] = {
    "system": Sent("system[].text", '{"system":[{"text":"be brief"}]}', "all instructions, in order"),
    "developer": Becomes(("system",), "system[].text"),
    "name": Dropped("Converse has no names of participants"),
    "text": Sent(
        "messages[].content[].text",
        '{"messages":[{"role":"user","content":[{"text":"one"},{"text":"two"}]}]}',
        "blank texts are left out; an assistant's first turn gets a user's turn before it",
    ),
    "image.url": Refused(_FETCHES_NOTHING),
    "image.data": Sent(
        "messages[].content[].image.source.bytes",
        _user(f'{{"image":{{"format":"png","source":{{"bytes":"{_PIXEL}"}}}}}}'),
        "png, jpeg, gif and webp; other kinds are refused",
    ),
    "image.detail": Dropped("Converse has no level of detail"),
    "audio": Sent(
        "messages[].content[].audio.source.bytes",
        _user('{"audio":{"format":"wav","source":{"bytes":"UklGRg=="}}}'),
    ),
    "document.url": Refused(_FETCHES_NOTHING),
    "document.data": Sent(
        "messages[].content[].document.source.bytes",
        _user('{"document":{"format":"pdf","name":"report","source":{"bytes":"JVBERi0xLjQK"}}}'),
        "names lose the characters that Converse refuses, and are made unique",
        exact=False,
    ),
    "document.text": Sent(
        "messages[].content[].document.source.text",
        _user('{"document":{"format":"txt","name":"notes","source":{"text":"the sky is blue"}}}'),
        exact=False,
    ),
    "document.file_id": Refused("Bedrock has no store of files"),
    "document.citations": Sent(
        "messages[].content[].document.citations.enabled",
        _user(
            '{"document":{"format":"txt","name":"notes","source":{"text":"the sky is blue"},'
            '"citations":{"enabled":true}}}'
        ),
        exact=False,
    ),
    "reasoning.history": Sent(
        "messages[].content[].reasoningContent",
        '{"messages":[{"role":"user","content":[{"text":"why?"}]},{"role":"assistant","content":[{"reasoningContent":'
        '{"reasoningText":{"text":"because","signature":"c2lnbmF0dXJl"}}},{"text":"so"}]},'
        '{"role":"user","content":[{"text":"and?"}]}]}',
        "also what Anthropic signed; Claude gets back only what is signed",
        exact=False,
        foreign=Dropped("the proof of another provider means nothing to Bedrock"),
    ),
    "refusal.history": Becomes(("text",), "messages[].content[].text"),
    "tool_calls": Sent(
        "messages[].content[].toolUse", _CALL % ('{"text":"sunny"}', ""), _AS_TEXT, otherwise=("text",)
    ),
    "tool_results": Sent(
        "messages[].content[].toolResult",
        _CALL % ('{"text":"sunny"}', ""),
        _AS_TEXT,
        exact=False,
        otherwise=("text",),
    ),
    "tool_results.image": Sent(
        "messages[].content[].toolResult.content[].image",
        _CALL % (f'{{"image":{{"format":"png","source":{{"bytes":"{_PIXEL}"}}}}}}', ""),
        _AS_TEXT,
        exact=False,
        otherwise=("image.data",),
    ),
    "tool_results.document": Sent(
        "messages[].content[].toolResult.content[].document",
        _CALL % ('{"document":{"format":"txt","name":"notes","source":{"text":"sunny"}}}', ""),
        _AS_TEXT,
        exact=False,
        otherwise=("document.data", "document.text"),
    ),
    "tool_results.error": Sent(
        "messages[].content[].toolResult.status",
        _CALL % ('{"text":"no such city"}', ',"status":"error"'),
        _AS_TEXT,
        exact=False,
        otherwise=("text",),
    ),
    "opaque": Refused("Converse has no such block"),
    "tools": Sent(
        "toolConfig.tools[].toolSpec",
        _offer(),
        "names of 1 to 64 letters, digits, `_` and `-`",
    ),
    "tools.strict": Sent(
        "toolConfig.tools[].toolSpec.strict",
        _offer(',"strict":true'),
        "false is what Converse does unasked, and is not sent",
    ),
    "tools.custom": Refused("tools of Converse take JSON, not free text"),
    "tool_choice": Sent(
        "toolConfig.toolChoice",
        _offer(after=',"toolChoice":{"tool":{"name":"weather"}}'),
        "`none` has no place: the tools are left out, and earlier calls are told as text; a model that thinks cannot "
        "be made to call",
    ),
    "tool_choice.allowed": Dropped("the tools that are not allowed are left out instead"),
    "parallel_tool_calls": Sent(
        "additionalModelRequestFields.tool_choice.disable_parallel_tool_use",
        _offer()[:-1]
        + ',"additionalModelRequestFields":{"tool_choice":{"type":"auto","disable_parallel_tool_use":false}}}',
        "Claude 4.5 and later; for others `false` is left out",
    ),
    "max_tokens": Sent("inferenceConfig.maxTokens", '{"inferenceConfig":{"maxTokens":100}}'),
    "temperature": Sent(
        "inferenceConfig.temperature",
        '{"inferenceConfig":{"temperature":0.5}}',
        "at most 1; left out where Claude thinks, and for Claude after 4.6",
    ),
    "top_p": Sent(
        "inferenceConfig.topP",
        '{"inferenceConfig":{"topP":0.5}}',
        "left out where Claude thinks, below 0.95; beside a temperature from Claude 4.1 on; and after 4.6",
    ),
    "top_k": Sent(
        "additionalModelRequestFields.top_k",
        '{"additionalModelRequestFields":{"top_k":40}}',
        "Claude up to 4.6; `inferenceConfig.topK` for Nova; left out for others, and where Claude thinks",
    ),
    "stop": Sent(
        "inferenceConfig.stopSequences",
        '{"inferenceConfig":{"stopSequences":["END"]}}',
        "Claude is asked to tell which one it was; refused for Claude if only white space",
    ),
    "seed": Dropped("Converse has no seed"),
    "n": Refused("Converse gives one answer"),
    "presence_penalty": Dropped("Converse has no penalties"),
    "frequency_penalty": Dropped("Converse has no penalties"),
    "logprobs": Refused("Converse tells no log probabilities"),
    "logit_bias": Refused("Converse has no bias on tokens"),
    "output.json": Dropped(
        "Converse has no JSON mode without a schema: the model is told to answer with JSON"
    ),
    "output.json_schema": Sent(
        "outputConfig.textFormat.structure.jsonSchema",
        '{"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"name":"answer","schema":'
        '"{\\"type\\":\\"object\\",\\"properties\\":{\\"n\\":{\\"type\\":\\"integer\\"}},\\"required\\":[\\"n\\"],'
        '\\"additionalProperties\\":false}"}}}}}',
        "always strict: objects are closed, limits go into descriptions",
        exact=False,
    ),
    "reasoning.mode": Sent(
        "additionalModelRequestFields.thinking.type",
        _THINKING % ('{"type":"enabled","budget_tokens":2048}', ""),
        "Claude, as its version takes it; `reasoningConfig` for Nova 2, `reasoning_effort` for gpt-oss, left out for "
        "others",
        exact=False,
    ),
    "reasoning.effort": Sent(
        "outputConfig.effort",
        _THINKING % ('{"type":"adaptive"}', ',"outputConfig":{"effort":"high"}'),
        "low to max; a budget for Claude before 4.6",
    ),
    "reasoning.budget": Sent(
        "additionalModelRequestFields.thinking.budget_tokens",
        _THINKING % ('{"type":"enabled","budget_tokens":2048}', ""),
        "at least 1024 and less than maxTokens; an effort for Claude after 4.6",
    ),
    "reasoning.summary": Sent(
        "additionalModelRequestFields.thinking.display",
        _THINKING % ('{"type":"adaptive","display":"summarized"}', ""),
        exact=False,
    ),
    "cache": Sent(
        "messages[].content[].cachePoint",
        '{"system":[{"text":"be brief"},{"cachePoint":{"type":"default"}}]}',
        "Claude and Nova; left out for others, and on tools for Nova",
    ),
    "cache_key": Dropped("Bedrock finds the cache by the prompt itself"),
    "user": Dropped("Converse has no field for the end user"),
    "metadata": Sent(
        "requestMetadata",
        '{"requestMetadata":{"team":"blue"}}',
        "at most 16, of 256 characters that Amazon allows; the others are left out",
    ),
    "service_tier": Sent(
        "serviceTier.type",
        '{"serviceTier":{"type":"flex"}}',
        "`auto` and `standard_only` are `default`; tiers that Bedrock lacks are left out",
        exact=False,
    ),
    "verbosity": Dropped("Converse has no verbosity"),
}

OWN: Mapping[str, Dropped | Refused] = {
    "guardrailConfig": Refused("the guardrail lives at Amazon, and without it the answer is not guarded"),
    "promptVariables": Refused("the prompt that they fill lives at Amazon"),
    "additionalModelRequestFields": Dropped("parameters of another model"),
    "additionalModelResponseFieldPaths": Dropped("the reply of another model has no such fields"),
    "performanceConfig": Dropped("a way of serving that only Bedrock has"),
    "projectIdentifier": Dropped("a project of Bedrock"),
}
