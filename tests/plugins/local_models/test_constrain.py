"""Constraints over tokens: whatever a model would say, what comes out fits."""

import random

import numpy as np
import pytest
from msgspec import json

from archflow_plugins.local_models import constrain
from archflow_plugins.local_models.json_schema import BadSchema
from archflow_schema.errors import ArchflowError
from local_world import words

SLOTS = {"city": {"type": "string", "maxLength": 8}, "days": {"type": "integer", "minimum": 1, "maximum": 14}}


def test_the_host_writes_the_frame():
    constraint = constrain.slots(SLOTS, words()).begin()
    assert constraint.forced() == b'{"city":'
    assert not constraint.whole
    for token in words().encode_bytes(b'{"city": "Rome", "days": 3}'):
        constraint.take(token)
    assert constraint.whole
    assert constraint.over


def test_the_mask_is_what_fits():
    constraint = constrain.choices(["hello", "help", "world"], words()).begin()
    mask = constraint.mask()
    told = {words().bytes[one] for one in np.flatnonzero(mask)}
    assert told == {b"h", b"he", b"hell", b"hello", b"w"}
    assert all(mask[one] == (constraint.after(one) is not None) for one in range(len(words())))


def test_the_mask_leaves_a_way_to_the_end():
    constraint = constrain.choices(["hello", "help", "world"], words()).begin()
    told = {words().bytes[one] for one in constraint.fitting(2)}
    assert told == {b"he", b"hell", b"hello"}


def test_control_tokens_never_fit():
    constraint = constrain.json_schema({}, words()).begin()
    for name in ("<|im_end|>", "<|im_start|>"):
        assert constraint.after(words().names.index(name)) is None


def test_taking_what_does_not_fit_is_an_error():
    with pytest.raises(ValueError, match="does not fit"):
        constrain.choices(["a"], words()).begin().take(words().encode("b")[0])


@pytest.mark.parametrize("seed", range(30))
def test_random_tokens_end_in_valid_json(seed):
    chance = random.Random(seed)
    constraint = constrain.slots(SLOTS, words()).begin()
    text = b""
    while not constraint.over and len(text) < 60:
        token = chance.choice(list(constraint.fitting(100)))
        constraint.take(token)
        text += words().bytes[token]
    value = json.decode(text + constraint.closing())
    assert len(value["city"]) <= 8
    assert 1 <= value["days"] <= 14


def test_a_rule_is_made_once_for_a_schema():
    schema = {"type": "integer", "maximum": 99}
    assert constrain.json_schema(schema, words()) is constrain.json_schema(dict(schema), words())


def test_too_large_a_schema_is_refused():
    with pytest.raises(BadSchema, match="larger than 64 KiB"):
        constrain.json_schema({"enum": ["x" * 70_000]}, words())


@pytest.mark.parametrize("texts", [[], ["a", ""]])
def test_a_choice_needs_texts(texts):
    with pytest.raises(ValueError, match="at least one text"):
        constrain.choices(texts, words())


def test_a_vocabulary_without_single_characters_is_refused():
    class Poor:
        alphabet = 0

    with pytest.raises(ArchflowError, match="cannot be constrained"):
        constrain.choices(["a"], Poor())
