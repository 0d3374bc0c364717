"""What Messages can say: feature by feature, and its own fields.

Rule: data only; `encode_request` and its neighbours do what stands here, and tests hold them to it.
"""

from __future__ import annotations

from collections.abc import Mapping

from archflow_plugins.dialects.anthropic_messages.words import SERVED
from archflow_plugins.translation import Becomes, Dropped, Place, Refused, Sent

MINIMAL = '{"model":"claude","max_tokens":100,"messages":[{"role":"user","content":"hi"}]}'

_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
_PDF = "JVBERi0xLjEKJSVFT0Y="
_TOOLS = (
    '"tools":[{"name":"weather","description":"tells the weather","input_schema":'
    '{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}}]'
)
_CALL = '{"type":"tool_use","id":"toolu_1","name":"weather","input":{"city":"Oslo"}}'


def _user(*blocks: str) -> str:
    return f'{{"messages":[{{"role":"user","content":[{",".join(blocks)}]}}]}}'


def _answered(result: str, *before: str) -> str:
    """A call, and what the tool answered."""
    said = ",".join([*before, _CALL])
    turns = [
        '{"role":"user","content":"How is the weather?"}',
        f'{{"role":"assistant","content":[{said}]}}',
        f'{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"toolu_1",{result}}}]}}',
    ]
    return f'{{"messages":[{",".join(turns)}],{_TOOLS}}}'


def _document(source: str, more: str = "") -> str:
    return f'{{"type":"document","source":{source}{more}}}'


_ASK = '{"type":"text","text":"What is this?"}'
_IMAGE = f'{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{_PIXEL}"}}}}'
_IMAGE_URL = '{"type":"image","source":{"type":"url","url":"https://example.com/a.png"}}'
_PDF_BLOCK = _document(
    f'{{"type":"base64","media_type":"application/pdf","data":"{_PDF}"}}', ',"title":"a.pdf"'
)
_TEXT_SOURCE = '{"type":"text","media_type":"text/plain","data":"The sky is blue."}'

