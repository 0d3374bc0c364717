"""A request of chat completions as it stands on the wire, with what other vendors than OpenAI add to it.

Rule: a field is optional here if any vendor or client leaves it out, and typed loosely if they differ.
"""

from __future__ import annotations

from msgspec import Raw, Struct

from archflow_schema.conversation import CacheMark

NULL = Raw(b"null")


class Cache(Struct, frozen=True, kw_only=True):
    """A mark for the prompt cache, as Anthropic writes it."""

    ttl: str | None = None


class Breakpoint(Struct, frozen=True, kw_only=True):
    """A mark for the prompt cache, as OpenAI writes it."""

    mode: str | None = None


class Marked(Struct, frozen=True, kw_only=True, tag_field="type"):
    """A part that may carry a mark for the prompt cache: OpenRouter's and LiteLLM's form, or OpenAI's own."""

    cache_control: Cache | None = None
    prompt_cache_breakpoint: Breakpoint | None = None

    @property
    def mark(self) -> CacheMark | None:
        if self.cache_control is not None:
            return CacheMark(self.cache_control.ttl or "")
        return None if self.prompt_cache_breakpoint is None else CacheMark()


class TextForm(Marked, frozen=True, kw_only=True, tag="text"):
    """A text."""

    text: str | None = None


class ImageUrl(Struct, frozen=True, kw_only=True):
    """Where an image is."""

    url: str
    detail: str | None = None


class ImageForm(Marked, frozen=True, kw_only=True, tag="image_url"):
    """An image."""

    image_url: ImageUrl | str | None = None
    """Mistral also takes a bare string."""


class Sound(Struct, frozen=True, kw_only=True):
    """Sound as base64."""

    data: str
    format: str


class AudioForm(Marked, frozen=True, kw_only=True, tag="input_audio"):
    """Sound."""

    input_audio: Sound


class FileData(Struct, frozen=True, kw_only=True):
    """What is in a file."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FileForm(Marked, frozen=True, kw_only=True, tag="file"):
    """A file."""

    file: FileData


class RefusalForm(Marked, frozen=True, kw_only=True, tag="refusal"):
    """Words of refusal."""

    refusal: str


class PartType(Struct, frozen=True, kw_only=True):
    """What a part or a tool is."""

    type: str


class Called(Struct, frozen=True, kw_only=True):
    """A function that was called."""

    name: str = ""
    arguments: str | dict[str, object] | None = None
    """Some clients send the object itself rather than its text."""


class CustomCalled(Struct, frozen=True, kw_only=True):
    """A tool with free text that was called."""

    name: str = ""
    input: str = ""


class Google(Struct, frozen=True, kw_only=True):
    """What Google's models add to a call."""

    thought_signature: str | None = None


class ExtraContent(Struct, frozen=True, kw_only=True):
    """What vendors add to a call."""

    google: Google | None = None


class CallForm(Struct, frozen=True, kw_only=True):
    """A call of a tool."""

    id: str | None = None
    type: str | None = None
    function: Called | None = None
    custom: CustomCalled | None = None
    extra_content: ExtraContent | None = None
    cache_control: Cache | None = None


class WireMessage(Struct, frozen=True, kw_only=True):
    """A message of any role."""

    role: str
    content: str | list[Raw] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[Raw] | None = None
    tool_call_id: str | None = None
    function_call: Called | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: Raw = NULL
    thinking_blocks: Raw = NULL
    cache_control: Cache | None = None


class Function(Struct, frozen=True, kw_only=True):
    """A function that may be called."""

    name: str
    description: str | None = None
    parameters: Raw = Raw(b"{}")
    strict: bool | None = None


class CustomTool(Struct, frozen=True, kw_only=True):
    """A tool that takes free text."""

    name: str
    description: str | None = None
    format: Raw = NULL


class FunctionTool(Struct, frozen=True, kw_only=True):
    """A tool that is a function."""

    function: Function
    cache_control: Cache | None = None


class CustomToolItem(Struct, frozen=True, kw_only=True):
    """A tool that takes free text, as an item of the list."""

    custom: CustomTool


class Named(Struct, frozen=True, kw_only=True):
    """Something by its name."""

    name: str


class Allowed(Struct, frozen=True, kw_only=True):
    """A choice among some of the tools."""

    mode: str = "auto"
    tools: list[ChosenTool] = []


class ChosenTool(Struct, frozen=True, kw_only=True):
    """A choice of one tool or of some."""

    type: str | None = None
    function: Named | None = None
    custom: Named | None = None
    allowed_tools: Allowed | None = None


class SchemaForm(Struct, frozen=True, kw_only=True):
    """The schema of an answer."""

    name: str | None = None
    description: str | None = None
    schema: Raw = NULL
    strict: bool | None = None


class FormatForm(Struct, frozen=True, kw_only=True):
    """The form of an answer."""

    type: str = ""
    json_schema: SchemaForm | None = None
    schema: Raw = NULL
    """Together's and Fireworks' place for the schema of a `json_object`."""


class ReasoningForm(Struct, frozen=True, kw_only=True):
    """OpenRouter's `reasoning`, and the `thinking` of Anthropic, DeepSeek, Zhipu and LiteLLM."""

    type: str | None = None
    enabled: bool | None = None
    effort: str | None = None
    max_tokens: int | None = None
    budget_tokens: int | None = None
    exclude: bool | None = None
    summary: str | None = None


class Request(Struct, frozen=True, kw_only=True):
    """The fields that a conversation has a place for."""

    messages: list[WireMessage]
    tools: list[Raw] | None = None
    functions: list[Function] | None = None
    tool_choice: Raw = NULL
    function_call: str | Named | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    n: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: Raw = NULL
    response_format: Raw = NULL
    reasoning_effort: str | None = None
    reasoning: Raw = NULL
    thinking: Raw = NULL
    enable_thinking: bool | None = None
    thinking_budget: int | None = None
    include_reasoning: bool | None = None
    user: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    verbosity: str | None = None
    metadata: Raw = NULL
