"""The shapes of Google's JSON, as far as they are read here. What is not named stays behind, or goes as raw JSON.

Rule: one decode reads a request's `contents`, and one a reply or a chunk of it.
Rule: a field that is null is a field that is absent; where Google's servers take one object for a list, so do we.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

NULL = Raw(b"null")
Number = Annotated[int, Meta(ge=-(2**31), lt=2**31)]


class Blob(Struct, frozen=True, rename="camel"):
    """Bytes in the request or reply, base64."""

    mime_type: str | None = None
    data: str | None = None
    display_name: str | None = None


class FileData(Struct, frozen=True, rename="camel"):
    """A file elsewhere: in Google's stores, or at an address."""

    mime_type: str | None = None
    file_uri: str | None = None
    display_name: str | None = None


class FunctionCall(Struct, frozen=True, rename="camel"):
    """A tool is asked for."""

    name: str | None = None
    id: str | None = None
    args: Raw = NULL


class ResponsePart(Struct, frozen=True, rename="camel"):
    """A picture or document among a tool's answer."""

    inline_data: Blob | None = None
    file_data: FileData | None = None


class FunctionResponse(Struct, frozen=True, rename="camel"):
    """What a tool answered."""

    name: str | None = None
    id: str | None = None
    response: Raw = NULL
    parts: list[ResponsePart] | ResponsePart | None = None


class Part(Struct, frozen=True, rename="camel"):
    """One part of a content; exactly one of the fields up to `function_response` says what it is."""

    text: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_response: FunctionResponse | None = None
    thought: bool | None = None
    thought_signature: str | None = None


class Content(Struct, frozen=True, rename="camel"):
    """One turn of a request."""

    role: str | None = None
    parts: list[Part] | Part | None = None


class RawContent(Struct, frozen=True):
    """A turn as it came, for the sake of a part that is not understood."""

    parts: Raw = NULL


class FunctionDeclaration(Struct, frozen=True, rename="camel"):
    """A function that the model may call; its schema in one of two languages."""

    name: str
    description: str | None = None
    parameters: Raw = NULL
    parameters_json_schema: Raw = NULL


class Tool(Struct, frozen=True, rename="camel"):
    """Functions, or a tool that Google runs."""

    function_declarations: list[FunctionDeclaration] | FunctionDeclaration | None = None


class FunctionCallingConfig(Struct, frozen=True, rename="camel"):
    """Whether and which functions to call."""

    mode: str | None = None
    allowed_function_names: list[str] | None = None


class ToolConfig(Struct, frozen=True, rename="camel"):
    """How tools are used."""

    function_calling_config: FunctionCallingConfig | None = None


class ThinkingConfig(Struct, frozen=True, rename="camel"):
    """How much to think."""

    include_thoughts: bool | None = None
    thinking_budget: Number | None = None
    thinking_level: str | None = None


class GenerationConfig(Struct, frozen=True, rename="camel"):
    """How the answer is drawn and what form it has."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: Annotated[float, Meta(ge=0, lt=2**31)] | None = None
    max_output_tokens: Number | None = None
    stop_sequences: list[str] | None = None
    candidate_count: Number | None = None
    seed: Number | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    response_logprobs: bool | None = None
    logprobs: Number | None = None
    response_mime_type: str | None = None
    response_schema: Raw = NULL
    response_json_schema: Raw = NULL
    thinking_config: ThinkingConfig | None = None


class ReplyContent(Struct, frozen=True, rename="camel"):
    """What a candidate said."""

    parts: list[Part] | None = None


class Web(Struct, frozen=True, rename="camel"):
    """A page that the answer rests on."""

    uri: str | None = None
    title: str | None = None


class GroundingChunk(Struct, frozen=True, rename="camel"):
    """A source."""

    web: Web | None = None
    retrieved_context: Web | None = None
    maps: Web | None = None


class Segment(Struct, frozen=True, rename="camel"):
    """A piece of the answer, in bytes of its UTF-8."""

    start_index: int | None = None
    end_index: int | None = None
    part_index: int | None = None


class GroundingSupport(Struct, frozen=True, rename="camel"):
    """Which sources a piece of the answer rests on."""

    segment: Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class GroundingMetadata(Struct, frozen=True, rename="camel"):
    """The sources of an answer."""

    grounding_chunks: list[GroundingChunk] | None = None
    grounding_supports: list[GroundingSupport] | None = None


class Recited(Struct, frozen=True, rename="camel"):
    """A piece of the answer that stands word for word in a source."""

    start_index: int | None = None
    end_index: int | None = None
    uri: str | None = None
    title: str | None = None


class CitationMetadata(Struct, frozen=True, rename="camel"):
    """What was recited. The Gemini API says `citationSources`, Vertex AI `citations`."""

    citations: list[Recited] | None = None
    citation_sources: list[Recited] | None = None


class ChosenToken(Struct, frozen=True, rename="camel"):
    """A token and its log probability."""

    token: str | None = None
    log_probability: float | None = None


class TopTokens(Struct, frozen=True, rename="camel"):
    """The likeliest tokens of one place."""

    candidates: list[ChosenToken] | None = None


class LogprobsResult(Struct, frozen=True, rename="camel"):
    """The log probabilities of a chunk's tokens, place by place."""

    chosen_candidates: list[ChosenToken] | None = None
    top_candidates: list[TopTokens] | None = None


class Candidate(Struct, frozen=True, rename="camel"):
    """One answer, or more of it."""

    content: ReplyContent | None = None
    finish_reason: str | None = None
    index: int | None = None
    finish_message: str | None = None
    grounding_metadata: GroundingMetadata | None = None
    citation_metadata: CitationMetadata | None = None
    logprobs_result: LogprobsResult | None = None


class PromptFeedback(Struct, frozen=True, rename="camel"):
    """Why a prompt was not answered at all."""

    block_reason: str | None = None
    block_reason_message: str | None = None


class UsageMetadata(Struct, frozen=True, rename="camel"):
    """Counts so far. Thoughts and the results of tools that Google ran stand beside the other two."""

    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    cached_content_token_count: int | None = None


class Status(Struct, frozen=True):
    """google.rpc.Status."""

    code: int | None = None
    message: str | None = None
    status: str | None = None


class Chunk(Struct, frozen=True, rename="camel"):
    """A whole reply, or one chunk of a stream; or an error in the place of one."""

    candidates: list[Candidate] | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    response_id: str | None = None
    prompt_feedback: PromptFeedback | None = None
    error: Status | None = None
    service_tier: str | None = None


class Failure(Struct, frozen=True):
    """An error body."""

    error: Status | None = None


decode_chunk = msgspec.json.Decoder(Chunk).decode
decode_chunks = msgspec.json.Decoder(list[Chunk] | Chunk).decode
decode_failure = msgspec.json.Decoder(list[Failure] | Failure).decode
decode_contents = msgspec.json.Decoder(list[Content] | Content | None).decode
decode_raw_contents = msgspec.json.Decoder(list[RawContent] | RawContent).decode
decode_raws = msgspec.json.Decoder(list[Raw]).decode
decode_content = msgspec.json.Decoder(Content | None).decode
decode_tools = msgspec.json.Decoder(list[Raw] | None).decode
decode_tool = msgspec.json.Decoder(Tool).decode
decode_object = msgspec.json.Decoder(dict[str, Raw] | None).decode
decode_tool_config = msgspec.json.Decoder(ToolConfig | None).decode
decode_generation = msgspec.json.Decoder(GenerationConfig | None).decode
