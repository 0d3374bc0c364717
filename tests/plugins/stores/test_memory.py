"""Counters in memory: the generic cell rate algorithm against a slow and obvious bucket."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archflow_plugins.stores.memory import Memory, MemoryConfig
from archflow_plugins.testing import run_context


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def store(clock, max_keys: int = 100) -> Memory:
    return Memory(MemoryConfig(max_keys=max_keys), run_context(clock=clock))


def test_a_burst_of_the_whole_capacity_then_one_at_a_time(clock):
    limits = store(clock)
    assert limits.charge_nowait("k", 100, 100, 60).admitted
    refused = limits.charge_nowait("k", 10, 100, 60)
    assert (refused.admitted, refused.remaining, refused.retry_after) == (False, 0, pytest.approx(6))
    clock.now += 5.9
    assert not limits.charge_nowait("k", 10, 100, 60).admitted
    clock.now += 0.1
    assert limits.charge_nowait("k", 10, 100, 60).admitted


def test_a_refused_charge_costs_nothing(clock):
    limits = store(clock)
    limits.charge_nowait("k", 60, 100, 60)
    for _ in range(10):
        assert not limits.charge_nowait("k", 50, 100, 60).admitted
    assert limits.charge_nowait("k", 40, 100, 60).admitted


def test_more_than_the_capacity_is_never_admitted(clock):
    limits = store(clock)
    refused = limits.charge_nowait("k", 101, 100, 60)
    assert (refused.admitted, refused.retry_after, refused.remaining) == (False, math.inf, 100)
    assert len(limits) == 0


def test_remaining(clock):
    limits = store(clock)
    assert limits.charge_nowait("k", 30, 100, 60).remaining == pytest.approx(70)
    clock.now += 6
    assert limits.charge_nowait("k", 0, 100, 60).remaining == pytest.approx(80)


def test_settling_gives_back_and_takes_more(clock):
    limits = store(clock)
    limits.charge_nowait("k", 80, 100, 60)
    limits.settle_nowait("k", -50, 100, 60)
    assert limits.charge_nowait("k", 70, 100, 60).admitted
    limits.settle_nowait("k", 100, 100, 60)
    refused = limits.charge_nowait("k", 10, 100, 60)
    assert refused.retry_after == pytest.approx(66)


def test_settling_never_fills_above_the_brim(clock):
    limits = store(clock)
    limits.settle_nowait("k", -1000, 100, 60)
    assert limits.charge_nowait("k", 100, 100, 60).admitted
    assert not limits.charge_nowait("k", 1, 100, 60).admitted


def test_keys_do_not_share(clock):
    limits = store(clock)
    limits.charge_nowait("a", 100, 100, 60)
    assert limits.charge_nowait("b", 100, 100, 60).admitted


def test_full_buckets_are_forgotten(clock):
    limits = store(clock)
    for number in range(50):
        limits.charge_nowait(f"old{number}", 1, 100, 60)
    clock.now += 60
    for number in range(25):
        limits.charge_nowait(f"new{number}", 1, 100, 60)
    assert len(limits) == 25


def test_the_number_of_keys_is_bounded_and_the_one_charged_longest_ago_gives_way(clock):
    limits = store(clock, max_keys=3)
    for key in ("a", "b", "c", "a", "d"):
        limits.charge_nowait(key, 50, 100, 60)
    assert len(limits) == 3
    assert not limits.charge_nowait("a", 1, 100, 60).admitted
    assert limits.charge_nowait("b", 100, 100, 60).admitted


class Bucket:
    """The same thing, slow and obvious: a level that refills."""

    def __init__(self, capacity: float, period: float) -> None:
        self.capacity, self.period = capacity, period
        self.level, self.seen = capacity, 1000.0

    def charge(self, cost: float, now: float) -> bool:
        self.level = min(self.capacity, self.level + (now - self.seen) * self.capacity / self.period)
        self.seen = now
        if cost > self.level + 1e-6:
            return False
        self.level -= cost
        return True


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 40)), max_size=40))
def test_it_is_a_leaky_bucket(steps):
    clock = Clock()
    limits = store(clock)
    bucket = Bucket(10, 60)
    for cost, wait in steps:
        clock.now += wait
        assert limits.charge_nowait("k", cost, 10, 60).admitted == (
            cost <= 10 and bucket.charge(cost, clock.now)
        )


@settings(max_examples=200)
@given(st.lists(st.integers(1, 10), max_size=20), st.integers(1, 10))
def test_retry_after_is_the_truth(costs, last):
    clock = Clock()
    limits = store(clock)
    for cost in costs:
        limits.charge_nowait("k", cost, 10, 60)
    refused = limits.charge_nowait("k", last, 10, 60)
    if not refused.admitted:
        clock.now += refused.retry_after - 0.01
        assert not limits.charge_nowait("k", last, 10, 60).admitted
        clock.now += 0.02
        assert limits.charge_nowait("k", last, 10, 60).admitted


def values(clock, **settings) -> Memory:
    return Memory(MemoryConfig(**settings), run_context(clock=clock))


def test_a_value_lives_for_its_time(clock):
    kept = values(clock)
    kept.put_nowait("a", b"1", 60)
    clock.now += 59.9
    assert kept.get_nowait("a") == b"1"
    clock.now += 0.1
    assert kept.get_nowait("a") is None
    assert kept.size == 0


def test_values_and_buckets_do_not_meet(clock):
    kept = values(clock)
    kept.put_nowait("a", b"1", 60)
    assert kept.charge_nowait("a", 10, 10, 60).admitted
    assert len(kept) == 1
    kept.delete_nowait("a")
    assert len(kept) == 1


def test_the_value_used_longest_ago_gives_way(clock):
    kept = values(clock, max_values=2)
    kept.put_nowait("a", b"1", 60)
    kept.put_nowait("b", b"2", 60)
    assert kept.get_nowait("a") == b"1"
    kept.put_nowait("c", b"3", 60)
    assert [kept.get_nowait(key) for key in "abc"] == [b"1", None, b"3"]


def test_values_take_no_more_than_their_room(clock):
    kept = values(clock, max_bytes=100)
    for key in "abc":
        kept.put_nowait(key, bytes(40), 60)
    assert kept.size == 82
    assert kept.get_nowait("a") is None
    kept.put_nowait("b", b"", 60)
    assert kept.size == 42
    kept.put_nowait("c", bytes(101), 60)
    assert kept.get_nowait("c") is None
    assert kept.size == 1


def test_what_is_over_goes_when_something_comes(clock):
    kept = values(clock)
    for key in "abcd":
        kept.put_nowait(key, b"1", 60)
    clock.now += 61
    kept.put_nowait("e", b"1", 60)
    kept.put_nowait("f", b"1", 60)
    assert kept.size == 4


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "get", "delete"]), st.sampled_from("abcd"), st.integers(0, 30)),
        max_size=60,
    )
)
@settings(max_examples=100)
def test_the_room_is_counted_right(steps):
    clock = Clock()
    kept = values(clock, max_bytes=64, max_values=3)
    for what, key, number in steps:
        clock.now += number / 10
        match what:
            case "put":
                kept.put_nowait(key, bytes(number), 5)
            case "get":
                kept.get_nowait(key)
            case _:
                kept.delete_nowait(key)
        assert kept.size == sum(len(key) + len(value) for key, (value, _) in kept._values.items()) <= 64
        assert len(kept._values) <= 3
