"""What of a conversation a router looks at."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archflow_plugins.routers.window import CUT, Turn, trimmed, window
from archflow_plugins.testing import conversation


def test_instructions_tools_and_silence_are_left_out():
    said = conversation(
        "system: be brief", "user: hi", "assistant: ", "tool: 42", "assistant: hello", "user: bye"
    )
    assert window(said, 100) == [Turn("user", "hi"), Turn("assistant", "hello"), Turn("user", "bye")]


def test_the_newest_turns_win():
    said = conversation(*(f"user: turn {number:02d}" for number in range(50)))
    found = window(said, 50)  # each takes 7 characters and its frame
    assert [turn.content for turn in found] == [f"turn {number:02d}" for number in range(45, 50)]
    assert window(said, 50, turns=1) == [Turn("user", "turn 49")]


def test_a_long_turn_loses_its_middle():
    said = conversation("user: " + "a" * 500 + "END")
    (turn,) = window(said, 33)
    assert len(turn.content) == 100
    assert CUT in turn.content
    assert turn.content.endswith("END")


def test_a_long_answer_before_the_question_is_left_out():
    said = conversation("user: first", "assistant: " + "b" * 500, "user: next")
    assert window(said, 40) == [Turn("user", "next")]


def test_an_older_question_is_shown_in_part_if_there_is_room():
    said = conversation("user: " + "a" * 500, "user: next")
    older, newest = window(said, 75)
    assert CUT in older.content
    assert newest.content == "next"


def test_nothing_was_said():
    assert window(conversation(), 100) == []
    assert window(conversation("system: x"), 100) == []


@given(st.text(max_size=300), st.integers(0, 400))
def test_what_is_trimmed_fits(text, room):
    found = trimmed(text, room)
    assert len(found) <= room
    assert found == text or len(text) > room


@pytest.mark.parametrize("room", range(8))
def test_tiny_rooms(room):
    assert len(trimmed("abcdefghij", room)) <= room
