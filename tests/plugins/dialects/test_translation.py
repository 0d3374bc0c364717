"""Every dialect's table, held against what the dialect does: in itself, and in every pair.

Rule: nothing here knows a dialect; a new one that sets `translates` is tested by being there.
"""

import itertools

import msgspec
import pytest

from archflow_plugins.kinds import Dialect, Head
from archflow_plugins.registry import Registry
from archflow_plugins.testing import run_context
from archflow_plugins.translation import (
    FEATURES,
    Becomes,
    CannotExpress,
    Dropped,
    Refused,
    Sent,
    leave,
    spared,
)
from archflow_schema.conversation import Conversation

DIALECTS: dict[str, Dialect] = {
    name: kind(None, run_context()) for name, kind in Registry.load().dialects().items() if kind.translates
}
CASES = [
    (name, feature)
    for name, dialect in DIALECTS.items()
    for feature, place in dialect.places.items()
    if isinstance(place, Sent)
]
PAIRS = list(itertools.permutations(DIALECTS, 2))


def request(dialect: Dialect, sample: str = "{}") -> bytes:
    """The dialect's minimal request, with the fields of a sample put over it."""
    return msgspec.json.encode({**msgspec.json.decode(dialect.minimal), **msgspec.json.decode(sample)})


def conversation(dialect: Dialect, body: bytes) -> Conversation:
    head = dialect.decode_head(body)
    return dialect.decode(Head(head.model or "model-x", head.stream, head.fields, head.body))


@pytest.mark.parametrize("name", DIALECTS)
def test_a_row_for_every_feature(name):
    assert set(DIALECTS[name].places) == set(FEATURES)


@pytest.mark.parametrize("name", DIALECTS)
def test_what_becomes_something_else_becomes_something_that_there_is(name):
    for place in DIALECTS[name].places.values():
        if isinstance(place, Becomes):
            assert set(place.features) <= set(FEATURES)
        if isinstance(place, Sent):
            assert set(place.otherwise) <= set(FEATURES)


@pytest.mark.parametrize("name", DIALECTS)
def test_the_minimal_request_says_nothing_else(name):
    dialect = DIALECTS[name]
    found = conversation(dialect, request(dialect))
    assert {feature for feature, one in FEATURES.items() if one.read(found)} <= {"text", "max_tokens"}
    assert not found.extras


@pytest.mark.parametrize(("name", "feature"), CASES)
def test_a_sample_says_it_and_survives_its_own_dialect(name, feature):
    dialect = DIALECTS[name]
    said = conversation(dialect, request(dialect, dialect.places[feature].sample))
    read = FEATURES[feature].read
    assert read(said), "the sample does not use the feature"
    encoded = dialect.encode(said, "model-x")
    assert feature not in encoded.dropped
    assert read(conversation(dialect, encoded.body)) == read(said)


@pytest.mark.parametrize(
    ("source", "target", "feature"),
    [(source, target, feature) for source, target in PAIRS for name, feature in CASES if name == source],
)
def test_a_feature_goes_where_the_table_says(source, target, feature):
    one, other = DIALECTS[source], DIALECTS[target]
    said = conversation(one, request(one, one.places[feature].sample))
    place = other.places[feature]
    foreign = place.foreign if isinstance(place, Sent) else None
    try:
        encoded = other.encode(said, "model-x")
    except CannotExpress as refusal:
        named = (
            refusal.feature
        )  # another one, where the sample cannot do without: a detail of an image by URL
        assert FEATURES[named].read(said)
        refused = other.places[named]
        foreign = refused.foreign if isinstance(refused, Sent) else None
        assert isinstance(refused, Refused) or isinstance(foreign, Refused)
        return
    assert not isinstance(place, Refused)
    if feature in encoded.dropped:
        assert isinstance(place, Dropped) or isinstance(foreign, Dropped)
        return
    assert not isinstance(place, Dropped)
    found = conversation(other, encoded.body)
    if isinstance(place, Becomes):
        assert any(FEATURES[name].read(found) for name in place.features), "the feature did not arrive"
        return
    arrived = FEATURES[feature].read(found)
    if not arrived:
        assert any(FEATURES[name].read(found) for name in place.otherwise), "the feature did not arrive"
        return
    if place.exact and one.places[feature].exact:
        assert arrived == FEATURES[feature].read(said)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_minimal_request_drops_nothing(source, target):
    said = conversation(DIALECTS[source], request(DIALECTS[source]))
    assert DIALECTS[target].encode(said, "model-x").dropped == ()
    assert leave(DIALECTS[source].own, said) == ()


@pytest.mark.parametrize(
    ("name", "field"), [(name, field) for name, dialect in DIALECTS.items() for field in dialect.own]
)
def test_a_field_of_its_own_is_named_or_refused(name, field):
    dialect = DIALECTS[name]
    place = dialect.own[field]
    said = conversation(
        dialect, request(dialect, msgspec.json.encode({field: {"archflow-test": 1}}).decode())
    )
    if isinstance(place, Refused):
        with pytest.raises(CannotExpress, match=field):
            leave(dialect.own, said)
    else:
        assert field in leave(dialect.own, said)


def test_tools_of_a_provider_are_named_one_by_one():
    tools = [{"type": "web_search_20250305", "name": "web_search"}, {"type": "mcp"}, {"googleSearch": {}}]
    said = Conversation(
        extras=(("tools", msgspec.Raw(msgspec.json.encode(tools))), ("odd", msgspec.Raw(b"1")))
    )
    assert leave({}, said) == ("tools.web_search", "tools.mcp", "tools.googleSearch", "odd")


def test_what_an_upstream_lacks_is_left_out_and_named():
    said = Conversation(user="u", cache_key="k", metadata=(("a", "b"),), verbosity="low")
    kept, left = spared(said, frozenset({"user", "metadata", "service_tier"}))
    assert kept == Conversation(cache_key="k", verbosity="low")
    assert left == ("user", "metadata")
    assert spared(kept, frozenset({"user"})) == (kept, ())
