"""Rebuilt tokenizers, loaded and used by the tokenizers library."""

import pytest
from msgspec import json
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from archflow_plugins.local_models.catalogue import HERE
from archflow_plugins.local_models.convert import tokenizer
from archflow_plugins.local_models.convert.gguf import Gguf
from archflow_plugins.local_models.convert.vocabulary import tokens
from archflow_plugins.local_models.errors import ModelCorrupt, ModelUnsupported
from model_files import write_gguf
from tiny_models import MERGES, SPECIAL, TOKENS, TYPES, Decoder

TEXTS = [
    "hello world",
    "Hello, 1234 wörlds!\n\n  and  tabs\t東京 🙂",
    "",
    " ",
    "it's 2024—don't",
    "<|im_start|>user",
]


def load(data: bytes) -> Tokenizer:
    return Tokenizer.from_str(data.decode())


def of_gguf(tmp_path, metadata) -> Tokenizer:
    with Gguf(write_gguf(tmp_path / "m.gguf", metadata, {})) as weights:
        return load(tokenizer.of_gguf(weights))


@pytest.mark.parametrize("lowercase", [True, False])
def test_wordpiece_is_what_the_library_makes_of_the_same_vocabulary(lowercase):
    path = HERE / "vocabularies" / "bert_uncased.txt"
    ours = load(tokenizer.wordpiece(path.read_text(encoding="utf-8").splitlines(), lowercase=lowercase))
    vocabulary = {word: n for n, word in enumerate(path.read_text(encoding="utf-8").splitlines())}
    theirs = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    theirs.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    theirs.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    theirs.post_processor = processors.BertProcessing(("[SEP]", 102), ("[CLS]", 101))
    for text in TEXTS:
        assert ours.encode(text).ids == theirs.encode(text).ids
    one = ours.encode("a", "b")
    assert one.type_ids == [0, 0, 0, 1, 1]


def test_wordpiece_needs_its_special_tokens():
    with pytest.raises(ModelCorrupt, match=r"lacks \[UNK\]"):
        tokenizer.wordpiece(["a"], lowercase=True)


@pytest.mark.parametrize("pre", tokenizer.PRE_TOKENIZERS)
def test_byte_level(pre, tmp_path):
    ours = of_gguf(tmp_path, Decoder("llama").metadata() | {"tokenizer.ggml.pre": pre})
    for text in TEXTS:
        assert ours.decode(ours.encode(text).ids, skip_special_tokens=False) == text
    assert ours.encode("hello world").tokens == ["hello", "Ġwor", "l", "d"]
    assert ours.encode("<|im_end|>").ids == [SPECIAL.index("<|im_end|>")]
    digits = ours.encode("2024").tokens
    assert digits == ["2", "0", "2", "4"]  # no merges of digits in this vocabulary


def test_digits_are_cut_as_the_rules_say(tmp_path):
    extra = ["1 2", "12 3", "123 4"]
    more = {
        "tokenizer.ggml.tokens": [*TOKENS, *(one.replace(" ", "") for one in extra)],
        "tokenizer.ggml.token_type": [*TYPES, 1, 1, 1],
        "tokenizer.ggml.merges": [*MERGES, *extra],
    }
    cut = {
        pre: of_gguf(tmp_path, Decoder("llama").metadata() | more | {"tokenizer.ggml.pre": pre})
        .encode("1234")
        .tokens
        for pre in ("gpt-2", "smollm", "qwen2", "llama-bpe")
    }
    assert cut == {
        "gpt-2": ["1234"],
        "smollm": ["1", "2", "3", "4"],
        "qwen2": ["1", "2", "3", "4"],
        "llama-bpe": ["123", "4"],
    }


def test_a_first_token_where_the_model_wants_one(tmp_path):
    metadata = Decoder("llama").metadata()
    assert of_gguf(tmp_path, metadata).encode("hello").tokens == ["hello"]
    wanted = of_gguf(tmp_path, metadata | {"tokenizer.ggml.add_bos_token": True})
    assert wanted.encode("hello").tokens == ["<|im_start|>", "hello"]


PIECES = ["<unk>", "<s>", "</s>", *(f"<0x{n:02X}>" for n in range(256)), "▁", "h", "e", "l", "o", "he", "ll", "hell",
          "hello", "▁hello"]  # fmt: skip
