"""A chat with a local model as OpenAI's clients hold it: what was asked, as values, and the answer, whole or streamed.

Source: OpenAI's API reference, "Create chat completion" and "The chat completion chunk object", 2026-11.

Rule: what a local model cannot do is refused with 400 and named, never ignored.
Rule: quotes nothing of a conversation in an error, because errors are logged.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.json_body import BAD_JSON, encode
from archflow_plugins.dialects.openai_chat import OpenAIChat
from archflow_plugins.dialects.openai_family import DONE
from archflow_plugins.framing import sse
from archflow_schema.conversation import (
    AudioPart,
    Conversation,
    DocumentPart,
    ImagePart,
    Message,
    OpaquePart,
    RefusalPart,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from archflow_schema.errors import ClientProtocolError

if TYPE_CHECKING:
    from archflow_plugins.local_models.chat_template import ToolFrame, Turn
    from archflow_plugins.local_models.constrain import Rule
    from archflow_plugins.local_models.generate import Generation, LanguageModel, Piece
    from archflow_plugins.local_models.sample import Sampling, Score
    from archflow_plugins.local_models.tokens import Vocabulary
    from archflow_plugins.local_models.tool_calls import CallDelta, CallReader, Calls

STOPS_AT_MOST = 16
ALTERNATIVES_AT_MOST = 20
ANSWERS_AT_MOST = 8
_GOES_ON = {"finish_reason": None}
_NO_TEXT = (ImagePart, AudioPart, DocumentPart, OpaquePart)


class _JsonSchema(Struct):
    name: str = ""
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class _Format(Struct):
    type: str
    json_schema: _JsonSchema | None = None


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Fields(Struct):
    """The fields of a chat request beside its messages and tools, as far as they matter here."""

    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    n: int | None = None
    response_format: _Format | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    functions: Raw = Raw(b"null")
    function_call: Raw = Raw(b"null")
    modalities: list[str] | None = None
    audio: Raw = Raw(b"null")


_decode_fields = msgspec.json.Decoder(_Fields).decode


class ChatRequest:
    """What was asked for.

    Attributes:
        stream: whether it is to be answered in events.
        usage: whether the events tell what it cost.
        scored: whether the tokens' likelihoods are told.
        answers: how many there are to be.

    Raises:
        ClientProtocolError: it cannot be read, or asks for something that a local model cannot do.
    """

    def __init__(self, dialect: OpenAIChat, body: bytes) -> None:
        head = dialect.decode_head(body)
        if "messages" not in head.fields:
            raise ClientProtocolError("the request lacks `messages`")
        conversation = dialect.decode(head)
        try:
            asked = _decode_fields(body)
        except BAD_JSON as error:
            raise ClientProtocolError(f"the request cannot be read: {error}") from error
        _check_messages(conversation)
        self._messages = conversation.messages
        self._sampling = _sampling(asked)
        self._format = asked.response_format
        self._tools, self._must_call = _tools(asked, conversation)
        choice = conversation.tool_choice
        self._one_call = conversation.parallel_tool_calls is False or bool(choice and choice.mode == "named")
        self.stream = bool(asked.stream)
        self.usage = bool(asked.stream_options and asked.stream_options.include_usage)
        self.scored = bool(asked.logprobs)
        self.answers = 1 if asked.n is None else asked.n

    def makes(self) -> list[Callable[[LanguageModel, Callable[[Piece], None]], Generation]]:
        """What begins each answer; called in a thread, one after the other."""
        prompt: list[int] = []

        def make(number: int, model: LanguageModel, tell: Callable[[Piece], None]) -> Generation:
            from archflow_plugins.local_models.generate import Generation

            if not prompt:
                prompt.extend(self._prompt(model))
            sampling = self._sampling
            if sampling.seed is not None and number:
                sampling = msgspec.structs.replace(sampling, seed=sampling.seed + number)
            return Generation(
                model, prompt, sampling, tell, _rule(self._format, model.words), self._calls(model)
            )

        return [
            lambda model, tell, number=number: make(number, model, tell)  # type: ignore[misc]
            for number in range(self.answers)
        ]

    def counts(self, model: LanguageModel) -> Iterator[int]:
        """How many tokens the model reads before it answers, part by part. Blocks: called in a thread.

        Raises:
            ClientProtocolError: it would not answer: what `makes` raises, whatever the length.
        """
        _rule(self._format, model.words)
        calls = self._calls(model)
        if calls is not None and calls.required:
            yield len(model.words.encode_bytes(calls.mark))
        yield from model.counts(*self._asked(model))

    def _prompt(self, model: LanguageModel) -> list[int]:
        return model.prompt(*self._asked(model))

    def _asked(self, model: LanguageModel) -> tuple[list[Turn], str]:
        """What was said, and what the model is told of tools."""
        from archflow_plugins.local_models import tool_calls

        frame = model.frame.tools
        return _turns(self._messages, frame), tool_calls.told(frame, self._tools) if self._tools else ""

    def _calls(self, model: LanguageModel) -> Calls | None:
        from archflow_plugins.local_models import tool_calls

        if not self._tools:
            return None
        most = {"most": 1} if self._one_call else {}
        try:
            return tool_calls.calls(
                model.frame.tools, self._tools, model.words, required=self._must_call, **most
            )
        except tool_calls.BadTool as error:
            raise ClientProtocolError(
                f"`tools[{error.index}].function.parameters` cannot be held to: {error}"
            ) from error


class ChatWriter:
    """Writes the answer to one request, whole or in chunks.

    Args:
        model: as the client asked for it.
        asked: the request.
        words: the model's vocabulary.
        frame: how the model writes calls.
    """

    def __init__(self, model: str, asked: ChatRequest, words: Vocabulary, frame: ToolFrame) -> None:
        self._words = words
        self._frame = frame
        self._scored = asked.scored
        self._usage = asked.usage
        self._shared = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}
        self._readers: dict[int, CallReader] = {}

    def whole(self, pieces: Sequence[tuple[int, Piece]], generations: Sequence[Generation]) -> bytes:
        """The answer in one piece."""
        choices = [
            self._whole_choice(number, [piece for of, piece in pieces if of == number], generation)
            for number, generation in enumerate(generations)
        ]
        return encode(
            {**self._shared, "object": "chat.completion", "choices": choices, "usage": _usage(generations)}
        )

    def _whole_choice(self, number: int, pieces: Sequence[Piece], generation: Generation) -> dict[str, Any]:
        text = "".join(one.text for one in pieces if not one.called)
        deltas = [delta for piece in pieces if piece.called for delta in self._read(number, piece)]
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        if deltas:
            message["content"] = text or None
            message["tool_calls"] = _whole_calls(deltas)
        scores = [score for one in pieces if not one.called for score in one.scores]
        return {
            "index": number,
            "message": message,
            "logprobs": self._logprobs(scores),
            **_ending(generation),
        }

    def begin(self, number: int) -> bytes:
        """The first chunk of an answer."""
        return self._chunk(number, {"role": "assistant", "content": ""})

    def piece(self, number: int, piece: Piece) -> bytes:
        """A bit of an answer as chunks."""
        if not piece.called:
            return self._chunk(number, {"content": piece.text}, logprobs=self._logprobs(piece.scores))
        return b"".join(
            self._chunk(number, {"tool_calls": [_call_delta(delta)]}) for delta in self._read(number, piece)
        )

    def end(self, generations: Sequence[Generation]) -> bytes:
        """The last chunks: why each answer ended, what it cost, and the mark of the end.

        The cost is a chunk of its own where the client asked for it, and else in the last answer's last chunk, as many
        vendors have it: what is not told is in no log, no metric and no rate limit.
        """
        cost = _usage(generations)
        last = len(generations) - 1
        found = b"".join(
            self._chunk(
                number, {}, ending=_ending(one), usage=cost if number == last and not self._usage else None
            )
            for number, one in enumerate(generations)
        )
        if self._usage:
            found += self._event({"choices": [], "usage": cost})
        return found + DONE

    def _read(self, number: int, piece: Piece) -> list[CallDelta]:
        from archflow_plugins.local_models.tool_calls import CallReader

        reader = self._readers.get(number)
        if reader is None:
            reader = self._readers[number] = CallReader(self._frame)
        return reader.read(piece.text)

    def _chunk(
        self,
        number: int,
        delta: dict[str, Any],
        *,
        logprobs: Any = None,
        ending: Mapping[str, str | None] = _GOES_ON,
        usage: Mapping[str, int] | None = None,
    ) -> bytes:
        choice = {"index": number, "delta": delta, "logprobs": logprobs, **ending}
        return self._event({"choices": [choice], **({"usage": usage} if self._usage or usage else {})})

    def _event(self, fields: dict[str, Any]) -> bytes:
        return sse.encode(encode({**self._shared, "object": "chat.completion.chunk", **fields}))

    def _logprobs(self, scores: Sequence[Score]) -> dict[str, Any] | None:
        if not self._scored:
            return None
        return {
            "content": [self._score(one) for one in scores],
            "refusal": None,
        }

    def _score(self, score: Score) -> Raw:
        """A token with its alternatives, written by itself: all of a long answer at once would take too long."""
        best = [self._token(token, logprob) for token, logprob in score.best]
        return Raw(encode({**self._token(score.token, score.logprob), "top_logprobs": best}))

    def _token(self, token: int, logprob: float) -> dict[str, Any]:
        data = self._words.bytes[token]
        name = data.decode("utf-8", "replace") if data else self._words.names[token]
        return {"token": name, "logprob": logprob, "bytes": list(data) if data else None}


def _usage(generations: Sequence[Generation]) -> dict[str, int]:
    """What it cost: the prompt once, and every token of every answer."""
    prompt, written = len(generations[0].prompt), sum(len(one.tokens) for one in generations)
    return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}


def _ending(generation: Generation) -> dict[str, str]:
    """Why it ended, and, as vLLM tells it, at which stop string: clients of Messages and Converse are told that one."""
    if generation.stopped_by:
        return {"finish_reason": "stop", "stop_reason": generation.stopped_by}
    called = generation.called and generation.reason == "stop"
    return {"finish_reason": "tool_calls" if called else generation.reason}


def _call_id() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"


def _call_delta(delta: CallDelta) -> dict[str, Any]:
    if not delta.name:
        return {"index": delta.index, "function": {"arguments": delta.arguments}}
    function = {"name": delta.name, "arguments": delta.arguments}
    return {"index": delta.index, "id": _call_id(), "type": "function", "function": function}


def _whole_calls(deltas: Sequence[CallDelta]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for one in deltas:
        if one.name:
            function = {"name": one.name, "arguments": ""}
            found.append({"id": _call_id(), "type": "function", "function": function})
        found[-1]["function"]["arguments"] += one.arguments
    return found


def _check_messages(conversation: Conversation) -> None:
    """Whether a conversation consists of what a local model can read: text, calls of tools and their answers."""
    if not conversation.messages:
        raise ClientProtocolError("`messages` must have at least one message")
    for index, message in enumerate(conversation.messages):
        for part in message.parts:
            inner = part.parts if isinstance(part, ToolResultPart) else (part,)
            custom = isinstance(part, ToolCallPart) and part.custom
            if custom or any(isinstance(one, _NO_TEXT) for one in inner):
                raise ClientProtocolError(
                    f"`messages[{index}]` holds more than text, and local models take text only"
                )


def _words(message: Message) -> str:
    """What a message says. Earlier thoughts are left out, as models were trained."""
    texts = (part.text for part in message.parts if isinstance(part, TextPart | RefusalPart | ToolResultPart))
    return "\n".join(texts)


def _turns(messages: Sequence[Message], frame: ToolFrame) -> list[Turn]:
    """The turns of a conversation. What several tools answered in a row is one turn, as models were trained."""
    from archflow_plugins.local_models.chat_template import Turn
    from archflow_plugins.local_models.tool_calls import written

    said: list[tuple[str, list[str]]] = []
    for message in messages:
        role = "system" if message.role == "developer" else message.role
        text = _words(message)
        calls = [part for part in message.parts if isinstance(part, ToolCallPart)]
        if calls:
            text = "\n".join(one for one in (text, written(frame, calls)) if one)
        if role == "tool" and said and said[-1][0] == "tool":
            said[-1][1].append(text)
        else:
            said.append((role, [text]))
    return [Turn(role, frame.answers.join(texts)) for role, texts in said]


def _tools(asked: _Fields, conversation: Conversation) -> tuple[tuple[Tool, ...], bool]:
    """The tools that may be called, and whether one must be."""
    tools, choice = conversation.tools, conversation.tool_choice or ToolChoice("auto")
    beyond = {name for name, _ in conversation.extras}
    if "tools" in beyond or any(one.custom for one in tools):
        raise ClientProtocolError("`tools` must all be of type function: local models know no others")
    if "tool_choice" in beyond:
        raise ClientProtocolError("`tool_choice` must be none, auto or required, or name functions")
    for name in ("functions", "function_call"):
        if bytes(getattr(asked, name)) != b"null":
            raise ClientProtocolError(f"`{name}` is not taken by local models: use `tools` and `tool_choice`")
    if choice.mode == "none" or (not tools and choice.mode == "auto"):
        return (), False
    if not tools:
        raise ClientProtocolError("`tool_choice` needs `tools` to choose from")
    _check_tools(tools)
    named = (choice.name,) if choice.mode == "named" else choice.allowed
    if not {one.name for one in tools}.issuperset(named):
        raise ClientProtocolError("`tool_choice` names a function that is not among `tools`")
    tools = tuple(one for one in tools if not named or one.name in named)
    must = choice.mode != "auto"
    if asked.response_format is not None and asked.response_format.type != "text" and not must:
        raise ClientProtocolError(
            "`response_format` beside `tools` leaves open which is meant: leave one out, or set `tool_choice`"
        )
    return tools, must


def _check_tools(tools: Sequence[Tool]) -> None:
    from archflow_plugins.local_models.tool_calls import TOOLS_AT_MOST

    if len(tools) > TOOLS_AT_MOST:
        raise ClientProtocolError(f"`tools` must be at most {TOOLS_AT_MOST}")
    seen: set[str] = set()
    for index, tool in enumerate(tools):
        if not tool.name or tool.name in seen:
            raise ClientProtocolError(f"`tools[{index}].function.name` is empty or was there before")
        seen.add(tool.name)


def _sampling(asked: _Fields) -> Sampling:
    from archflow_plugins.local_models.sample import Sampling

    _unsupported(asked)
    most = asked.max_completion_tokens if asked.max_completion_tokens is not None else asked.max_tokens
    if most is not None and most < 1:
        raise ClientProtocolError("`max_tokens` must be 1 or more")
    temperature = 0.0 if asked.temperature is None else asked.temperature
    if not 0 <= temperature <= 2:
        raise ClientProtocolError("`temperature` must be from 0 to 2")
    top_p = 1.0 if asked.top_p is None else asked.top_p
    if not 0 <= top_p <= 1:
        raise ClientProtocolError("`top_p` must be from 0 to 1")
    stop = (asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ())
    if len(stop) > STOPS_AT_MOST or not all(stop):
        raise ClientProtocolError(f"`stop` must be at most {STOPS_AT_MOST} strings that are not empty")
    if stop and asked.response_format is not None and asked.response_format.type != "text":
        raise ClientProtocolError(
            "`stop` would cut the JSON that response_format asks for: leave one of them out"
        )
    if asked.top_logprobs is not None and not asked.logprobs:
        raise ClientProtocolError("`top_logprobs` needs `logprobs: true`")
    alternatives = asked.top_logprobs or 0
    if not 0 <= alternatives <= ALTERNATIVES_AT_MOST:
        raise ClientProtocolError(f"`top_logprobs` must be from 0 to {ALTERNATIVES_AT_MOST}")
    return Sampling(
        max_tokens=most or 0,
        temperature=temperature if top_p > 0 else 0.0,
        top_p=top_p or 1.0,
        seed=asked.seed,
        stop=stop,
        logprobs=alternatives if asked.logprobs else None,
    )


def _unsupported(asked: _Fields) -> None:
    """Refuse what would change the answer and is not taken."""
    if asked.n is not None and not 1 <= asked.n <= ANSWERS_AT_MOST:
        raise ClientProtocolError(f"`n` must be from 1 to {ANSWERS_AT_MOST}")
    for name in ("presence_penalty", "frequency_penalty", "logit_bias"):
        if getattr(asked, name):
            raise ClientProtocolError(f"`{name}` is not taken by local models: leave it out")
    if bytes(asked.audio) != b"null" or (asked.modalities and asked.modalities != ["text"]):
        raise ClientProtocolError("local models answer in text: leave `modalities` and `audio` out")


def _rule(asked: _Format | None, words: Vocabulary) -> Rule | None:
    """What the answer must be."""
    from archflow_plugins.local_models import constrain
    from archflow_plugins.local_models.json_schema import BadSchema

    if asked is None or asked.type == "text":
        return None
    if asked.type == "json_object":
        return constrain.json_object(words)
    if asked.type != "json_schema" or asked.json_schema is None:
        raise ClientProtocolError(
            "`response_format` must be text, json_object, or json_schema with its schema"
        )
    schema = asked.json_schema.schema
    try:
        return constrain.json_schema(True if schema is None else schema, words)
    except BadSchema as error:
        raise ClientProtocolError(
            f"`response_format.json_schema.schema` cannot be held to: {error}"
        ) from error
