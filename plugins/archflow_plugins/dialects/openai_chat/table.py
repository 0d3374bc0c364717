"""What chat completions have a place for, feature by feature, and what becomes of the fields that only they have.

Rule: tests hold every row against what `decode.py` and `encode.py` do.
"""

from __future__ import annotations

from archflow_plugins.translation import Becomes, Dropped, Place, Refused, Sent

MINIMAL = '{"model":"model-x","messages":[{"role":"user","content":"hello"}]}'

_PNG = "data:image/png;base64,iVBORw0KGgo="
_PDF = "data:application/pdf;base64,JVBERi0xLjQK"
_TOOL = (
    '{"type":"function","function":{"name":"look","description":"looks","parameters":{"type":"object"}%s}}'
)
_TOOLS = f'"tools":[{_TOOL % ""}]'


def _user(part: str) -> str:
    return f'{{"messages":[{{"role":"user","content":[{{"type":"text","text":"see"}},{part}]}}]}}'


def _turn(assistant: str, *after: str) -> str:
    """A conversation with a message of the assistant, and what follows it."""
    first = '{"role":"user","content":"hello"}'
    last = after or ('{"role":"user","content":"go on"}',)
    return f'{{"messages":[{first},{{"role":"assistant",{assistant}}},{",".join(last)}]}}'


_CALLED = '"content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"look","arguments":"{}"}}]'
_ANSWER = '{"role":"tool","tool_call_id":"call_1","content":"a river"}'

_CALL_AND_ANSWER = _turn(_CALLED, _ANSWER)[:-1] + f",{_TOOLS}}}"

