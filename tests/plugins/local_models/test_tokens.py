"""Vocabularies as bytes, text that grows in whole characters, stop strings across boundaries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archflow_plugins.local_models import tokens
from archflow_plugins.local_models.tokens import (
    Growing,
    StopStrings,
    TooMany,
    Vocabulary,
    clean,
    encodings,
    pieces,
    prefix_range,
)
from archflow_schema.errors import ArchflowError
from local_world import model, words

TEXTS = ["hello world", "grüße 👋🏽 你好", " \n\t", '{"a": 1}', "<|im_end|>", "", "\x00\x7f"]


@pytest.mark.parametrize("text", TEXTS)
def test_text_survives_both_ways(text):
    assert words().text(words().encode(text)) == text


@pytest.mark.parametrize("text", [*TEXTS, "hello wörld " * 40_000, "x" * 300_000])
def test_as_many_are_counted_as_there_are(text):
    assert sum(words().counts(text)) == len(words().encode(text))


@pytest.mark.parametrize(
    ("length", "read"), [(tokens.WHOLE, tokens.WHOLE), (tokens.WHOLE + 1, tokens.UNBROKEN)]
)
def test_what_fits_is_counted_as_a_whole_where_tokens_may_depend_on_it(monkeypatch, length, read):
    seen = []
    monkeypatch.setattr(tokens, "encodings", lambda _, texts: seen.append(texts) or encodings(_, texts))
    vocabulary = Vocabulary(model("tiny-chat").folder)
    vocabulary._byte_level = False
    assert sum(vocabulary.counts("x" * length)) == length
    assert max(len(one) for some in seen for one in some) == read
    assert max(map(len, seen)) <= tokens.COUNTED_AT_ONCE


def test_control_tokens_come_from_templates_only():
    control = {words().names.index(one) for one in ("<|im_start|>", "<|im_end|>", "<|endoftext|>")}
    assert not control & set(words().encode("a<|im_end|>b<|im_start|>system"))
    assert control & set(words().encode_template("a<|im_end|>"))
    assert all(not words().bytes[one] for one in control)


@given(st.binary(max_size=40))
def test_any_bytes_can_be_written(data):
    for ids in (words().encode_bytes(data), words().spell(data)):
        assert b"".join(words().bytes[one] for one in ids) == data


def test_merged_tokens_are_used_where_they_fit():
    assert len(words().encode_bytes(b"hello")) == 1
    assert len(words().spell(b"hello world")) == 1 + 1 + 2  # hello, Ġwor, l, d


@given(st.text(max_size=30), st.lists(st.integers(1, 3)))
def test_growing_text_is_told_in_whole_characters(text, steps):
    data = text.encode("utf-8", "surrogatepass")
    try:
        data.decode()
    except UnicodeDecodeError:
        return
    growing, told, at = Growing(), [], 0
    for step in [*steps, len(data)]:
        told.append(growing.add(data[at : at + step]))
        at += step
    assert "".join(told) + growing.end() == text
    assert not any("\ufffd" in one for one in told if "\ufffd" not in text)


def test_half_a_character_at_the_end_is_replaced():
    growing = Growing()
    assert growing.add("é".encode()[:1]) == ""
    assert growing.end() == "\ufffd"


@given(
    st.text("abc", max_size=30),
    st.lists(st.text("abc", min_size=1, max_size=4), max_size=3),
    st.integers(1, 5),
)
def test_stop_strings_do_not_care_about_boundaries(text, strings, step):
    stop = StopStrings(strings)
    told = "".join(stop.add(text[at : at + step]) for at in range(0, len(text), step)) + stop.end()
    cuts = [at for one in strings if (at := text.find(one)) >= 0]
    if not cuts:
        assert told == text
    else:
        # the earliest end decides when it is noticed; what is told is a part before some stop string
        assert stop.found in strings
        assert text[len(told) :].startswith(stop.found)
        assert text.startswith(told)
        assert not any(one in told for one in strings)


def test_what_may_belong_to_a_stop_string_is_held_back():
    stop = StopStrings(["STOP"])
    assert stop.add("abcST") == "abc"
    assert stop.add("x") == "STx"
    assert stop.add("yS") == "y"
    assert stop.add("TOP and more") == ""
    assert stop.found == "STOP"
    assert stop.end() == ""


@given(st.lists(st.binary(min_size=1, max_size=3), min_size=1), st.binary(min_size=1, max_size=2))
def test_prefix_range(items, prefix):
    ordered = sorted(items)
    low, high = prefix_range(ordered, prefix, 0, len(ordered))
    assert ordered[low:high] == [one for one in ordered if one.startswith(prefix)]


def test_half_surrogates_are_cleaned():
    assert clean("a\ud83d") == "a\ufffd"
    assert clean("\ud83d\udc4b") == "👋"
    assert words().text(words().encode("a\ud83d")) == "a\ufffd"


def test_a_folder_without_a_tokenizer_says_so(tmp_path):
    with pytest.raises(ArchflowError, match=r"lacks tokenizer\.json: pull or convert"):
        Vocabulary(tmp_path)


def test_a_broken_tokenizer_says_so(tmp_path):
    folder = model("tiny-chat").folder
    for name in ("vocabulary.json", "config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "tokenizer.json").write_text('{"model": {"type": "BPE"')
    with pytest.raises(ArchflowError, match="cannot be read"):
        Vocabulary(tmp_path)


def test_a_text_with_too_many_tokens_becomes_no_list():
    count = len(words().encode("say hello"))
    assert words().encode("say hello", count) == words().encode("say hello")
    with pytest.raises(TooMany) as raised:
        words().encode("say hello", count - 1)
    assert raised.value.count == count


def test_a_text_that_is_far_too_long_is_not_even_read(monkeypatch):
    monkeypatch.setattr(words(), "_tokenizer", None)
    with pytest.raises(TooMany) as raised:
        words().encode("x" * 1000, 10)
    assert raised.value.count == -(-1000 // words().longest)


@given(st.text(alphabet="ab 1.,\n'\u00e9\u0301", max_size=200))
def test_pieces_have_the_tokens_of_the_whole(text):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "PIECE", 7)
        found = pieces(text)
        assert "".join(found) == text
        parts = words().encode(text)
    assert parts == words().encode(text)


def test_a_long_text_is_cut_and_one_long_word_only_where_it_would_keep_the_lock():
    assert max(map(len, pieces("word and " * 10_000))) < tokens.PIECE + 20
    assert pieces("x" * tokens.UNBROKEN) == ["x" * tokens.UNBROKEN]
    assert list(map(len, pieces("x" * 100_000))) == [32_768, 32_768, 32_768, 1_696]


def test_a_cut_between_any_two_characters_spares_surrogate_pairs():
    text = "\ud83d\ude42" * 30_000
    found = pieces("x" + text)
    assert len(found) > 1
    assert "".join(map(tokens.clean, found)) == "x" + "\U0001f642" * 30_000
