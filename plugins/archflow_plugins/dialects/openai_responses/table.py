"""Where each feature stands in a request of the Responses API, and what becomes of what only it knows."""

from __future__ import annotations

from archflow_plugins.translation import Dropped, Place, Refused, Sent

_HI = '{"role":"user","content":"hi"}'
_TOOL = (
    '{"type":"function","name":"look","parameters":{"type":"object","properties":{"at":{"type":"string"}}}'
)
_CALL = '{"type":"function_call","call_id":"call_1","name":"look","arguments":"{\\"at\\":\\"sea\\"}"}'
_PIXEL = "data:image/png;base64,iVBORw0KGgo="


def _user(part: str) -> str:
    return f'{{"input":[{{"role":"user","content":[{{"type":"input_text","text":"hi"}},{part}]}}]}}'


def _result(output: str) -> str:
    result = f'{{"type":"function_call_output","call_id":"call_1","output":{output}}}'
    return f'{{"input":[{_HI},{_CALL},{result}],"tools":[{_TOOL}}}]}}'


PLACES: dict[str, Place] = {
    "system": Sent(
        "instructions", '{"instructions":"be brief"}', "later ones stand in the input, by their role"
    ),
    "developer": Sent("input[].role", f'{{"input":[{{"role":"developer","content":"be brief"}},{_HI}]}}'),
    "name": Dropped("participants of the same role have no names here"),
    "text": Sent("input", '{"input":"hi"}'),
    "image.url": Sent(
        "input[].content[].image_url", _user('{"type":"input_image","image_url":"https://example.com/a.png"}')
    ),
    "image.data": Sent(
        "input[].content[].image_url", _user(f'{{"type":"input_image","image_url":"{_PIXEL}"}}')
    ),
    "image.detail": Sent(
        "input[].content[].detail",
        _user(f'{{"type":"input_image","image_url":"{_PIXEL}","detail":"high"}}'),
    ),
    "audio": Refused("the Responses API takes no sound"),
    "document.url": Sent(
        "input[].content[].file_url", _user('{"type":"input_file","file_url":"https://example.com/a.pdf"}')
    ),
    "document.data": Sent(
        "input[].content[].file_data",
        _user('{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0="}'),
    ),
    "document.text": Sent(
        "input[].content[].file_data",
        _user('{"type":"input_file","filename":"a.txt","file_data":"data:text/plain;base64,aGVsbG8="}'),
        "as a file of plain text",
    ),
    "document.file_id": Sent(
        "input[].content[].file_id",
        _user('{"type":"input_file","file_id":"file-1"}'),
        foreign=Refused("the file is in another provider's store"),
    ),
    "document.citations": Dropped("documents are not cited"),
    "reasoning.history": Sent(
        "input[].encrypted_content",
        f'{{"input":[{_HI},{{"type":"reasoning","id":"rs_1","summary":[{{"type":"summary_text","text":"hm"}}],'
        '"encrypted_content":"gAAAAAB"},{"role":"assistant","content":"ho"},' + _HI + "]}",
        "thoughts go back sealed, or as the words that they were; a mere summary of them does not",
        foreign=Dropped("thoughts go back only to the provider that made them"),
    ),
    "refusal.history": Sent(
        "input[].content[].refusal",
        f'{{"input":[{_HI},{{"role":"assistant","content":[{{"type":"refusal","refusal":"no"}}]}},{_HI}]}}',
    ),
    "tool_calls": Sent("input[].function_call", _result('"calm"')),
    "tool_results": Sent("input[].function_call_output", _result('"calm"')),
    "tool_results.image": Sent(
        "input[].output[].image_url", _result(f'[{{"type":"input_image","image_url":"{_PIXEL}"}}]')
    ),
    "tool_results.document": Sent(
        "input[].output[].file_data",
        _result(
            '[{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0="}]'
        ),
    ),
    "tool_results.error": Dropped("that a tool failed is told by its answer's text"),
    "opaque": Refused("only the dialect that it was written in knows this part"),
    "tools": Sent("tools", f'{{"tools":[{_TOOL},"description":"Looks."}}]}}'),
    "tools.strict": Sent("tools[].strict", f'{{"tools":[{_TOOL},"strict":true}}]}}'),
    "tools.custom": Sent("tools[].custom", '{"tools":[{"type":"custom","name":"patch","description":"x"}]}'),
    "tool_choice": Sent("tool_choice", f'{{"tools":[{_TOOL}}}],"tool_choice":"required"}}'),
    "tool_choice.allowed": Sent(
        "tool_choice.tools",
        f'{{"tools":[{_TOOL}}},{{"type":"function","name":"go","parameters":{{"type":"object"}}}}],'
        '"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"look"}]}}',
    ),
    "parallel_tool_calls": Sent("parallel_tool_calls", f'{{"tools":[{_TOOL}}}],"parallel_tool_calls":true}}'),
    "max_tokens": Sent("max_output_tokens", '{"max_output_tokens":100}', "at least 16", exact=False),
    "temperature": Sent("temperature", '{"temperature":0.5}'),
    "top_p": Sent("top_p", '{"top_p":0.5}'),
    "top_k": Dropped("sampling among the best k cannot be asked for"),
    "stop": Refused("no texts can be given that end the answer"),
    "seed": Dropped("sampling cannot be made repeatable"),
    "n": Refused("there is one answer to a request"),
    "presence_penalty": Dropped("there are no penalties"),
    "frequency_penalty": Dropped("there are no penalties"),
    "logprobs": Sent("top_logprobs", '{"include":["message.output_text.logprobs"],"top_logprobs":2}'),
    "logit_bias": Refused("tokens cannot be given a bias"),
    "output.json": Sent("text.format", '{"text":{"format":{"type":"json_object"}}}'),
    "output.json_schema": Sent(
        "text.format",
        '{"text":{"format":{"type":"json_schema","name":"place","schema":{"type":"object","properties":'
        '{"at":{"type":"string"}},"required":["at"],"additionalProperties":false},"strict":true}}}',
    ),
    "reasoning.mode": Sent(
        "reasoning.effort",
        '{"reasoning":{"effort":"none"}}',
        "off is the effort none; on without an effort is medium",
        exact=False,
    ),
    "reasoning.effort": Sent("reasoning.effort", '{"reasoning":{"effort":"high"}}'),
    "reasoning.budget": Dropped("it becomes the effort that holds it"),
    "reasoning.summary": Sent("reasoning.summary", '{"reasoning":{"effort":"high","summary":"auto"}}'),
    "cache": Dropped("OpenAI caches what prompts have in common by itself"),
    "cache_key": Sent("prompt_cache_key", '{"prompt_cache_key":"a-key"}', "its digest, if it is long"),
    "user": Sent("safety_identifier", '{"safety_identifier":"u-1"}', "its digest, if it is long"),
    "metadata": Sent("metadata", '{"metadata":{"team":"sea"}}'),
    "service_tier": Sent(
        "service_tier",
        '{"service_tier":"auto"}',
        "Anthropic's standard_only is default; a tier that OpenAI has not is left out",
        exact=False,
    ),
    "verbosity": Sent("text.verbosity", '{"text":{"verbosity":"low"}}'),
}

