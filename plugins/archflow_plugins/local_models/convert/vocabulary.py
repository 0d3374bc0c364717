"""The tokens of a tokenizer.json by number, as CTranslate2 wants them: as many as the table has rows, no two the same.

Rule: it reads tokenizer.json and no tokenizer library: the file is the same everywhere, a library's opinion is not.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from archflow_plugins.local_models.errors import ModelCorrupt, ModelUnsupported


class _Added(Struct, frozen=True):
    id: int
    content: str


class _Model(Struct, frozen=True):
    vocab: dict[str, int] | list[tuple[str, float]] = {}


class _Tokenizer(Struct, frozen=True):
    model: _Model
    added_tokens: tuple[_Added, ...] = ()


def tokens(tokenizer: bytes, rows: int, where: str) -> list[str]:
    """One token a row.

    Args:
        tokenizer: tokenizer.json.
        rows: how many rows the embedding table has.
        where: the file or folder, for messages.

    Raises:
        ModelCorrupt: it is no tokenizer.json.
        ModelUnsupported: it has more tokens than the model has rows.
    """
    try:
        read = msgspec.json.decode(tokenizer, type=_Tokenizer)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelCorrupt(f"{where}: tokenizer.json cannot be read ({error}): fetch it again") from error
    vocab = read.model.vocab
    pairs = vocab.items() if isinstance(vocab, dict) else ((piece, at) for at, (piece, _) in enumerate(vocab))
    by_number: dict[int, str] = {}
    for token, number in pairs:
        by_number.setdefault(number, token)
    for added in read.added_tokens:
        by_number[added.id] = added.content
    beyond = [token for number, token in by_number.items() if not 0 <= number < rows]
    if beyond:
        raise ModelUnsupported(
            f"{where}: the tokenizer knows {len(beyond)} tokens that the model has no row for, such as {beyond[0]!r}: "
            "bring the tokenizer.json that belongs to the model"
        )
    return unique([by_number.get(number, f"<extra_id_{number}>") for number in range(rows)])


def unique(names: list[str]) -> list[str]:
    """The same list with later twins renamed; CTranslate2 looks tokens up by name."""
    seen: set[str] = set()
    found = []
    for number, name in enumerate(names):
        one = name
        while one in seen:
            one = f"{one}<twin_{number}>"
        seen.add(one)
        found.append(one)
    return found
