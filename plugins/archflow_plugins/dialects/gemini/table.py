"""What of a request goes where in Google's dialect, and what does not.

Source: as the package's.
"""

from __future__ import annotations

from archflow_plugins.translation import FEATURES, Becomes, Dropped, Place, Refused, Sent

OWN_PARTS = frozenset({
    "executableCode", "codeExecutionResult", "toolCall", "toolResponse", "inlineData", "fileData",
})  # fmt: skip
"""Parts that only Google knows, by the field that says what they are."""

_ASKED = '{"role":"user","parts":[{"text":"What is it?"}]}'
_CALL = '{"role":"model","parts":[{"functionCall":{"id":"call_1","name":"look","args":{"at":"it"}}}]}'
_PIXEL = '{"mimeType":"image/png","data":"iVBORw0KGgo="}'
_PAGE = '{"mimeType":"application/pdf","data":"JVBERi0="}'
_TOOLS = (
    '"tools":[{"functionDeclarations":[{"name":"look","description":"Looks.","parametersJsonSchema":'
    '{"type":"object","properties":{"at":{"type":"string"}}}},{"name":"listen","description":"Listens.",'
    '"parametersJsonSchema":{"type":"object","properties":{}}}]}]'
)


def _user(part: str) -> str:
    return f'{{"contents":[{{"role":"user","parts":[{{"text":"What is it?"}},{part}]}}]}}'


def _answer(answer: str) -> str:
    return (
        f'{{"contents":[{_ASKED},{_CALL},{{"role":"user","parts":[{{"functionResponse":'
        f'{{"id":"call_1","name":"look",{answer}}}}}]}}]}}'
    )


def _config(fields: str) -> str:
    return f'{{"generationConfig":{{{fields}}}}}'


