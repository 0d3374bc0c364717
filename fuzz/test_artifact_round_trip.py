"""Invariant: `load(dump(graph)) == graph`, and the same graph always gives the same bytes."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from archflow_schema.artifact import digest, dump, load
from archflow_schema.graph import (
    END,
    Blob,
    Dispatch,
    Edge,
    Endpoint,
    Graph,
    Limits,
    Listener,
    Origin,
    Reply,
    Requires,
    Route,
    Tls,
    Upstream,
    Use,
)
from archflow_schema.text import Env, Secret

STEADY = settings(derandomize=True, deadline=None, max_examples=100)

words = st.text(max_size=12)
seconds = st.floats(0, 1e6, allow_nan=False)
numbers = st.integers(0, 2**31)
parts = st.tuples(words, st.just(Env("A")), st.just(Secret("b")))
texts = st.one_of(st.just(()), st.tuples(words), parts)
uses = st.builds(Use, words, st.binary(max_size=20))
origins = st.builds(Origin, words, numbers)


@st.composite
def graphs(draw):
    """Sound graphs: a reply, models that fall back to it, a route to them."""
    count = draw(st.integers(1, 4))
    models = [f"m{number}" for number in range(count)]
    failing = tuple(Edge(outcome, 0) for outcome in ("refused", "timeout", "failed", "unsupported"))
    dispatches = [
        Dispatch(draw(words), model, draw(words), number, (Edge("streaming", END), *failing), draw(origins))
        for number, model in enumerate(models)
    ]
    route = Route(
        name=draw(words),
        names=tuple((f"n{number}", model, "name") for number, model in enumerate(models)),
        wildcards=(),
        default=draw(st.sampled_from(["", *models])),
        unknown=draw(st.sampled_from(["refuse", "default"])),
        edges=(
            *(Edge(f"model:{model}", number + 1) for number, model in enumerate(models)),
            Edge("unknown", 0),
        ),
    )
    upstreams = tuple(
        Upstream(
            name=draw(words), provider=draw(words), use=draw(uses), url=draw(texts), host=draw(texts),
            dialects=tuple(draw(st.lists(words, max_size=3))), http=draw(st.sampled_from(["1.1", "2"])),
            connect=draw(seconds), pool=draw(numbers), passthrough_auth=draw(st.booleans()),
        )
        for _ in models
    )  # fmt: skip
    listener = Listener(
        name=draw(words), type=draw(st.sampled_from(["model", "prompt", "agent"])), address=draw(words),
        port=draw(st.integers(1, 65535)), timeout=draw(seconds),
        endpoints=(Endpoint("/p", draw(words), count + 1),),
        tls=draw(st.none() | st.builds(Tls, words, words)), limits=draw(st.builds(Limits, head=numbers, idle=seconds)),
        models=tuple(draw(st.lists(words, max_size=3))), origin=draw(origins),
    )  # fmt: skip
    return Graph(
        source=draw(words),
        listeners=(listener,),
        nodes=(Reply(draw(words), draw(st.integers(100, 599)), draw(words), draw(texts)), *dispatches, route),
        upstreams=upstreams,
        tracers=tuple(draw(st.lists(uses, max_size=2))),
        environment=("A",),
        secrets=("b",),
        requires=tuple(
            draw(st.lists(st.builds(Requires, words, words, words, words, st.tuples(words)), max_size=2))
        ),
        blobs=tuple(draw(st.lists(st.builds(Blob, words, st.binary(max_size=30)), max_size=2))),
    )


@STEADY
@given(graphs())
def test_round_trip(graph):
    data = dump(graph)
    assert load(data) == graph
    assert dump(load(data)) == data
    assert digest(data) == digest(dump(graph))


@STEADY
@given(graphs(), graphs())
def test_different_graphs_have_different_names(one, other):
    assert (one == other) == (digest(dump(one)) == digest(dump(other)))


@STEADY
@given(graphs(), st.binary(min_size=1, max_size=8))
def test_an_older_reader_skips_what_was_appended(graph, more):
    """Fields are appended with defaults: an array with more items still loads."""
    body = msgspec.msgpack.decode(msgspec.msgpack.encode(graph))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode([*body, more]), type=Graph) == graph
