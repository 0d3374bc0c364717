"""A turn is read once, however many targets ask what it gives them."""

from datetime import date, datetime

from archflow_plugins.slots import dialogue, fill, targets, turn
from archflow_plugins.testing import conversation
from archflow_schema.slots import Intent, Slot

NOW = datetime(2026, 11, 25, 9, 30)  # noqa: DTZ001 - extractors know no zones
EVERY = {
    name: fill.target(Intent(name, f"Tells the {name}", (Slot("city", "the city", "str", required=True),)))
    for name in ("weather", "traffic", "population")
}


def test_several_targets_read_each_turn_once(monkeypatch):
    read = []
    real = turn.turn

    def counted(text, *more, **named):
        read.append(text)
        return real(text, *more, **named)

    monkeypatch.setattr(turn, "turn", counted)
    said = conversation(
        "user: the weather please", "assistant: In which city? Could you tell me the city?", "user: Oslo"
    )
    told = dialogue.read(said, NOW)
    found = targets.drafts(targets.chosen(told, tuple(EVERY), EVERY), told)
    assert {value for one in found for given in one.values.values() for value in given} == {"Oslo"}
    assert len(found) == 3
    assert len(read) == len(set(read))
    assert "Oslo" in read


def test_a_reader_knows_when_it_is_and_which_comes_first():
    american, british = turn.Reader(NOW), turn.Reader(NOW, day_first=True)
    assert [one.value for one in american.turn("on 03/04/2024").mentions] == [date(2024, 3, 4)]
    assert [one.value for one in british.turn("on 03/04/2024").mentions] == [date(2024, 4, 3)]
    assert [one.value for one in british.turn("tomorrow").mentions] == [date(2026, 11, 26)]
    assert american.turn("tomorrow") is american.turn("tomorrow")


def test_a_long_turn_is_read_at_both_ends():
    read = turn.Reader(NOW).turn("on 2024-03-04 " + "x " * turn.LONGEST + "until 2024-03-05")
    assert len(read.text) <= turn.LONGEST + 1
    assert [one.value for one in read.mentions] == [date(2024, 3, 4), date(2024, 3, 5)]
