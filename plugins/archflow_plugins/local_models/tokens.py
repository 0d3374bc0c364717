"""Text to tokens and back: the vocabulary of a language model as bytes, and text that grows token by token.

A token of a byte-level vocabulary may be half a character. Each is kept as the bytes that it stands for, so what was
generated is known exactly, constraints can be checked byte by byte, and text is told only in whole characters.

Rule: text of a conversation never becomes a control token, whatever it says; only a template writes those.
Rule: imports tokenizers when a vocabulary is opened, not before.
"""

from __future__ import annotations

import codecs
import functools
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw, Struct

from archflow_schema.errors import ArchflowError

PIECE = 16_384
"""Characters of a long text that are encoded at a time: Python's lock is held while their outcome is freed."""
UNBROKEN = 32_768
"""Characters of a piece at most; where so many have no space between two words, it is cut between any two of them."""
WHOLE = 262_144
"""Characters of a text that are counted as one where its tokens may depend on all of it; more fits into few models."""
COUNTED_AT_ONCE = 8
"""Pieces that are encoded at a time where they are only counted: the library holds some 150 bytes for each token."""
_CUT = re.compile(r"(?<=\w) (?=\w)")


class _Added(Struct, frozen=True):
    id: int
    content: str
    special: bool = False


class _Model(Struct, frozen=True):
    type: str = ""


class _File(Struct):
    """What a tokenizer.json says that cannot be asked of the library."""

    decoder: Raw = Raw(b"null")
    added_tokens: list[_Added] = []
    model: _Model = _Model()


