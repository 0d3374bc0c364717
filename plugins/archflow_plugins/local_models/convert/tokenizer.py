"""Rebuilds tokenizer.json where a model ships none: from vocab.txt, vocab.json and merges.txt, or GGUF metadata.

Rule: it writes JSON, and asks no tokenizer library, so that the same model gives the same file everywhere.
Rule: neither truncation nor padding: how long a text may be is the caller's choice.
Rule: a pre-tokenizer that is not known is refused; almost the right tokens are the wrong ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from archflow_plugins.local_models.convert.gguf import Gguf
from archflow_plugins.local_models.errors import ModelCorrupt, ModelUnsupported

Json = dict[str, Any]
SPACE = "▁"
NORMAL, CONTROL, USER = 1, 3, 4
"""GGUF's types of tokens, as far as they matter here."""
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN = _WORDS + r"\p{N}" + _REST
LLAMA3 = _WORDS + r"\p{N}{1,3}" + _REST


def _byte_level(use_regex: bool) -> Json:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def _split(pattern: str) -> Json:
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, _byte_level(use_regex=False)]}


_DIGITS = {
    "type": "Sequence",
    "pretokenizers": [{"type": "Digits", "individual_digits": True}, _byte_level(use_regex=True)],
}
PRE_TOKENIZERS: dict[str, Json] = {
    "gpt-2": _byte_level(use_regex=True),
    "smollm": _DIGITS,
    "starcoder": _DIGITS,
    "refact": _DIGITS,
    "command-r": _DIGITS,
    "qwen2": _split(QWEN),
    "deepseek-r1-qwen": _split(QWEN),
    "llama-bpe": _split(LLAMA3),
    "llama3": _split(LLAMA3),
}
"""tokenizer.ggml.pre -> how text is cut before the merges."""
NFC = {"qwen2"}
WHOLE_WORDS = {"llama-bpe", "llama3"}
"""Those that take a word that is a token as that token, whatever the merges say."""


