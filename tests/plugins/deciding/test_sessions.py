"""When a session may move, in figures."""

import pytest
import trio

from archflow_plugins.deciding.sessions import MILLION, Pin, Sessions
from archflow_plugins.stores.memory import Memory, MemoryConfig
from archflow_plugins.testing import run_context
from archflow_schema.graph import Budget, Use
from archflow_schema.graph import Sessions as Stored

PRICES = (("cheap", 1.0, 0.1), ("dear", 10.0, 1.0), ("untold", 2.0, -1.0))


def sessions(budget):
    return Sessions(Stored(Use("store.memory"), 60, "", budget), Memory(MemoryConfig(), run_context()))


def judged(pin, model, *, budget, tokens=MILLION, confidence=1.0, percent=None):
    return sessions(budget).judge(pin, model, "r", confidence, tokens, percent)


def test_without_a_budget_a_session_stays():
    pin = Pin("cheap", "r", "cheap")
    assert judged(pin, "dear", budget=None) == judged(pin, "cheap", budget=None)


def test_staying_costs_what_the_first_model_charges_for_cached_tokens():
    budget = Budget(0.0, prices=PRICES, discount=0.25)
    assert judged(Pin("cheap", "r", "dear", 5.0), "cheap", budget=budget).pin.stay == 6.0
    assert judged(Pin("untold", "r", "untold"), "untold", budget=budget).pin.stay == 0.5
    assert judged(Pin("free", "r", "free"), "free", budget=budget).pin.stay == 0.0


def test_a_move_costs_the_uncached_price_less_the_cached_one():
    pin = Pin("cheap", "r", "cheap", stay=99.0)  # and 0.1 for this turn
    cost = 10.0 - 0.1
    just = cost / 99.1 * 100
    assert judged(pin, "dear", budget=Budget(just + 0.01, prices=PRICES)).moves
    assert not judged(pin, "dear", budget=Budget(just - 0.01, prices=PRICES)).moves
    assert judged(pin, "dear", budget=Budget(0.0, prices=PRICES), percent=just + 0.01).moves


def test_moves_add_up_unless_they_are_counted_anew():
    pin = Pin("cheap", "r", "cheap", stay=200.0)
    spent = judged(pin, "dear", budget=Budget(5.0, prices=PRICES, anew=False))
    assert spent.moves
    assert spent.pin == Pin("dear", "r", "cheap", stay=200.1, spent=9.9)
    anew = judged(pin, "dear", budget=Budget(5.0, prices=PRICES))
    assert anew.pin == Pin("dear", "r", "dear")


def test_a_cheaper_model_is_free_and_pays_nothing_back():
    budget = Budget(0.0, prices=PRICES, anew=False)
    moved = judged(Pin("dear", "r", "dear", spent=3.0), "cheap", budget=budget, tokens=10)
    assert moved.moves
    assert moved.pin.spent == 3.0


def test_without_prices_a_move_is_free():
    assert judged(Pin("cheap", "r", "cheap"), "unheard-of", budget=Budget(0.0, prices=PRICES)).moves
    assert judged(Pin("unheard-of", "r", "unheard-of"), "dear", budget=Budget(0.0, prices=PRICES)).moves


def test_a_router_that_is_not_sure_or_finds_nothing_moves_nothing():
    budget = Budget(100.0, confidence=0.6, prices=PRICES)
    pin = Pin("dear", "r", "dear")
    assert not judged(pin, "cheap", budget=budget, confidence=0.5).moves
    assert not judged(pin, "", budget=budget).moves


@pytest.mark.parametrize("value", [b"", b"\xc1", b"\x93\x01\x02\x03", b"{}"])
def test_what_another_version_kept_is_forgotten(value):
    store = Memory(MemoryConfig(), run_context())
    kept = Sessions(Stored(Use("store.memory"), 60), store)
    trio.run(kept.keep, "s", "t", Pin("a", "r", "a"))
    (key,) = store._values
    store.put_nowait(key, value, 60)
    assert trio.run(kept.recall, "s", "t") is None


def test_a_session_and_a_tenant_are_never_one_word():
    async def both():
        kept = sessions(None)
        await kept.keep("b", "a", Pin("m", "r", "m"))
        return await kept.recall("b", "a"), await kept.recall("ab", ""), await kept.recall("", "ab")

    assert trio.run(both) == (Pin("m", "r", "m"), None, None)
