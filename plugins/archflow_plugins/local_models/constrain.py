"""Constrained decoding: choices, typed slots, JSON by schema. What comes out always fits.

A Constraint follows one generation. It says which tokens fit next, what must be written whatever the model would say
(the host writes that itself), when the text is whole, and the shortest way to its end: a generation whose tokens run
out is led there, so it ends whole within any number of tokens that could hold it.

::

    rule = json_schema({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}, words)
    slots({"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}}, words)
    choices(["billing", "support"], words)

Rule: masks are found lazily: the model's own favourites are checked first, the whole vocabulary only when none fits.
Rule: a Rule is shared by requests and remembers where bytes lead; a Constraint belongs to one.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from archflow_plugins.local_models.grammar import Grammar, OneOf, Place
from archflow_plugins.local_models.json_schema import SIZE_AT_MOST, BadSchema, compile_schema
from archflow_plugins.local_models.tokens import Vocabulary, prefix_range
from archflow_schema.errors import ArchflowError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORCED_AT_MOST = 4096
"""Bytes that are written in one go without asking the model."""
_PRINTABLE = sum(1 << byte for byte in range(0x20, 0x7F))
_TAILS = sum(1 << byte for byte in range(0x80, 0xC0))
RULES_AT_MOST = 64


class Rule:
    """What a text must be, for one vocabulary.

    Raises:
        ArchflowError: the vocabulary has no token for some printable character, so texts could not be led to their end.
    """

    def __init__(self, grammar: Grammar, words: Vocabulary) -> None:
        if ~words.alphabet & _PRINTABLE:
            raise ArchflowError(
                "this model's vocabulary cannot be constrained: it lacks tokens for single characters"
            )
        self.grammar = grammar
        self.words = words

    def begin(self) -> Constraint:
        """Follow a new generation."""
        return Constraint(self)


class Constraint:
    """Follows one generation.

    Attributes:
        place: where its text stands.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._words = rule.words
        self.place: Place = rule.grammar.first

    @property
    def whole(self) -> bool:
        """Whether the text may end here."""
        return self.place.accepts

    @property
    def over(self) -> bool:
        """Whether nothing may follow."""
        return self.place.accepts and not self.place.allowed

    @property
    def least(self) -> int:
        """How many tokens are missing at most, on the shortest way to the end."""
        return self.place.least

    def after(self, token: int) -> Place | None:
        """Where a token leads; None where it does not fit. Control tokens never fit."""
        data = self._words.bytes[token]
        return self.place.read(data) if data else None

    def take(self, token: int) -> None:
        """The text goes on with a token.

        Raises:
            ValueError: it does not fit.
        """
        place = self.after(token)
        if place is None:
            raise ValueError(f"the token {token} does not fit")
        self.place = place

    def forced(self) -> bytes:
        """What must follow, whatever the model would say. Does not take it."""
        found = bytearray()
        place = self.place
        while len(found) < FORCED_AT_MOST and (byte := place.only) >= 0:
            after = place.step(byte)
            assert after is not None  # noqa: S101 - it is allowed
            found.append(byte)
            place = after
        return bytes(found)

    def closing(self) -> bytes:
        """The shortest way to the end."""
        return self.place.finish()

    def fitting(self, budget: int) -> Iterable[int]:
        """Every token that fits and leaves a way to the end within `budget` tokens after it."""
        ordered, ids = self._words.ordered
        waiting: list[tuple[Place, bytes, int, int]] = [(self.place, b"", 0, len(ordered))]
        while waiting:
            place, prefix, low, high = waiting.pop()
            while low < high and ordered[low] == prefix:
                if prefix and place.least <= budget:
                    yield ids[low]
                low += 1
            allowed = place.allowed
            while low < high:
                byte = ordered[low][len(prefix)]
                start, end = prefix_range(ordered, prefix + bytes([byte]), low, high)
                if allowed >> byte & 1:
                    after = place.step(byte)
                    if after is not None:
                        waiting.append((after, prefix + bytes([byte]), start, end))
                low = end

    def mask(self, budget: int = 1 << 30) -> NDArray[Any]:
        """Which tokens fit next, as booleans by id. Slow where much is allowed: for checks and tests."""
        import numpy as np

        found = np.zeros(len(self._words), dtype=bool)
        found[list(self.fitting(budget))] = True
        return found


_known: OrderedDict[tuple[int, str], Rule] = OrderedDict()


def json_schema(schema: Mapping[str, Any] | bool, words: Vocabulary) -> Rule:
    """A JSON value that is valid against a schema. Blocks: for milliseconds, so it belongs in a thread.

    Raises:
        BadSchema: the schema asks for something that cannot be held to.
    """
    try:
        text = msgspec.json.encode(schema)
    except (msgspec.MsgspecError, TypeError, RecursionError, OverflowError) as error:
        raise BadSchema(f"the schema cannot be written as JSON: {error}") from error
    if len(text) > SIZE_AT_MOST:
        raise BadSchema(f"the schema is larger than {SIZE_AT_MOST // 1024} KiB")
    return remembered(text, words, lambda: Rule(compile_schema(schema, leads(words)), words))


def remembered(what: bytes, words: Vocabulary, make: Callable[[], Rule]) -> Rule:
    """A rule that was made before for the same vocabulary, or a new one: those used last are kept."""
    key = (id(words), hashlib.sha256(what).hexdigest())
    rule = _known.pop(key, None)
    if rule is None or rule.words is not words:
        rule = make()
    _known[key] = rule  # each step by itself is whole, as several threads come here
    while len(_known) > RULES_AT_MOST:
        _known.popitem(last=False)
    return rule


def forget(words: Vocabulary) -> None:
    """Let go of the rules of a vocabulary whose model is closed: each holds on to all of it."""
    for key in [key for key, rule in list(_known.items()) if rule.words is words]:
        _known.pop(key, None)


def json_object(words: Vocabulary) -> Rule:
    """Any JSON object."""
    return json_schema({"type": "object"}, words)


def slots(parameters: Mapping[str, Mapping[str, Any]], words: Vocabulary) -> Rule:
    """A JSON object with exactly these members, each by its own schema: the host writes all but the values."""
    return json_schema(
        {
            "type": "object",
            "properties": dict(parameters),
            "required": list(parameters),
            "additionalProperties": False,
        },
        words,
    )


def choices(texts: Sequence[str], words: Vocabulary) -> Rule:
    """Exactly one of some texts.

    Raises:
        ValueError: there is none to choose from, or one of them is empty.
    """
    if not texts or not all(texts):
        raise ValueError("a choice needs at least one text, and none may be empty")
    return Rule(Grammar(OneOf([one.encode() for one in texts])), words)


def leads(words: Vocabulary) -> frozenset[int]:
    """The bytes that can begin a character beyond ASCII: none, unless each byte of its rest is a token too."""
    if ~words.alphabet & _TAILS:
        return frozenset()
    return frozenset(byte for byte in range(0xC2, 0xF5) if words.alphabet >> byte & 1)
