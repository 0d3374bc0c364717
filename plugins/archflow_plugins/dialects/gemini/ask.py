"""Writes a Conversation as a request of Google's dialect, for one model.

What a model takes depends on its generation: from Gemini 3 on, thinking has levels, a function's answer may hold
pictures, and every turn of calls must carry a thought's signature. A name that tells no generation gets the newest
form.

Rule: contents alternate between user and model; what tools answered stands first in the user's.
Rule: only Google's own thoughts go back; another provider's are left out and named.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Raw

from archflow_plugins.dialects.call_proofs import Proofs
from archflow_plugins.dialects.effort import budget_of
from archflow_plugins.dialects.gemini import media, wire
from archflow_plugins.dialects.gemini.media import ORIGIN
from archflow_plugins.dialects.gemini.table import OWN_PARTS, PLACES
from archflow_plugins.dialects.json_body import BAD_JSON, encode
from archflow_plugins.translation import CannotExpress, Dropped, Encoded, Refused, Sent
from archflow_schema.conversation import (
    AudioPart,
    Conversation,
    DocumentPart,
    ImagePart,
    Message,
    OpaquePart,
    Part,
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

UNSIGNED = "skip_thought_signature_validator"
"""What Google's documents give as the signature of a call that no Gemini made."""
_GENERATION = re.compile(r"gemini-(\d+)")
_LEVELS = {
    "none": "LOW", "minimal": "LOW", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "HIGH", "max": "HIGH",
}  # fmt: skip
"""Effort -> level. LOW to HIGH is what every model since Gemini 3 takes; few take MINIMAL, and none can be kept from
thinking."""
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "named": "ANY"}
_TIERS = {
    "flex": "flex",
    "priority": "priority",
    "auto": "standard",
    "default": "standard",
    "standard": "standard",
}
_MODEL, _USER = "model", "user"


def request(conversation: Conversation, model: str) -> Encoded:
    """The body of a request, and the names of what was left out.

    Raises:
        CannotExpress: something has no place here and would be missed.
        ClientProtocolError: it makes no sense here.
    """
    asking = _Asking(model)
    body: dict[str, Any] = {"contents": asking.contents(conversation.messages)}
    if asking.system:
        body["systemInstruction"] = {"parts": asking.system}
    if conversation.tools:
        body["tools"] = [{"functionDeclarations": [asking.function(tool) for tool in conversation.tools]}]
    choice = conversation.tool_choice
    if choice is not None and conversation.tools:
        body["toolConfig"] = {"functionCallingConfig": _calling(choice)}
    config = _sampling(conversation.sampling)
    asking.output(conversation, config)
    if conversation.reasoning is not None:
        asking.thinking(conversation.reasoning, config)
    if config:
        body["generationConfig"] = config
    if conversation.service_tier:
        tier = _TIERS.get(conversation.service_tier)
        if tier is None:
            asking.drop("service_tier")
        else:
            body["serviceTier"] = tier
    asking.leave(conversation)
    return Encoded(encode(body), tuple(asking.dropped))