PLACES: dict[str, Place] = {
    "system": Sent(
        "systemInstruction",
        '{"systemInstruction":{"parts":[{"text":"Be brief."}]}}',
        "those in mid-conversation are moved there, in order",
    ),
    "developer": Becomes(("system",), "systemInstruction", "among the system's, in order"),
    "name": Dropped("participants have no names"),
    "text": Sent("contents[].parts[].text", f'{{"contents":[{_ASKED}]}}'),
    "image.url": Sent(
        "contents[].parts[].fileData",
        _user('{"fileData":{"mimeType":"image/png","fileUri":"https://example.com/it.png"}}'),
        "the media type is guessed by the address",
    ),
    "image.data": Sent("contents[].parts[].inlineData", _user(f'{{"inlineData":{_PIXEL}}}')),
    "image.detail": Dropped("pictures are looked at as the model sees fit"),
    "audio": Sent(
        "contents[].parts[].inlineData", _user('{"inlineData":{"mimeType":"audio/wav","data":"UklGRg=="}}')
    ),
    "document.url": Sent(
        "contents[].parts[].fileData",
        _user('{"fileData":{"mimeType":"application/pdf","fileUri":"https://example.com/it.pdf"}}'),
        "name and context go before it as text",
        exact=False,
    ),
    "document.data": Sent(
        "contents[].parts[].inlineData",
        _user(f'{{"inlineData":{_PAGE}}}'),
        "name and context go before it as text",
        exact=False,
    ),
    "document.text": Sent(
        "contents[].parts[].inlineData",
        _user('{"inlineData":{"mimeType":"text/plain","data":"SXQgaXMgYSB0ZXN0Lg=="}}'),
        "as text/plain; name and context go before it as text",
        exact=False,
    ),
    "document.file_id": Sent(
        "contents[].parts[].fileData.fileUri",
        _user('{"fileData":{"mimeType":"application/pdf","fileUri":"gs://bucket/it.pdf"}}'),
        foreign=Refused("it lies in another provider's store: send the document along, or by its address"),
    ),
    "document.citations": Dropped("documents are not cited"),
    "reasoning.history": Sent(
        "contents[].parts[].thoughtSignature",
        f'{{"contents":[{_ASKED},{{"role":"model","parts":[{{"text":"I look.","thought":true}},{{"text":"A test."}},'
        '{"text":"","thoughtSignature":"c2lnbmVk"}]},{"role":"user","parts":[{"text":"And now?"}]}]}',
        foreign=Dropped("thoughts prove nothing to a provider that did not think them"),
    ),
    "refusal.history": Becomes(("text",), "contents[].parts[].text"),
    "tool_calls": Sent(
        "contents[].parts[].functionCall",
        _answer('"response":{"output":"a test"}'),
        "arguments that are no JSON object go as the text `arguments`",
        exact=False,
    ),
    "tool_results": Sent(
        "contents[].parts[].functionResponse",
        _answer('"response":{"output":"a test"}'),
        "texts become `response.output`",
        exact=False,
    ),
    "tool_results.image": Sent(
        "contents[].parts[].functionResponse.parts",
        _answer(f'"response":{{"output":"here"}},"parts":[{{"inlineData":{_PIXEL}}}]'),
        "before Gemini 3 they follow the answer",
        exact=False,
    ),
    "tool_results.document": Sent(
        "contents[].parts[].functionResponse.parts",
        _answer(f'"response":{{"output":"here"}},"parts":[{{"inlineData":{_PAGE}}}]'),
        "before Gemini 3 they follow the answer",
        exact=False,
    ),
    "tool_results.error": Sent(
        "contents[].parts[].functionResponse.response.error",
        _answer('"response":{"error":"broken"}'),
        exact=False,
    ),
    "opaque": Refused("a part of this type is known to its own API only"),
    "tools": Sent(
        "tools[].functionDeclarations", f"{{{_TOOLS}}}", "JSON Schemas go as `parametersJsonSchema`"
    ),
    "tools.strict": Dropped("whether arguments are held to the schema is the model's affair"),
    "tools.custom": Refused("a function's arguments are JSON; describe the tool as a function"),
    "tool_choice": Sent(
        "toolConfig.functionCallingConfig.mode",
        f'{{{_TOOLS},"toolConfig":{{"functionCallingConfig":{{"mode":"ANY"}}}}}}',
        "a named function is the only allowed one",
    ),
    "tool_choice.allowed": Sent(
        "toolConfig.functionCallingConfig.allowedFunctionNames",
        f'{{{_TOOLS},"toolConfig":{{"functionCallingConfig":{{"mode":"ANY",'
        '"allowedFunctionNames":["look","listen"]}}}',
        "with the mode `auto` as VALIDATED; one alone is a named function",
        exact=False,
    ),
    "parallel_tool_calls": Dropped("the model decides how many calls a turn has"),
    "max_tokens": Sent("generationConfig.maxOutputTokens", _config('"maxOutputTokens":100')),
    "temperature": Sent("generationConfig.temperature", _config('"temperature":0.5')),
    "top_p": Sent("generationConfig.topP", _config('"topP":0.5')),
    "top_k": Sent("generationConfig.topK", _config('"topK":20')),
    "stop": Sent("generationConfig.stopSequences", _config('"stopSequences":["END"]')),
    "seed": Sent("generationConfig.seed", _config('"seed":7')),
    "n": Sent("generationConfig.candidateCount", _config('"candidateCount":2')),
    "presence_penalty": Sent("generationConfig.presencePenalty", _config('"presencePenalty":0.5')),
    "frequency_penalty": Sent("generationConfig.frequencyPenalty", _config('"frequencyPenalty":0.5')),
    "logprobs": Sent("generationConfig.responseLogprobs", _config('"responseLogprobs":true,"logprobs":2')),
    "logit_bias": Refused("its numbers are tokens of another vocabulary"),
    "output.json": Sent(
        "generationConfig.responseMimeType", _config('"responseMimeType":"application/json"'), exact=False
    ),
    "output.json_schema": Sent(
        "generationConfig.responseJsonSchema",
        _config(
            '"responseMimeType":"application/json","responseJsonSchema":{"type":"object","properties":'
            '{"name":{"type":"string"}},"required":["name"],"additionalProperties":false}'
        ),
        "its name is left out, and it always holds",
        exact=False,
    ),
    "reasoning.mode": Sent(
        "generationConfig.thinkingConfig.thinkingBudget",
        _config('"thinkingConfig":{"thinkingBudget":0}'),
        "-1 is adaptive and 0 off; from Gemini 3 on, off is the level LOW",
        exact=False,
    ),
    "reasoning.effort": Sent(
        "generationConfig.thinkingConfig.thinkingLevel",
        _config('"thinkingConfig":{"thinkingLevel":"HIGH","includeThoughts":true}'),
        "minimal is LOW, xhigh and max are HIGH; before Gemini 3 a budget",
        exact=False,
    ),
    "reasoning.budget": Sent(
        "generationConfig.thinkingConfig.thinkingBudget",
        _config('"thinkingConfig":{"thinkingBudget":2048,"includeThoughts":true}'),
        "before Gemini 3 at most 24576, or 32768 for a Pro",
    ),
    "reasoning.summary": Sent(
        "generationConfig.thinkingConfig.includeThoughts",
        _config('"thinkingConfig":{"includeThoughts":true}'),
        "whether, not how much",
        exact=False,
    ),
    "cache": Dropped("prompts are cached without being asked to"),
    "cache_key": Dropped("prompts are cached without being asked to"),
    "user": Dropped("there is no field for it"),
    "metadata": Dropped("labels are bound to what a bill may hold"),
    "service_tier": Sent(
        "serviceTier", '{"serviceTier":"flex"}', "auto and default are standard", exact=False
    ),
    "verbosity": Dropped("there is no field for it"),
}
"""One row for each of FEATURES."""
assert PLACES.keys() == FEATURES.keys()  # noqa: S101 - a table with a gap is a mistake of ours, found at import

OWN: dict[str, Dropped | Refused] = {
    "safetySettings": Dropped("its thresholds are of Google's own filters"),
    "labels": Dropped("they are for Google's bill"),
    "store": Dropped("it is about Google's own log"),
    "cachedContent": Refused("what it names lies with Google, and the model would not see it"),
    "mediaResolution": Dropped("how closely pictures are looked at"),
    "audioTimestamp": Dropped("it is about how sound is listened to"),
    "enableEnhancedCivicAnswers": Dropped("it is about Google's own filters"),
    "routingConfig": Dropped("it is about which of Google's models answers"),
    "modelSelectionConfig": Dropped("it is about which of Google's models answers"),
    "responseMimeType": Refused("answers are texts or JSON"),
    "responseModalities": Refused("answers are texts", harmless=('["TEXT"]', '["text"]')),
    "responseFormat": Refused("answers are texts or JSON; say it as responseMimeType and responseJsonSchema"),
    "speechConfig": Refused("answers are not spoken"),
    "imageConfig": Refused("answers hold no pictures"),
}
"""Fields that no other dialect knows, those of generationConfig by their own names."""