class TooMany(Exception):
    """A text has more tokens than there is room for: at least `count`."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


class Vocabulary:
    """The tokens of one language model.

    Attributes:
        names: token id -> the name by which CTranslate2 knows it.
        bytes: token id -> what it stands for; empty for control tokens.
        end: the ids that end a turn.
        alphabet: the bytes that are a token of their own, as bits of a number.
    """

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        path = folder / "tokenizer.json"
        try:
            told = msgspec.json.decode(path.read_bytes(), type=_File)
            self.names: list[str] = msgspec.json.decode(
                (folder / "vocabulary.json").read_bytes(), type=list[str]
            )
            config = msgspec.json.decode((folder / "config.json").read_bytes(), type=dict[str, Any])
            self._tokenizer: Any = Tokenizer.from_file(str(path))
        except FileNotFoundError as error:
            raise ArchflowError(
                f"the model folder {folder} lacks {Path(error.filename).name}: pull or convert the model again"
            ) from error
        except Exception as error:
            raise ArchflowError(
                f"the tokenizer of the model in {folder} cannot be read: {error}: pull or convert the model again"
            ) from error
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._ids = {name: number for number, name in enumerate(self.names)}
        special = {one.id for one in told.added_tokens if one.special}
        plain = {one.id for one in told.added_tokens if not one.special}
        self._byte_level = b"ByteLevel" in bytes(told.decoder)
        spell = _byte_level if self._byte_level else _sentence_piece
        self.bytes: list[bytes] = [
            b"" if number in special or self._tokenizer.id_to_token(number) is None
            else name.encode("utf-8", "replace") if number in plain
            else spell(name)
            for number, name in enumerate(self.names)
        ]  # fmt: skip
        control = sorted((self.names[one] for one in special if one < len(self.names)), key=len, reverse=True)
        self._control = re.compile("(" + "|".join(map(re.escape, control)) + ")") if control else None
        ends = [self._ids[name] for name in _end_names(config) if name in self._ids]
        self.end = frozenset(ends)
        self.alphabet = functools.reduce(
            lambda found, one: found | 1 << one[0], (one for one in self.bytes if len(one) == 1), 0
        )

    def __len__(self) -> int:
        return len(self.names)

    def encode(self, text: str, most: int | None = None) -> list[int]:
        """The tokens of what somebody wrote; names of control tokens in it are plain text.

        Args:
            text: of any length.
            most: how many tokens there may be.

        Blocks: for milliseconds where a text is long, so it belongs in a thread.

        Raises:
            TooMany: there are more.
        """
        if most is not None and len(text) > most * self.longest:
            raise TooMany(-(-len(text) // self.longest))
        found: list[int] = []
        count = 0
        for encoded in encodings(self._tokenizer, pieces(text) if self._byte_level else [text]):
            count += len(encoded)
            if most is None or count <= most:
                found += encoded.ids
        if most is not None and count > most:
            raise TooMany(count)
        return self._known(found)

    def counts(self, text: str) -> Iterator[int]:
        """How many tokens `encode` would give, piece by piece; those of a few are kept. Blocks, as that does.

        Of a vocabulary that is not byte-level, a text of more than WHOLE has about as many: one or two more at a seam.
        """
        parts = pieces(text) if self._byte_level or len(text) > WHOLE else [text]
        for start in range(0, len(parts), COUNTED_AT_ONCE):
            for encoded in encodings(self._tokenizer, parts[start : start + COUNTED_AT_ONCE]):
                yield len(self._known(encoded.ids))

    def _known(self, ids: list[int]) -> list[int]:
        """Without tokens that the model has no row for."""
        count = len(self.names)
        return ids if not ids or max(ids) < count else [one for one in ids if one < count]

    def encode_template(self, text: str) -> list[int]:
        """The tokens of a template's own words, control tokens included."""
        found: list[int] = []
        for part in self._control.split(text) if self._control is not None else [text]:
            if part in self._ids and self._control is not None and self._control.fullmatch(part):
                found.append(self._ids[part])
            elif part:
                found += self.encode(part)
        return found

    def encode_bytes(self, data: bytes) -> list[int]:
        """Tokens that stand for exactly these bytes, as the tokenizer would choose them where it can."""
        try:
            ids = self.encode(data.decode())
        except UnicodeDecodeError:
            return self.spell(data)
        return ids if b"".join(self.bytes[one] for one in ids) == data else self.spell(data)

    def spell(self, data: bytes) -> list[int]:
        """Tokens that stand for exactly these bytes, the longest first.

        Raises:
            ArchflowError: a byte of it is in no token.
        """
        found: list[int] = []
        at = 0
        while at < len(data):
            for length in range(min(self.longest, len(data) - at), 0, -1):
                token = self.by_bytes.get(data[at : at + length])
                if token is not None:
                    found.append(token)
                    at += length
                    break
            else:
                raise ArchflowError(f"this model has no token for the byte 0x{data[at]:02x}")
        return found

    def text(self, ids: Iterable[int]) -> str:
        """The text of tokens; control tokens are silent."""
        return b"".join(self.bytes[one] for one in ids).decode("utf-8", "replace")

    def name_all(self, ids: Sequence[int]) -> list[str]:
        """The names of tokens, for CTranslate2."""
        names = self.names
        return [names[one] for one in ids]

    @functools.cached_property
    def by_bytes(self) -> dict[bytes, int]:
        """Bytes -> the first token that stands for them."""
        found: dict[bytes, int] = {}
        for number, data in enumerate(self.bytes):
            if data:
                found.setdefault(data, number)
        return found

    @functools.cached_property
    def longest(self) -> int:
        """The most bytes that one token stands for."""
        return max(map(len, self.bytes), default=0)

    @functools.cached_property
    def ordered(self) -> tuple[list[bytes], list[int]]:
        """The tokens that stand for something, sorted by their bytes: bytes and ids."""
        by_first: list[list[tuple[bytes, int]]] = [[] for _ in range(256)]
        for number, data in enumerate(self.bytes):
            if data:
                by_first[data[0]].append((data, number))
        for some in by_first:  # a part at a time: sorting keeps Python's lock
            some.sort()
        return [one[0] for some in by_first for one in some], [one[1] for some in by_first for one in some]