PLACES: dict[str, Place] = {
    "system": Sent(
        "messages[].role: system",
        '{"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hello"}]}',
    ),
    "developer": Becomes(
        ("system",),
        "messages[].role: system",
        "most vendors know no role `developer`; from a client it is read as what it is",
    ),
    "name": Sent("messages[].name", '{"messages":[{"role":"user","name":"ann","content":"hello"}]}'),
    "text": Sent(
        "messages[].content",
        "{}",
        "several texts of a message become one, joined by a newline, unless there is something else between them",
        exact=False,
    ),
    "image.url": Sent(
        "messages[].content[].image_url.url",
        _user('{"type":"image_url","image_url":{"url":"https://example.org/a.png"}}'),
    ),
    "image.data": Sent(
        "messages[].content[].image_url.url", _user(f'{{"type":"image_url","image_url":{{"url":"{_PNG}"}}}}')
    ),
    "image.detail": Sent(
        "messages[].content[].image_url.detail",
        _user(f'{{"type":"image_url","image_url":{{"url":"{_PNG}","detail":"low"}}}}'),
    ),
    "audio": Sent(
        "messages[].content[].input_audio",
        _user('{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}}'),
    ),
    "document.url": Refused("a document goes as data, not by its address"),
    "document.data": Sent(
        "messages[].content[].file.file_data",
        _user(f'{{"type":"file","file":{{"filename":"a.pdf","file_data":"{_PDF}"}}}}'),
        "a document without a name is called `document`",
        exact=False,
    ),
    "document.text": Becomes(
        ("text",), "messages[].content[].text", "with its name and what the client says about it before it"
    ),
    "document.file_id": Sent(
        "messages[].content[].file.file_id",
        _user('{"type":"file","file":{"file_id":"file-abc"}}'),
        exact=False,
        foreign=Refused("the file is in another provider's store"),
    ),
    "document.citations": Dropped("chat completions cite nothing of what they are given"),
    "reasoning.history": Sent(
        "messages[].reasoning_content",
        _turn('"reasoning_content":"a greeting","content":"hi"'),
        "or `reasoning`, `reasoning_details`, `thinking_blocks`, `content[].thinking`, where the upstream put them",
        foreign=Dropped("thoughts of another provider prove nothing here"),
    ),
    "refusal.history": Sent(
        "messages[].refusal", _turn('"content":null,"refusal":"I cannot help with that"')
    ),
    "tool_calls": Sent("messages[].tool_calls", _CALL_AND_ANSWER),
    "tool_results": Sent(
        "messages[].role: tool",
        _CALL_AND_ANSWER,
        "directly after the message that called, wherever they stood",
        exact=False,
    ),
    "tool_results.image": Becomes(
        ("image.data", "image.url"),
        "messages[].content[].image_url",
        "in a message of the user after the tools' answers, which hold only text",
    ),
    "tool_results.document": Becomes(
        ("text", "document.data"),
        "messages[].content[].file",
        "in a message of the user after the tools' answers; text stays in the answer",
    ),
    "tool_results.error": Dropped("the answer's text tells it"),
    "opaque": Refused("chat completions do not know this kind of content"),
    "tools": Sent("tools[].function", f"{{{_TOOLS}}}"),
    "tools.strict": Sent("tools[].function.strict", '{"tools":[' + _TOOL % ',"strict":true' + "]}"),
    "tools.custom": Sent(
        "tools[].custom", '{"tools":[{"type":"custom","custom":{"name":"patch","description":"patches"}}]}'
    ),
    "tool_choice": Sent("tool_choice", f'{{{_TOOLS},"tool_choice":"required"}}'),
    "tool_choice.allowed": Sent(
        "tool_choice.allowed_tools",
        f'{{{_TOOLS},"tool_choice":{{"type":"allowed_tools","allowed_tools":{{"mode":"auto",'
        '"tools":[{"type":"function","function":{"name":"look"}}]}}}',
    ),
    "parallel_tool_calls": Sent("parallel_tool_calls", f'{{{_TOOLS},"parallel_tool_calls":true}}'),
    "max_tokens": Sent("max_tokens", '{"max_tokens":100}', "`max_completion_tokens` is read too"),
    "temperature": Sent("temperature", '{"temperature":0.5}'),
    "top_p": Sent("top_p", '{"top_p":0.5}'),
    "top_k": Dropped("chat completions have no such field; it is read from clients all the same"),
    "stop": Sent("stop", '{"stop":["END"]}', "a single text is read too"),
    "seed": Sent("seed", '{"seed":7}'),
    "n": Sent("n", '{"n":2}'),
    "presence_penalty": Sent("presence_penalty", '{"presence_penalty":0.5}'),
    "frequency_penalty": Sent("frequency_penalty", '{"frequency_penalty":0.5}'),
    "logprobs": Sent("logprobs, top_logprobs", '{"logprobs":true,"top_logprobs":2}'),
    "logit_bias": Sent("logit_bias", '{"logit_bias":{"50256":-100}}'),
    "output.json": Sent("response_format: json_object", '{"response_format":{"type":"json_object"}}'),
    "output.json_schema": Sent(
        "response_format.json_schema",
        '{"response_format":{"type":"json_schema","json_schema":{"name":"answer","strict":true,"schema":'
        '{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}}}}',
        "a schema without a name is called `answer`",
        exact=False,
    ),
    "reasoning.mode": Sent(
        "reasoning_effort",
        '{"reasoning_effort":"none"}',
        "off is `none`, on is an effort; `reasoning`, `thinking` and `enable_thinking` of other vendors are read too",
        exact=False,
        foreign=Dropped("where the model shall decide, nothing is said: it decides anyway"),
    ),
    "reasoning.effort": Sent(
        "reasoning_effort",
        '{"reasoning_effort":"high"}',
        "the next one that OpenAI's model knows; left out for GPT-4 and older, which do not think",
    ),
    "reasoning.budget": Becomes(
        ("reasoning.effort",), "reasoning_effort", "the smallest effort that holds the budget"
    ),
    "reasoning.summary": Dropped("chat completions show the thoughts that there are to show"),
    "cache": Dropped(
        "vendors cache by themselves, and most refuse a mark; before Claude models it is written, as `cache_control`"
    ),
    "cache_key": Sent("prompt_cache_key", '{"prompt_cache_key":"session-1"}'),
    "user": Sent("user", '{"user":"user-1"}', "`safety_identifier` is read too"),
    "metadata": Sent("metadata", '{"metadata":{"team":"blue"}}'),
    "service_tier": Sent("service_tier", '{"service_tier":"auto"}'),
    "verbosity": Sent("verbosity", '{"verbosity":"low"}'),
}

_NO_SOUND = "only chat completions answer with sound or images"

OWN: dict[str, Dropped | Refused] = {
    "audio": Refused(_NO_SOUND),
    "modalities": Refused(_NO_SOUND, harmless=('["text"]',)),
    "web_search_options": Refused("only some models of chat completions search the web by themselves"),
    "moderation": Refused("only OpenAI's own models are moderated on request"),
    "tool_choice": Refused("it forces a tool of a provider's own"),
    "response_format": Refused("a form of answer that only its provider knows"),
    "prediction": Dropped("it only makes answers quicker"),
    "store": Dropped("nothing is stored elsewhere"),
    "prompt_cache_options": Dropped("other prompt caches have other options"),
    "prompt_cache_retention": Dropped("other prompt caches have other options"),
    "cache_control": Dropped("it marks the whole prompt, which other dialects mark part by part"),
    "provider": Dropped("a choice among a gateway's own providers"),
    "models": Dropped("a choice among a gateway's own models"),
    "plugins": Refused("what a gateway of its own adds to a model"),
    "transforms": Dropped("what a gateway of its own does with long prompts"),
    "min_p": Dropped("a way of sampling that few vendors know"),
    "repetition_penalty": Dropped("a way of sampling that few vendors know"),
    "chat_template_kwargs": Dropped("it is about the template of one server's models"),
}
"""`stream_options` and what is read into the conversation is not here; any other field is dropped, and named."""