def wordpiece(vocabulary: Sequence[str], *, lowercase: bool) -> bytes:
    """The tokenizer of BERT from the lines of its vocab.txt.

    Raises:
        ModelCorrupt: it lacks one of the tokens that BERT cannot do without.
    """
    vocab: dict[str, int] = {}
    for number, token in enumerate(vocabulary):
        vocab.setdefault(token, number)
    special = [token for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") if token in vocab]
    if not {"[UNK]", "[CLS]", "[SEP]"} <= set(special):
        raise ModelCorrupt("the vocabulary lacks [UNK], [CLS] or [SEP], so it is none of BERT's")
    return _encode({
        "added_tokens": [_added(vocab[token], token) for token in special],
        "normalizer": {
            "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
            "lowercase": lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": _template([("[CLS]", vocab["[CLS]"])], [("[SEP]", vocab["[SEP]"])], pair_types=True),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocab,
        },
    })  # fmt: skip


def byte_level(
    vocab: dict[str, int], merges: Sequence[str], *, roberta: bool, added: Sequence[Json] = ()
) -> bytes:
    """The tokenizer of RoBERTa or Qwen2 from vocab.json and merges.txt."""
    pairs = [line.split(" ") for line in merges if line and not line.startswith("#version")]
    pieces: Json = {
        "added_tokens": list(added),
        "normalizer": None if roberta else {"type": "NFC"},
        "pre_tokenizer": _byte_level(use_regex=True) if roberta else _split(QWEN),
        "post_processor": None,
        "decoder": _byte_level(use_regex=True),
        "model": _bpe(vocab, [pair for pair in pairs if len(pair) == 2]),
    }
    if roberta:
        if not {"<s>", "</s>"} <= vocab.keys():
            raise ModelCorrupt("the vocabulary lacks <s> or </s>, so it is none of RoBERTa's")
        special = [one for one in ("<s>", "<pad>", "</s>", "<unk>", "<mask>") if one in vocab]
        pieces["added_tokens"] = [_added(vocab[one], one, lstrip=one == "<mask>") for one in special]
        pieces["post_processor"] = {
            "type": "RobertaProcessing", "sep": ["</s>", vocab["</s>"]], "cls": ["<s>", vocab["<s>"]],
            "trim_offsets": True, "add_prefix_space": False,
        }  # fmt: skip
    return _encode(pieces)


def of_gguf(weights: Gguf) -> bytes:
    """The tokenizer that the metadata of a .gguf file describe.

    Raises:
        ModelUnsupported: a kind or a pre-tokenizer that is not known here.
        ModelCorrupt: its lists do not fit each other.
    """
    kind = weights.text("tokenizer.ggml.model")
    tokens, types = weights.texts("tokenizer.ggml.tokens"), weights.integers("tokenizer.ggml.token_type")
    if not tokens or (types and len(types) != len(tokens)):
        raise ModelCorrupt(
            f"{weights.where} is damaged: {len(tokens)} tokens and {len(types)} types; fetch it again"
        )
    types = types or [NORMAL] * len(tokens)
    if kind == "gpt2":
        return _gpt2(weights, tokens, types)
    if kind == "llama":
        return _sentencepiece(weights, tokens, types)
    if kind == "bert":
        return wordpiece([_unphantom(one) for one in tokens], lowercase=True)
    raise ModelUnsupported(
        f"{weights.where} has a tokenizer of kind {kind!r}, and gpt2, llama and bert are rebuilt here: put the model's "
        "tokenizer.json beside it"
    )


def _gpt2(weights: Gguf, tokens: list[str], types: list[int]) -> bytes:
    pre = weights.text("tokenizer.ggml.pre", "gpt-2")
    if pre in {"default", ""}:
        pre = "gpt-2"
    if pre not in PRE_TOKENIZERS:
        raise ModelUnsupported(
            f"{weights.where} cuts text by rules named {pre!r}, and {', '.join(PRE_TOKENIZERS)} are known here: put "
            "the model's tokenizer.json beside it"
        )
    merges = [one.split(" ", 1) for one in weights.texts("tokenizer.ggml.merges")]
    vocab = _first(tokens)
    unknown = [pair for pair in merges if len(pair) != 2 or pair[0] + pair[1] not in vocab]
    if unknown or not merges:
        raise ModelCorrupt(
            f"{weights.where} is damaged: merges such as {unknown[:1]} make no token; fetch it again"
        )
    return _encode({
        "added_tokens": _specials(tokens, types, normalized=False),
        "normalizer": {"type": "NFC"} if pre in NFC else None,
        "pre_tokenizer": PRE_TOKENIZERS[pre],
        "post_processor": _bos(weights, tokens),
        "decoder": _byte_level(use_regex=True),
        "model": _bpe(vocab, merges, whole_words=pre in WHOLE_WORDS),
    })  # fmt: skip


def _sentencepiece(weights: Gguf, tokens: list[str], types: list[int]) -> bytes:
    """Merges are rebuilt from scores: every way to cut a token into two tokens, best token first."""
    scores = weights.floats("tokenizer.ggml.scores")
    if len(scores) != len(tokens):
        raise ModelCorrupt(
            f"{weights.where} is damaged: {len(tokens)} tokens, {len(scores)} scores; fetch it again"
        )
    vocab = _first(tokens)
    found: list[tuple[float, int, int, str, str]] = []
    for token, number in vocab.items():
        if types[number] != NORMAL:
            continue
        for at in range(1, len(token)):
            left, right = vocab.get(token[:at]), vocab.get(token[at:])
            if left is not None and right is not None:
                found.append((-scores[number], left, right, token[:at], token[at:]))
    found.sort(key=lambda one: one[:3])
    unknown = weights.metadata.get("tokenizer.ggml.unknown_token_id")
    spaced = weights.metadata.get("tokenizer.ggml.add_space_prefix", True)
    swap = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    before = [{"type": "Prepend", "prepend": SPACE}] if spaced else []
    after = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if spaced else []
    model = _bpe(vocab, [[left, right] for *_, left, right in found])
    model |= {"fuse_unk": True, "byte_fallback": True}
    if isinstance(unknown, int) and 0 <= unknown < len(tokens):
        model["unk_token"] = tokens[unknown]
    return _encode({
        "added_tokens": _specials(tokens, types, normalized=False),
        "normalizer": {"type": "Sequence", "normalizers": [*before, swap]},
        "pre_tokenizer": None,
        "post_processor": _bos(weights, tokens),
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"}, *after,
        ]},
        "model": model,
    })  # fmt: skip