class Growing:
    """Text that grows token by token, told in whole characters only."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, data: bytes) -> str:
        """The whole characters that more bytes completed."""
        return self._decoder.decode(data)

    def end(self) -> str:
        """What is left: a replacement character for a half one."""
        return self._decoder.decode(b"", final=True)


class StopStrings:
    """Cuts text at the first of some strings, wherever the boundaries of its pieces are.

    Attributes:
        found: the one that was met, else empty; nothing is told after it.
    """

    def __init__(self, strings: Sequence[str]) -> None:
        self._strings = [one for one in strings if one]
        self._longest = max(map(len, self._strings), default=0)
        self._held = ""
        self.found = ""

    def add(self, text: str) -> str:
        """What of the text so far is sure not to belong to a stop string."""
        if self.found:
            return ""
        if not self._strings:
            return text
        held = self._held + text
        first, self.found = min(
            ((at, one) for one in self._strings if (at := held.find(one)) >= 0), default=(-1, "")
        )
        if self.found:
            self._held = ""
            return held[:first]
        keep = 0
        for length in range(min(self._longest - 1, len(held)), 0, -1):
            tail = held[-length:]
            if any(one.startswith(tail) for one in self._strings):
                keep = length
                break
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep]

    def end(self) -> str:
        """What was held back and turned out to be no stop string."""
        held, self._held = self._held, ""
        return held


class Mark:
    """Finds the mark at which words end and calls begin, wherever the boundaries of tokens are.

    Args:
        mark: ASCII.
        anywhere: words may stand before it; else only white space.
    """

    def __init__(self, mark: bytes, *, anywhere: bool) -> None:
        self._mark = mark
        self._anywhere = anywhere
        self._tail = b""
        self._possible = True
        self._held = StopStrings([mark.decode("ascii")])

    def end(self, data: bytes) -> int:
        """How many bytes of a token belong to the text up to the mark's end; 0 where it does not end in this token."""
        if not self._possible:
            return 0
        seen = self._tail + data
        if not self._anywhere:
            seen = seen.lstrip()
            if not (seen.startswith(self._mark) or self._mark.startswith(seen)):
                self._possible = False
                return 0
        at = seen.find(self._mark)
        if at >= 0:
            return at + len(self._mark) - (len(seen) - len(data))
        self._tail = seen[-len(self._mark) + 1 :] if len(self._mark) > 1 else b""
        return 0

    def before(self, text: str) -> str:
        """What of more text surely stands before the mark, or is no part of one."""
        return self._held.add(text) if self._possible else self._held.end() + text

    def rest(self) -> str:
        """What was held back and turned out to be no mark."""
        return "" if self._held.found else self._held.end()


def prefix_range(ordered: list[bytes], prefix: bytes, low: int, high: int) -> tuple[int, int]:
    """Where, between two places of a sorted list, the items stand that begin with a prefix."""
    start = bisect_left(ordered, prefix, low, high)
    after = _successor(prefix)
    return start, high if after is None else bisect_left(ordered, after, start, high)


def pieces(text: str) -> list[str]:
    """A long text in pieces that have the same tokens as the whole: cut before a space between two words.

    A piece without such a space is cut all the same before it keeps Python's lock for milliseconds; the one or two
    tokens at that seam may be others than those of the whole.
    """
    found, start = [], 0
    while len(text) - start > PIECE:
        cut = _CUT.search(text, start + PIECE, start + UNBROKEN)
        end = cut.start() if cut else start + UNBROKEN
        if end >= len(text):
            break
        if not cut and "\udc00" <= text[end] <= "\udfff":
            end -= 1  # the second half of a surrogate pair
        found.append(text[start:end])
        start = end
    return [*found, text[start:]]


def encodings(tokenizer: Any, texts: Sequence[str]) -> Iterator[Any]:
    """What the library makes of texts, without marks, one by one.

    `encode` would keep Python's lock for as long as a text is; `encode_batch` lets it go. Each outcome is freed before
    the next is looked at, because freeing them all at once would keep the lock, too.
    """
    found = tokenizer.encode_batch([clean(one) for one in texts], add_special_tokens=False)
    found.reverse()
    while found:
        yield found.pop()


def clean(text: str) -> str:
    """A text that every tokenizer takes: half surrogate pairs, which JSON can hold and UTF-8 cannot, are replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _successor(prefix: bytes) -> bytes | None:
    """The first string after all that begin with a prefix."""
    bare = prefix.rstrip(b"\xff")
    return bare[:-1] + bytes([bare[-1] + 1]) if bare else None


def _end_names(config: dict[str, Any]) -> list[str]:
    """The tokens that end a turn, as CTranslate2's config.json names them: one, or a list."""
    told = config.get("eos_token")
    return [told] if isinstance(told, str) else [one for one in told or () if isinstance(one, str)]


@functools.cache
def _alphabet() -> dict[str, int]:
    """The characters that byte-level vocabularies write for bytes: printable ones as they are, the others moved up."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    moved = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + n): byte for n, byte in enumerate(moved)}


def _byte_level(name: str) -> bytes:
    alphabet = _alphabet()
    try:
        return bytes(alphabet[character] for character in name)
    except KeyError:
        return b""  # made up to fill the table


def _sentence_piece(name: str) -> bytes:
    if len(name) == 6 and name.startswith("<0x") and name.endswith(">"):
        try:
            return bytes([int(name[3:5], 16)])
        except ValueError:
            return name.encode()
    return name.replace("\u2581", " ").encode("utf-8", "replace")