SCORES = [0.0] * (3 + 256) + [-20.0, -10.0, -11.0, -12.0, -13.0, -1.0, -2.0, -3.0, -4.0, -5.0]
SENTENCEPIECE = {
    "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": PIECES, "tokenizer.ggml.scores": SCORES,
    "tokenizer.ggml.token_type": [2, 3, 3, *[6] * 256, *[1] * 10], "tokenizer.ggml.bos_token_id": 1,
    "tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.unknown_token_id": 0,
}  # fmt: skip


def test_sentencepiece(tmp_path):
    ours = of_gguf(tmp_path, SENTENCEPIECE)
    assert ours.encode("hello").tokens == ["<s>", "▁hello"]
    assert ours.encode("hé").tokens == ["<s>", "▁", "h", "<0xC3>", "<0xA9>"]
    assert ours.decode(ours.encode("hello hé").ids) == "hello hé"
    bare = of_gguf(tmp_path, SENTENCEPIECE | {"tokenizer.ggml.add_space_prefix": False})
    assert bare.encode("hello").tokens == ["<s>", "hello"]


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"tokenizer.ggml.model": "t5"}, ModelUnsupported, "tokenizer of kind 't5'"),
        ({"tokenizer.ggml.pre": "unheard-of"}, ModelUnsupported, "rules named 'unheard-of'"),
        ({"tokenizer.ggml.token_type": [1, 2]}, ModelCorrupt, "266 tokens and 2 types"),
        ({"tokenizer.ggml.merges": ["h x"]}, ModelCorrupt, "make no token"),
        ({"tokenizer.ggml.merges": ["hx"]}, ModelCorrupt, "make no token"),
        ({"tokenizer.ggml.model": "llama"}, ModelCorrupt, "0 scores"),
        (
            {"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.bos_token_id": 9999},
            ModelCorrupt,
            "there is no token 9999",
        ),
    ],
)
def test_what_cannot_be_rebuilt(changed, error, words, tmp_path):
    with pytest.raises(error, match=words):
        of_gguf(tmp_path, Decoder("llama").metadata() | changed)


def test_vocab_json_and_merges():
    vocab = {token: n for n, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>", *TOKENS[3:]])}
    roberta = load(tokenizer.byte_level(vocab, ["#version: 0.2", *MERGES, ""], roberta=True))
    assert roberta.encode("hello world").tokens == ["<s>", "hello", "Ġwor", "l", "d", "</s>"]
    added = [{"id": 0, "content": "<|im_start|>", "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True}]  # fmt: skip
    qwen = load(
        tokenizer.byte_level(dict(zip(TOKENS, range(300), strict=False)), MERGES, roberta=False, added=added)
    )
    assert qwen.encode("<|im_start|>hello world").tokens == ["<|im_start|>", "hello", "Ġwor", "l", "d"]
    with pytest.raises(ModelCorrupt, match="lacks <s>"):
        tokenizer.byte_level({"a": 0}, [], roberta=True)


def test_limits_are_taken_away():
    given = {"version": "1.0", "truncation": {"max_length": 8}, "padding": {"strategy": "x"}, "model": {}}
    assert json.decode(tokenizer.without_limits(json.encode(given), "here")) == {
        "version": "1.0", "truncation": None, "padding": None, "model": {},
    }  # fmt: skip
    with pytest.raises(ModelCorrupt, match=r"here: tokenizer.json cannot be read"):
        tokenizer.without_limits(b"[1", "here")


def test_vocabulary_of_a_unigram_model_and_twins():
    read = {"model": {"type": "Unigram", "vocab": [["<s>", 0.0], ["a", -1.0], ["a", -2.0]]},
            "added_tokens": [{"id": 4, "content": "<mask>"}]}  # fmt: skip
    assert tokens(json.encode(read), 5, "here") == ["<s>", "a", "a<twin_2>", "<extra_id_3>", "<mask>"]
    with pytest.raises(
        ModelUnsupported, match="knows 1 tokens that the model has no row for, such as '<mask>'"
    ):
        tokens(json.encode(read), 4, "here")
    with pytest.raises(ModelCorrupt, match="cannot be read"):
        tokens(b"{", 4, "here")
