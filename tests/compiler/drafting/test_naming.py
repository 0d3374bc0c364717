"""Names and descriptions, made of what APIs call things."""

import pytest

from archflow_compiler.drafting.naming import LONGEST, Unique, described, of_path, plain, snake, spoken


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("getPetById", "get_pet_by_id"),
        ("HTTPServerStatus", "http_server_status"),
        ("list pets", "list_pets"),
        ("pets/list-all", "pets_list_all"),
        ("ümläut", "ml_ut"),
        ("...", ""),
        ("x" * 100, "x" * 64),
    ],
)
def test_snake(text, name):
    assert snake(text) == name


def test_a_path_is_a_name_too():
    assert of_path("GET", "/pets/{petId}/toys") == "get_pets_by_pet_id_toys"
    assert of_path("GET", "/") == "get"


def test_a_name_is_given_once():
    names = Unique()
    assert [names.name(one) for one in ("a", "a", "a_2", "a", "b")] == ["a", "a_2", "a_2_2", "a_3", "b"]


def test_descriptions_are_one_line_without_markup():
    assert described("Tells **all**\n  of `it`: <b>now</b>\u2028!\n\nAnd more.") == "Tells all of it: now !"
    assert described("costs $5 in ${CITY} or $HOME") == "costs $5 in {CITY} or HOME"


def test_a_long_text_is_cut_behind_a_sentence_or_a_word():
    assert plain("One. " + "two " * 200, 20).startswith("One. two")
    cut = plain("First sentence is long enough here. " * 20)
    assert cut.endswith("here.")
    assert len(cut) <= LONGEST
    assert len(plain("x" * 1000)) <= LONGEST


def test_a_name_in_words():
    assert spoken("petId") == "the pet id"
    assert spoken("---") == "a value"