class _Asking:
    """One request being written.

    Attributes:
        system: the parts of the system's instruction.
        dropped: what was left out.
    """

    def __init__(self, model: str) -> None:
        self.system: list[Any] = []
        self.dropped: dict[str, None] = {}
        found = _GENERATION.search(model)
        self._generation = int(found[1][:4]) if found else 0
        self._strict = self._generation >= 3 or (not found and "gemini" in model)
        self._nested = self._generation not in {1, 2}
        self._pro = "pro" in model
        self._names: dict[str, str] = {}
        self._proofs = Proofs(ORIGIN)

    def drop(self, feature: str) -> None:
        self.dropped[feature] = None

    def refuse(self, feature: str) -> CannotExpress:
        place = PLACES[feature]
        refused = place.foreign if isinstance(place, Sent) else place
        return CannotExpress(feature, refused.why if isinstance(refused, Refused) else "it has no place here")

    # Turns.

    def contents(self, messages: tuple[Message, ...]) -> list[dict[str, Any]]:
        turns: list[tuple[str, list[Any]]] = []
        for message in messages:
            if message.name:
                self.drop("name")
            if message.role in {"system", "developer"}:
                self.system += [part for one in message.parts for part in self._system(one)]
                continue
            role = _MODEL if message.role == "assistant" else _USER
            parts = [part for one in message.parts for part in self._part(one)]
            if not parts:
                continue
            if turns and turns[-1][0] == role:
                turns[-1][1].extend(parts)
            else:
                turns.append((role, parts))
        if not turns:
            raise ClientProtocolError("the request holds no message that a model could answer")
        return [{"role": role, "parts": self._ordered(role, parts)} for role, parts in turns]

    def _ordered(self, role: str, parts: list[Any]) -> list[Any]:
        if role == _USER:
            answers = [part for part in parts if "functionResponse" in part]
            if answers and len(answers) < len(parts):
                return [*answers, *(part for part in parts if "functionResponse" not in part)]
        elif self._strict:
            calls = [part for part in parts if "functionCall" in part]
            if calls and not any("thoughtSignature" in part for part in calls):
                calls[0]["thoughtSignature"] = UNSIGNED
        return parts

    def _system(self, part: Part) -> list[Any]:
        if isinstance(part, TextPart):
            if part.cache is not None:
                self.drop("cache")
            return [{"text": part.text}] if part.text else []
        raise CannotExpress("system", "instructions are texts here")

    def _part(self, part: Part) -> list[Any]:
        if getattr(part, "cache", None) is not None:
            self.drop("cache")
        match part:
            case TextPart():
                return [{"text": part.text}] if part.text else []
            case ToolCallPart():
                return [self._call(part)]
            case ToolResultPart():
                return self._answer(part)
            case ReasoningPart():
                return self._thought(part)
            case RefusalPart():
                return [{"text": part.text}] if part.text else []
            case OpaquePart():
                if part.kind not in OWN_PARTS:
                    raise self.refuse("opaque")
                return [wire.decode_object(part.raw)]
            case _:
                return self._media(part)

    def _media(self, part: Part) -> list[Any]:
        match part:
            case ImagePart():
                if part.detail and part.detail != "auto":
                    self.drop("image.detail")
                return [media.image(part)]
            case AudioPart():
                return [media.audio(part)]
            case DocumentPart():
                if part.file_id and part.origin != ORIGIN:
                    raise self.refuse("document.file_id")
                if part.citations:
                    self.drop("document.citations")
                words = media.words(part)
                return [*([{"text": words.text}] if words else []), media.document(part)]
            case _:
                raise self.refuse("opaque")

    def _thought(self, part: ReasoningPart) -> list[Any]:
        if part.origin != ORIGIN:
            self.drop("reasoning.history")
            return []
        if self._proofs.take(part):
            return []
        thought: dict[str, Any] = {"text": part.text}
        if part.text:
            thought["thought"] = True
        if part.signature:
            thought["thoughtSignature"] = part.signature
        return [thought] if part.text or part.signature else []

    def _call(self, part: ToolCallPart) -> dict[str, Any]:
        self._names[part.id] = part.name
        call: dict[str, Any] = {"name": part.name, "args": _arguments(part)}
        if part.id:
            call["id"] = part.id
        signature = self._proofs.of(part)
        if signature:
            return {"functionCall": call, "thoughtSignature": signature}
        return {"functionCall": call}

    def _answer(self, part: ToolResultPart) -> list[Any]:
        name = self._names.get(part.id)
        if name is None:
            raise ClientProtocolError(
                f"the tool result for the call '{part.id[:64]}' follows no such call of the assistant"
            )
        texts, others = [], []
        for one in part.parts:
            if isinstance(one, TextPart):
                if one.cache is not None:
                    self.drop("cache")
                texts.append(one.text)
            else:
                others += self._part(one)
        answer: dict[str, Any] = {
            "name": name,
            "response": {"error" if part.is_error else "output": "\n".join(texts)},
        }
        if part.id:
            answer["id"] = part.id
        if others and self._nested:
            answer["parts"] = [one for one in others if "text" not in one]
            others = [one for one in others if "text" in one]
        return [{"functionResponse": answer}, *others]

    # The rest.

    def function(self, tool: Tool) -> dict[str, Any]:
        if tool.custom:
            raise self.refuse("tools.custom")
        if tool.strict is not None:
            self.drop("tools.strict")
        if tool.cache is not None:
            self.drop("cache")
        declared: dict[str, Any] = {"name": tool.name}
        if tool.description:
            declared["description"] = tool.description
        if bytes(tool.parameters) not in {b"{}", b"null"}:
            declared["parametersJsonSchema"] = tool.parameters
        return declared

    def output(self, conversation: Conversation, config: dict[str, Any]) -> None:
        output = conversation.output
        if output is None or output.form == "text":
            return
        config["responseMimeType"] = "application/json"
        if output.form == "json_schema":
            config["responseJsonSchema"] = output.schema

    def thinking(self, reasoning: Reasoning, config: dict[str, Any]) -> None:
        thinking: dict[str, Any] = {}
        off = reasoning.mode == "off" or reasoning.effort == "none"
        if off:
            self._off(thinking)
        elif reasoning.budget is not None:
            thinking["thinkingBudget"] = self._bounded(reasoning.budget)
            if reasoning.effort:
                self.drop("reasoning.effort")
        elif reasoning.effort:
            if self._nested:
                thinking["thinkingLevel"] = _LEVELS.get(reasoning.effort, "HIGH")
            else:
                thinking["thinkingBudget"] = self._bounded(budget_of(reasoning.effort) or -1)
        elif reasoning.mode:
            thinking["thinkingBudget"] = -1
        if not off and not reasoning.hidden and (thinking or reasoning.summary):
            thinking["includeThoughts"] = True
        if thinking:
            config["thinkingConfig"] = thinking

    def _off(self, thinking: dict[str, Any]) -> None:
        """As little thought as the model can be brought to."""
        if self._strict:
            thinking["thinkingLevel"] = _LEVELS["none"]
        else:
            thinking["thinkingBudget"] = 128 if self._pro and not self._nested else 0

    def _bounded(self, budget: int) -> int:
        """A budget that the model takes: Gemini 2.5 refuses more than its own most."""
        return budget if self._nested else min(budget, 32768 if self._pro else 24576)

    def leave(self, conversation: Conversation) -> None:
        """Name what has no place at all, and refuse what would be missed."""
        if bytes(conversation.sampling.logit_bias) not in {b"null", b"{}"}:
            raise self.refuse("logit_bias")
        said = {
            "parallel_tool_calls": conversation.parallel_tool_calls is not None,
            "cache_key": bool(conversation.cache_key),
            "user": bool(conversation.user),
            "metadata": bool(conversation.metadata),
            "verbosity": bool(conversation.verbosity),
        }
        for feature, used in said.items():
            if used and isinstance(PLACES[feature], Dropped):
                self.drop(feature)


