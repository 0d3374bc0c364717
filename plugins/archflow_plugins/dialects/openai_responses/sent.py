"""What stands in a request of the Responses API, as it is written.

Source: OpenAI's API reference and its Python client 3.57, 2026-11.

Rule: a field at its default is left out, so that a request says only what was said.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct


class TextItem(Struct, frozen=True, tag_field="type", tag="input_text"):
    """Text that somebody but the assistant said."""

    text: str


class SaidItem(Struct, frozen=True, tag_field="type", tag="output_text"):
    """Text that the assistant said."""

    text: str


class RefusalItem(Struct, frozen=True, tag_field="type", tag="refusal"):
    """The assistant's words of refusal."""

    refusal: str


class ImageItem(Struct, frozen=True, tag_field="type", tag="input_image", omit_defaults=True):
    """An image."""

    image_url: str
    detail: str = ""


class FileItem(Struct, frozen=True, tag_field="type", tag="input_file", omit_defaults=True):
    """A file: its data, its address, or its id in OpenAI's store."""

    filename: str = ""
    file_data: str = ""
    file_url: str = ""
    file_id: str = ""


class MessageItem(Struct, frozen=True, tag_field="type", tag="message"):
    """A turn; `content` is a text or a list of parts."""

    role: str
    content: Any


class CallItem(Struct, frozen=True, tag_field="type", tag="function_call"):
    """A call of a function."""

    call_id: str
    name: str
    arguments: str


class CustomCallItem(Struct, frozen=True, tag_field="type", tag="custom_tool_call"):
    """A call of a tool that takes free text."""

    call_id: str
    name: str
    input: str


class ResultItem(Struct, frozen=True, tag_field="type", tag="function_call_output"):
    """What a function answered: a text or a list of parts."""

    call_id: str
    output: Any


class CustomResultItem(Struct, frozen=True, tag_field="type", tag="custom_tool_call_output"):
    """What a tool of free text answered."""

    call_id: str
    output: Any


class Thought(Struct, frozen=True, tag_field="type", tag="summary_text"):
    """A part of a summary of thoughts."""

    text: str


class RawThought(Struct, frozen=True, tag_field="type", tag="reasoning_text"):
    """Thoughts as they were."""

    text: str


class ReasoningItem(Struct, frozen=True, tag_field="type", tag="reasoning", omit_defaults=True):
    """What the model thought."""

    summary: tuple[Thought, ...]
    id: str = ""
    content: tuple[RawThought, ...] = ()
    encrypted_content: str = ""


class FunctionTool(Struct, frozen=True, tag_field="type", tag="function", omit_defaults=True):
    """A function."""

    name: str
    parameters: Raw
    strict: bool
    description: str = ""


class CustomTool(Struct, frozen=True, tag_field="type", tag="custom", omit_defaults=True):
    """A tool that takes free text."""

    name: str
    description: str = ""
    format: Any = None


class Body(Struct, frozen=True, omit_defaults=True):
    """The whole request."""

    model: str
    input: Any
    store: bool
    stream: bool = False
    instructions: str | None = None
    tools: Any = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    text: Any = None
    reasoning: Any = None
    include: Any = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    metadata: Any = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