def _unphantom(token: str) -> str:
    """A WordPiece token as BERT writes it: GGUF marks the beginning of a word instead of its continuation."""
    if token.startswith("[") and token.endswith("]"):
        return token
    return token.removeprefix(SPACE) if token.startswith(SPACE) else f"##{token}"


def _first(tokens: Sequence[str]) -> dict[str, int]:
    vocab: dict[str, int] = {}
    for number, token in enumerate(tokens):
        vocab.setdefault(token, number)
    return vocab


def _specials(tokens: list[str], types: list[int], *, normalized: bool) -> list[Json]:
    return [
        _added(number, token, special=kind == CONTROL) | {"normalized": normalized}
        for number, (token, kind) in enumerate(zip(tokens, types, strict=True))
        if kind in {CONTROL, USER}
    ]


def _bos(weights: Gguf, tokens: list[str]) -> Json | None:
    """The first token that a model wants before everything, if it wants one."""
    number = weights.metadata.get("tokenizer.ggml.bos_token_id")
    default = weights.text("tokenizer.ggml.model") == "llama"
    if not weights.metadata.get("tokenizer.ggml.add_bos_token", default) or not isinstance(number, int):
        return None
    if not 0 <= number < len(tokens):
        raise ModelCorrupt(f"{weights.where} is damaged: there is no token {number}; fetch it again")
    return _template([(tokens[number], number)], [], pair_types=False)


def _template(before: list[tuple[str, int]], after: list[tuple[str, int]], *, pair_types: bool) -> Json:
    second = 1 if pair_types else 0

    def special(token: str, kind: int) -> Json:
        return {"SpecialToken": {"id": token, "type_id": kind}}

    def text(name: str, kind: int) -> Json:
        return {"Sequence": {"id": name, "type_id": kind}}

    first = [
        *(special(token, 0) for token, _ in before),
        text("A", 0),
        *(special(token, 0) for token, _ in after),
    ]
    return {
        "type": "TemplateProcessing",
        "single": first,
        "pair": [*first, text("B", second), *(special(token, second) for token, _ in after)],
        "special_tokens": {
            token: {"id": token, "ids": [number], "tokens": [token]} for token, number in (*before, *after)
        },
    }


def _added(number: int, token: str, *, special: bool = True, lstrip: bool = False) -> Json:
    return {
        "id": number, "content": token, "single_word": False, "lstrip": lstrip, "rstrip": False, "normalized": False,
        "special": special,
    }  # fmt: skip


def _bpe(vocab: dict[str, int], merges: Sequence[Sequence[str]], *, whole_words: bool = False) -> Json:
    return {
        "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": whole_words,
        "vocab": vocab, "merges": merges,
    }  # fmt: skip


def _encode(pieces: Json) -> bytes:
    return msgspec.json.encode({"version": "1.0", "truncation": None, "padding": None, **pieces})


def without_limits(tokenizer: bytes, where: str) -> bytes:
    """A tokenizer.json that neither cuts nor pads.

    Raises:
        ModelCorrupt: it is no JSON object.
    """
    try:
        pieces = msgspec.json.decode(tokenizer, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelCorrupt(f"{where}: tokenizer.json cannot be read ({error}): fetch it again") from error
    return msgspec.json.encode(pieces | {"truncation": None, "padding": None})