PLACES: Mapping[str, Place] = {
    "system": Sent(
        "system", '{"system":"be brief"}', "messages of the role between turns move there, in order"
    ),
    "developer": Becomes(("system",), "system"),
    "name": Dropped("Messages does not tell participants of a role apart"),
    "text": Sent("messages[].content[].text", "{}", "blank texts are left out: Anthropic refuses them"),
    "image.url": Sent("messages[].content[].source.url", _user(_ASK, _IMAGE_URL), "http and https only"),
    "image.data": Sent(
        "messages[].content[].source.data", _user(_ASK, _IMAGE), "JPEG, PNG, GIF and WebP only"
    ),
    "image.detail": Dropped("Anthropic scales images itself"),
    "audio": Refused("Anthropic takes no sound"),
    "document.url": Sent(
        "messages[].content[].source.url",
        _user(_ASK, _document('{"type":"url","url":"https://example.com/a.pdf"}')),
        "http and https only",
    ),
    "document.data": Sent(
        "messages[].content[].source.data",
        _user(_ASK, _PDF_BLOCK),
        "PDF; text of any kind becomes a plain text document",
    ),
    "document.text": Sent(
        "messages[].content[].source.data", _user(_ASK, _document(_TEXT_SOURCE)), exact=False
    ),
    "document.file_id": Sent(
        "messages[].content[].source.file_id",
        _user(_ASK, _document('{"type":"file","file_id":"file_1"}')),
        foreign=Refused("Anthropic cannot read the files of another provider"),
    ),
    "document.citations": Sent(
        "messages[].content[].citations.enabled",
        _user(_ASK, _document(_TEXT_SOURCE, ',"citations":{"enabled":true}')),
        exact=False,
    ),
    "reasoning.history": Sent(
        "messages[].content[].thinking",
        _answered('"content":"rain"', '{"type":"thinking","thinking":"I ask.","signature":"c2lnbmVk"}'),
        "Claude's own thoughts, also those that Bedrock signed",
        foreign=Dropped("Claude accepts no thoughts of another model"),
    ),
    "refusal.history": Becomes(("text",), "messages[].content[].text"),
    "tool_calls": Sent(
        "messages[].content[].tool_use",
        _answered('"content":"rain"'),
        "characters of an id that Anthropic does not allow become `_`; arguments that are no JSON object are a text "
        "in one; tools that were called and are not offered are offered with the choice `none`",
    ),
    "tool_results": Sent("messages[].content[].tool_result", _answered('"content":"rain"')),
    "tool_results.image": Sent(
        "messages[].content[].content[]", _answered(f'"content":[{_IMAGE}]'), exact=False
    ),
    "tool_results.document": Sent(
        "messages[].content[].content[]", _answered(f'"content":[{_PDF_BLOCK}]'), exact=False
    ),
    "tool_results.error": Sent(
        "messages[].content[].is_error", _answered('"content":"no such city","is_error":true'), exact=False
    ),
    "opaque": Refused("Anthropic does not know parts of this type"),
    "tools": Sent("tools[]", f"{{{_TOOLS}}}", "a schema without a type is one of an object"),
    "tools.strict": Sent("tools[].strict", f'{{{_TOOLS[:-2]},"strict":true}}]}}'),
    "tools.custom": Refused("Anthropic's tools take JSON, not free text"),
    "tool_choice": Sent(
        "tool_choice", f'{{{_TOOLS},"tool_choice":{{"type":"any"}}}}', "refused for a model that shall think"
    ),
    "tool_choice.allowed": Becomes(("tools",), "tools[]", "only those are offered"),
    "parallel_tool_calls": Sent(
        "tool_choice.disable_parallel_tool_use",
        f'{{{_TOOLS},"tool_choice":{{"type":"auto","disable_parallel_tool_use":false}}}}',
    ),
    "max_tokens": Sent("max_tokens", '{"max_tokens":100}', "4096 if unsaid, beside the tokens of thought"),
    "temperature": Sent(
        "temperature", '{"temperature":0.5}', "at most 1; left out while it thinks, and for Claude after 4.6"
    ),
    "top_p": Sent(
        "top_p", '{"top_p":0.5}', "left out beside a temperature from Claude 4.1 on, and after 4.6"
    ),
    "top_k": Sent("top_k", '{"top_k":40}', "left out while it thinks, and for Claude after 4.6"),
    "stop": Sent("stop_sequences", '{"stop_sequences":["END"]}', "blank ones are left out and named"),
    "seed": Dropped("Anthropic draws anew each time"),
    "n": Refused("Anthropic gives one answer", harmless=("1",)),
    "presence_penalty": Dropped("Anthropic has no penalties"),
    "frequency_penalty": Dropped("Anthropic has no penalties"),
    "logprobs": Refused("Anthropic tells no log probabilities", harmless=("false",)),
    "logit_bias": Refused("Anthropic takes no bias on tokens", harmless=("{}",)),
    "output.json": Dropped(
        "Anthropic promises JSON for a schema only; it is asked for it in the instructions"
    ),
    "output.json_schema": Sent(
        "output_config.format",
        '{"output_config":{"format":{"type":"json_schema","schema":{"type":"object","properties":'
        '{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}}}}',
        "the schema's name is not sent; every schema is strict: objects are closed, limits go into descriptions",
        exact=False,
    ),
    "reasoning.mode": Sent(
        "thinking.type",
        '{"thinking":{"type":"disabled"}}',
        "by budget or by effort, as the model takes it",
        exact=False,
    ),
    "reasoning.effort": Sent(
        "output_config.effort",
        '{"output_config":{"effort":"high"}}',
        "`minimal` is `low`; a budget for Claude before 4.6",
        exact=False,
    ),
    "reasoning.budget": Sent(
        "thinking.budget_tokens",
        '{"max_tokens":32000,"thinking":{"type":"enabled","budget_tokens":16384}}',
        "at least 1024 and at most half of `max_tokens`; an effort for Claude after 4.6",
        exact=False,
    ),
    "reasoning.summary": Sent(
        "thinking.display", '{"thinking":{"type":"adaptive","display":"summarized"}}', exact=False
    ),
    "cache": Sent(
        "cache_control",
        '{"messages":[{"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]}]}',
        "a time other than 5m and 1h is left unsaid",
        exact=False,
    ),
    "cache_key": Dropped("Anthropic finds common prefixes itself"),
    "user": Sent("metadata.user_id", '{"metadata":{"user_id":"user-1"}}'),
    "metadata": Dropped("Anthropic keeps no labels"),
    "service_tier": Sent(
        "service_tier",
        '{"service_tier":"auto"}',
        "`priority` is `auto`; `default` and `flex` are `standard_only`",
        exact=False,
    ),
    "verbosity": Dropped("Claude writes as long as it is told to"),
}

OWN: Mapping[str, Dropped | Refused] = {
    SERVED: Dropped("what Anthropic's servers did in earlier turns; the words that rest on it stay"),
    "tool_choice": Refused("only Anthropic's servers can run the tool that must be called"),
    "mcp_servers": Refused("only Anthropic's servers can ask these"),
    "container": Refused("it is one of Anthropic's servers"),
    "inference_geo": Refused("where a request may be handled is known of Anthropic only"),
    "context_management": Dropped("edits that save tokens; the whole context is sent"),
    "compaction": Dropped("the whole context is sent"),
    "cache_control": Dropped("other providers find common prefixes themselves, or are told part by part"),
    "diagnostics": Dropped("why Anthropic's cache missed"),
    "speed": Dropped("how fast Anthropic answers"),
    "fallbacks": Dropped("other models of Anthropic's"),
    "fallback_credit_token": Dropped("part of Anthropic's bill"),
    "billing_policy": Dropped("part of Anthropic's bill"),
    "user_profile_id": Dropped("a name that Anthropic gave"),
    "workspace_id": Dropped("a name that Anthropic gave"),
    "anthropic_beta": Dropped("what Anthropic shall try out"),
    "anthropic_version": Dropped("which version of Messages it is"),
    "output_config.task_budget": Dropped("a hint how long a task may take"),
    "tools[].input_examples": Dropped("the schema says the same"),
    "tools[].defer_loading": Dropped("every tool is offered from the start"),
    "tools[].eager_input_streaming": Dropped("arguments are streamed as the upstream sends them"),
    "tools[].allowed_callers": Dropped("only the model calls tools"),
}
