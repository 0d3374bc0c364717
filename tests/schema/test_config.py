"""The typed configuration: what holds for every Struct of it."""

import typing

import msgspec
import pytest

from archflow_compiler.reference.describe import read, sections
from archflow_schema.config import Config

STRUCTS = sorted(sections(), key=lambda cls: cls.__name__)


@pytest.mark.parametrize("cls", STRUCTS, ids=lambda cls: cls.__name__)
def test_it_is_frozen_and_every_key_has_a_sentence(cls):
    assert cls.__struct_config__.frozen
    summary, attributes = read(cls)
    assert summary
    assert all(sentence.endswith(".") for sentence in (summary, *attributes.values()))


@pytest.mark.parametrize("cls", STRUCTS, ids=lambda cls: cls.__name__)
def test_it_holds_no_dict_and_no_list(cls):
    for name, hint in typing.get_type_hints(cls).items():
        words = str(hint)
        assert "dict[" not in words, name
        assert "list[" not in words, name


def test_names_of_sections_are_unique_because_the_json_schema_refers_to_them():
    names = [cls.__name__ for cls in STRUCTS]
    assert len(set(names)) == len(names)


def test_defaults_are_hashable_so_that_a_configuration_is_a_value():
    assert hash(Config()) == hash(Config())
    assert msgspec.structs.replace(Config(), version="x") != Config()
