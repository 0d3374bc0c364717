"""Thoughts in chat completions, which has five places for them, one a vendor.

====================  ==============================  ======================================================
place                 whose                           holds
====================  ==============================  ======================================================
`reasoning_content`   DeepSeek, Moonshot, Zhipu, ...  text
`reasoning`           Groq, Ollama, vLLM, OpenRouter  text
`content[]`           Mistral                         items of type `thinking`
`reasoning_details`   OpenRouter                      items: `reasoning.text`, `.summary`, `.encrypted`
`thinking_blocks`     LiteLLM                         Anthropic's items: `thinking`, `redacted_thinking`
====================  ==============================  ======================================================

What a vendor gets back must stand where it stood, with all that stood beside the text (`format`, `id`, `index`). So the
proof of a thought of this dialect is its item without the text, as JSON, whose `type` says the place; other dialects
carry it to their clients and back like any other proof.

Rule: an item that another dialect's provider signed holds a proof that `sealed.wrap` made.
Rule: an item that is not understood is left alone: thoughts are never worth failing a request.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.dialects.json_body import BAD_JSON, encode
from archflow_plugins.dialects.sealed import Proof, unwrap, wrap
from archflow_schema.conversation import ReasoningPart

ORIGIN = "openai_chat"
PLAIN = encode({"type": "reasoning_content"}).decode()
"""The proof of a thought that stands in `reasoning_content`."""
SHORT = encode({"type": "reasoning"}).decode()
"""The proof of a thought that stands in `reasoning`."""

Place = Literal["reasoning_content", "reasoning", "content", "reasoning_details", "thinking_blocks"]
Item = dict[str, object]

_TEXT_KEYS = {"reasoning.text": "text", "reasoning.summary": "summary", "thinking": "thinking"}
_SEALED = frozenset({"reasoning.encrypted", "redacted_thinking"})
_PROOF_KEYS = {
    "reasoning.text": "signature",
    "thinking": "signature",
    "reasoning.encrypted": "data",
    "redacted_thinking": "data",
}

_decode_items = msgspec.json.Decoder(list[Item] | None).decode
_decode_item = msgspec.json.Decoder(Item).decode


class Thought(Struct, frozen=True):
    """One item: its text, and its other fields."""

    text: str
    rest: Item

    @property
    def sealed(self) -> bool:
        """Whether it holds no text, but something encrypted."""
        return self.rest["type"] in _SEALED

    @property
    def summary(self) -> bool:
        """Whether it is a summary of thoughts."""
        return self.rest["type"] == "reasoning.summary"


def thoughts(raw: Raw) -> list[Thought]:
    """The items of `reasoning_details`, `thinking_blocks` or Mistral's content; those not understood are left out."""
    try:
        items = _decode_items(raw) or ()
    except BAD_JSON:
        return []
    found = []
    for item in items:
        kind = item.get("type")
        if not isinstance(kind, str) or (kind not in _TEXT_KEYS and kind not in _SEALED):
            continue
        text = _flat(item.get(_TEXT_KEYS.get(kind, "")))
        if kind not in _SEALED or isinstance(item.get("data"), str):
            keep = {name: value for name, value in item.items() if value is not None}
            keep.pop(_TEXT_KEYS.get(kind, ""), None)
            found.append(Thought(text, keep))
    return found


def part_of(thought: Thought) -> ReasoningPart:
    """A thought that a client sends back."""
    rest = thought.rest
    carried = unwrap(str(rest.get(_PROOF_KEYS.get(str(rest["type"]), ""), "")))
    if carried is not None:
        origin, proof = carried
        text = proof.text or thought.text
        return ReasoningPart(
            text=text,
            signature=proof.signature,
            sealed=proof.sealed,
            id=proof.id,
            summary=bool(proof.sealed and text),
            origin=origin,
        )
    proof_text = encode(rest).decode()
    if thought.sealed:
        return ReasoningPart(sealed=proof_text, origin=ORIGIN)
    return ReasoningPart(text=thought.text, signature=proof_text, summary=thought.summary, origin=ORIGIN)


def item_of(part: ReasoningPart) -> tuple[Place, Item]:
    """Where a thought of this dialect stood, and its item; only its text counts in the first two places."""
    try:
        item = _decode_item(part.sealed or part.signature or PLAIN)
    except BAD_JSON:
        item = {}
    kind = item.get("type")
    if kind == "reasoning":
        return "reasoning", {}
    if kind in _SEALED:
        return "reasoning_details" if kind == "reasoning.encrypted" else "thinking_blocks", item
    if not isinstance(kind, str) or kind not in _TEXT_KEYS:
        return "reasoning_content", {}
    if kind != "thinking":
        return "reasoning_details", {**item, _TEXT_KEYS[kind]: part.text}
    if "signature" in item:
        return "thinking_blocks", {**item, "thinking": part.text}
    return "content", {**item, "thinking": [{"type": "text", "text": part.text}]}


def foreign_item(part: ReasoningPart, index: int) -> Item | None:
    """A thought that another dialect's provider proved, as an item of `reasoning_details`; None if it is unproved."""
    proof = Proof(signature=part.signature, sealed=part.sealed, id=part.id)
    if part.sealed:
        held = msgspec.structs.replace(proof, text=part.text)
        return {"type": "reasoning.encrypted", "data": wrap(part.origin, held), "index": index}
    if not part.signature:
        return None
    return {
        "type": "reasoning.text",
        "text": part.text,
        "signature": wrap(part.origin, proof),
        "index": index,
    }


def _flat(told: object) -> str:
    """The text of an item: a string, or Mistral's list of items that have one."""
    if isinstance(told, str):
        return told
    if not isinstance(told, list):
        return ""
    texts = (item.get("text") for item in told if isinstance(item, dict))
    return "".join(text for text in texts if isinstance(text, str))


def signature_of(carried: str | None) -> tuple[str, str]:
    """Origin and value of the signature that a tool call carries (Google's `thought_signature`); empty if none."""
    if not carried:
        return "", ""
    found = unwrap(carried)
    return (ORIGIN, carried) if found is None else (found[0], found[1].signature)


def carried(signature: str, origin: str) -> str:
    """A tool call's signature as it stands in this dialect."""
    return signature if origin == ORIGIN else wrap(origin, Proof(signature=signature))