def _arguments(part: ToolCallPart) -> Any:
    """A call's arguments as a JSON object; a text that is none, such as one cut short, goes as a text."""
    text = part.arguments.strip()
    if not text:
        return {}
    try:
        known = wire.decode_object(text) is not None
    except BAD_JSON:
        known = False
    return Raw(text.encode()) if known else {"arguments": part.arguments}


def _calling(choice: ToolChoice) -> dict[str, Any]:
    names = [choice.name] if choice.mode == "named" else list(choice.allowed)
    if not names:
        return {"mode": _MODES[choice.mode]}
    mode = "VALIDATED" if choice.mode == "auto" else _MODES[choice.mode]
    return {"mode": mode, "allowedFunctionNames": names}


def _sampling(sampling: Sampling) -> dict[str, Any]:
    said = {
        "maxOutputTokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
        "topK": sampling.top_k,
        "stopSequences": sampling.stop or None,
        "seed": sampling.seed,
        "candidateCount": sampling.n if sampling.n != 1 else None,
        "presencePenalty": sampling.presence_penalty,
        "frequencyPenalty": sampling.frequency_penalty,
        "responseLogprobs": sampling.logprobs,
        "logprobs": sampling.top_logprobs if sampling.logprobs and sampling.top_logprobs else None,
    }
    return {name: value for name, value in said.items() if value is not None}
