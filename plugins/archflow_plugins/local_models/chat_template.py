"""How the turns of a conversation become the text that a chat model was trained on.

A template is data: what stands before and after a turn of each role, and what asks the model to speak. The words of
a turn are encoded apart from the template's, so that nobody can write a control token into a conversation.

Source: the chat templates that the models' makers publish with them (ChatML: SmolLM2, Qwen2.5; Llama 3.1).

Rule: knows turns and tokens, not wire formats.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from archflow_plugins.local_models.tokens import TooMany, Vocabulary
from archflow_schema.errors import ArchflowError


class Turn(Struct, frozen=True):
    """One turn: `system`, `user`, `assistant` or `tool`, and what was said."""

    role: str
    text: str


class ToolFrame(Struct, frozen=True, kw_only=True):
    """How a model is told of tools, and how it calls them.

    Attributes:
        before, after: stand around the tools, which follow the words of the system turn, a line of JSON each.
        call: stands before and after a call, which is `{"name": ..., "arguments": ...}`.
        arguments: what the member with the arguments is called.
        anywhere: whether a call may follow words; else only the whole answer is one.
        answers: stands between the answers of several tools.
    """

    before: str
    after: str
    call: tuple[str, str]
    arguments: str = "arguments"
    anywhere: bool = True
    answers: str = "\n"


class Template(Struct, frozen=True, kw_only=True):
    """The frame of a conversation.

    Attributes:
        start: opens the conversation.
        turns: role -> what stands before and after its words.
        ask: what makes the model speak next.
        stop: ends of a turn beside the vocabulary's own, by name of the token.
        strip: whether white space around the words is dropped, as the model was trained.
        tools: how tools are spoken of.
    """

    start: str = ""
    turns: dict[str, tuple[str, str]]
    ask: str
    tools: ToolFrame
    stop: tuple[str, ...] = ()
    strip: bool = False


def _each(before: str, after: str, roles: Sequence[str]) -> dict[str, tuple[str, str]]:
    return {role: (before.replace("ROLE", role), after) for role in roles}


_ROLES = ("system", "user", "assistant")
_TAGGED = ToolFrame(
    before=(
        "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
        "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n"
    ),
    after=(
        "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
        "<tool_call></tool_call> XML tags:\n<tool_call>\n"
        '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
    ),
    call=("<tool_call>\n", "\n</tool_call>"),
    answers="\n</tool_response>\n<tool_response>\n",
)
"""As Qwen2.5 and Qwen3 were trained; the tags are those of Hermes, which many others know too."""

TEMPLATES: dict[str, Template] = {
    "chatml": Template(
        turns=_each("<|im_start|>ROLE\n", "<|im_end|>\n", _ROLES)
        | {"tool": ("<|im_start|>user\n<tool_response>\n", "\n</tool_response><|im_end|>\n")},
        ask="<|im_start|>assistant\n",
        tools=_TAGGED,
        stop=("<|im_end|>", "<|endoftext|>"),
    ),
    "llama3": Template(
        start="<|begin_of_text|>",
        turns=_each(
            "<|start_header_id|>ROLE<|end_header_id|>\n\n", "<|eot_id|>", ("system", "user", "assistant")
        )
        | {"tool": ("<|start_header_id|>ipython<|end_header_id|>\n\n", "<|eot_id|>")},
        ask="<|start_header_id|>assistant<|end_header_id|>\n\n",
        tools=ToolFrame(
            before=(
                "\n\nYou have access to the following functions. To call a function, please respond with JSON for a "
                'function call. Respond in the format {"name": function name, "parameters": dictionary of argument '
                "name and its value}. Do not use variables.\n\n"
            ),
            after="",
            call=("", ""),
            arguments="parameters",
            anywhere=False,
        ),
        stop=("<|eot_id|>", "<|end_of_text|>", "<|eom_id|>"),
        strip=True,
    ),
    "plain": Template(
        turns={
            "system": ("", "\n\n"),
            "user": ("User: ", "\n"),
            "assistant": ("Assistant: ", "\n"),
            "tool": ("Tool: ", "\n"),
        },
        ask="Assistant:",
        tools=_TAGGED,
    ),
}
"""The templates by the names that the catalogue uses."""


def template(name: str) -> Template:
    """The template of a name.

    Raises:
        ArchflowError: there is none.
    """
    found = TEMPLATES.get(name or "plain")
    if found is None:
        raise ArchflowError(f'there is no chat template "{name}": use one of {", ".join(TEMPLATES)}')
    return found


def render(
    frame: Template,
    turns: Sequence[Turn],
    words: Vocabulary,
    system: str = "",
    tools: str = "",
    most: int | None = None,
) -> list[int]:
    """The prompt of a conversation, as tokens.

    Args:
        frame: the template.
        turns: in order. A last turn of the assistant is continued rather than answered.
        words: the model's vocabulary.
        system: the first turn where the conversation has no system turn of its own.
        tools: follows the words of that turn.
        most: how many tokens there may be.

    Blocks: while long texts are encoded, so it belongs in a thread.

    Raises:
        TooMany: the words of the turns have more tokens than that.
    """
    ids: list[int] = []
    for text, ours in _parts(frame, turns, system, tools):
        if ours:
            ids += words.encode_template(text)
            continue
        try:
            ids += words.encode(text, None if most is None else max(0, most - len(ids)))
        except TooMany as error:
            raise TooMany(len(ids) + error.count) from None
    return ids


def counts(
    frame: Template, turns: Sequence[Turn], words: Vocabulary, system: str = "", tools: str = ""
) -> Iterator[int]:
    """How many tokens `render` would give, part by part, however many these are; they are not kept.

    Blocks: about a second for 4 MB of text, so it belongs in a thread.
    """
    for text, ours in _parts(frame, turns, system, tools):
        if ours:
            yield len(words.encode_template(text))
        else:
            yield from words.counts(text)


def _parts(frame: Template, turns: Sequence[Turn], system: str, tools: str) -> Iterator[tuple[str, bool]]:
    """The texts of a prompt in order, and whether each is the template's own, with its control tokens."""
    if (system or tools) and (not turns or turns[0].role != "system"):
        turns = [Turn("system", system), *turns]
    if tools:
        turns = [Turn("system", (turns[0].text + tools).lstrip()), *turns[1:]]
    yield frame.start, True
    last = len(turns) - 1
    for index, turn in enumerate(turns):
        before, after = frame.turns[turn.role]
        yield before, True
        yield turn.text.strip() if frame.strip else turn.text, False
        if index == last and turn.role == "assistant":
            return
        yield after, True
    yield frame.ask, True


def stop_tokens(frame: Template, words: Vocabulary) -> frozenset[int]:
    """The tokens that end the model's turn."""
    names = {name: number for number, name in enumerate(words.names)}
    return words.end | {names[one] for one in frame.stop if one in names}
