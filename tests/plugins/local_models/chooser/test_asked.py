"""What a conversation asks now: which turn counts, what belongs to it, and how much it leans on those before."""

import pytest

from archflow_plugins.local_models.chooser.asked import LONGEST, MOST_PARTS, asked, parts, says_nothing


@pytest.mark.parametrize(
    "text", ["thanks", "Thank you so much!", "ok, great", "yes please", "No.", "", "  ", "👍"]
)
def test_some_turns_say_nothing(text):
    assert says_nothing(text)


@pytest.mark.parametrize(
    "text", ["Berlin", "and in celsius?", "thanks, and tomorrow", "no, the red one", "42"]
)
def test_others_do(text):
    assert not says_nothing(text)


def test_thanks_leaves_the_turn_before_in_its_place():
    assert asked(["weather in Paris", "thanks"]) == asked(["weather in Paris"])


def test_a_conversation_of_nothing_but_thanks_is_asked_as_it_is():
    assert asked(["hello", "thanks"]).newest == "thanks"


def test_a_follow_up_is_read_with_what_was_said_before():
    found = asked(["weather in Paris", "thanks", "and in celsius?"])
    assert found.newest == "and in celsius?"
    assert found.joined == "weather in Paris and in celsius?"
    assert found.texts == [
        "and in celsius?",
        "weather in Paris and in celsius?",
        "celsius",
        "weather",
        "paris",
    ]
    assert [found.texts[at] for at in found.columns(found.newest)] == ["celsius"]


def test_the_window_says_how_many_turns_are_read_together():
    said = ["one thing", "another thing", "the last thing"]
    assert asked(said, 1).joined == ""
    assert asked(said, 2).joined == "another thing the last thing"
    assert asked(said, 3).joined == "one thing another thing the last thing"
    assert asked(said, 9).joined == asked(said, 3).joined


def test_follow_ups_lean_more_than_whole_requests():
    follow, whole = asked(["and tomorrow?"]).leans, asked(["book a table for two in Rome tonight"]).leans
    assert follow[0] > whole[0]
    assert follow[1] == 1.0
    assert whole[1:] == (0.0, 0.0, 1.0)
    assert follow[3] == 0.0


def test_parts_are_sentences_and_clauses_that_stand_for_themselves():
    assert parts("what is the weather in Rome and how much is the pound in euros?") == [
        "what is the weather in Rome",
        "how much is the pound in euros?",
    ]
    assert parts("salt and pepper") == []
    assert parts("turn on the light in the hall") == []


def test_a_turn_has_no_more_parts_than_are_looked_at():
    text = ". ".join(f"this is sentence number {number}" for number in range(50))
    found = parts(text)
    assert len(found) == MOST_PARTS
    assert found[0] == "this is sentence number 0."


def test_a_long_turn_loses_its_middle():
    found = asked(["begin " + "x" * 100_000 + " end"]).newest
    assert len(found) < LONGEST + 10
    assert found.startswith("begin")
    assert found.endswith("end")


def test_nothing_said_is_nothing_asked():
    assert asked([]).newest == ""
    assert asked(["   "]).newest == ""