_ELSEWHERE = "only OpenAI keeps it, so the model's answer would not rest on it"

OWN: dict[str, Dropped | Refused] = {
    "previous_response_id": Refused("the gateway has no stored response of this id, or keeps none"),
    "conversation": Refused(_ELSEWHERE),
    "prompt": Refused(_ELSEWHERE),
    "background": Refused("the gateway answers while the client waits", ("false",)),
    "moderation": Refused("nobody else moderates in OpenAI's way"),
    "tool_choice": Refused("it asks for a tool that OpenAI runs, and this model's provider does not"),
    "include": Dropped("it is about tools that OpenAI runs"),
    "truncation": Dropped("a conversation that is too long is refused by the model's provider"),
    "context_management": Dropped("a conversation that is too long is refused by the model's provider"),
    "max_tool_calls": Dropped("it limits tools that OpenAI runs, and there are none"),
    "prompt_cache_options": Dropped("others cache in their own way"),
    "prompt_cache_retention": Dropped("others cache in their own way"),
    "stream_options": Dropped("streams are not padded against eavesdroppers"),
    "client_metadata": Dropped("it is for OpenAI to read"),
    "background_options": Dropped("the gateway answers while the client waits"),
    "access_programs": Dropped("it is for OpenAI to read"),
    "image": Dropped("others compress images in their own way"),
}
