"""What the guard lets through, what it says, and archflow's contract for guards."""

import pytest
from archflow_guard_brevity import Brevity, archflow_graph_verified

from archflow_plugins import Report
from archflow_plugins.registry import Registry
from archflow_plugins.testing import Broken, check_kind, compile_kind, conversation, run_context
from archflow_schema import graph as g


def guard(**config) -> Brevity:
    compiled, _ = compile_kind(Brevity, config)
    return Brevity(compiled, run_context())


def test_contract():
    check_kind(Brevity, {"max_characters": 5}, conversations=[conversation("user: too long a question")])
    check_kind(Brevity, {"max_messages": 1}, conversations=[conversation("user: a", "assistant: b")])


@pytest.mark.parametrize(
    ("limits", "turns", "allow"),
    [
        ({"max_characters": 10}, ["user: 0123456789"], True),
        ({"max_characters": 10}, ["user: 0123456789x"], False),
        ({"max_characters": 10}, ["system: 01234", "user: 56789", "assistant: x"], False),
        ({"max_messages": 2}, ["user: a", "assistant: b"], True),
        ({"max_messages": 2}, ["user: a", "assistant: b", "user: c"], False),
        ({"max_messages": 9, "max_characters": 1}, ["user: ab"], False),
    ],
)
def test_judgement(limits, turns, allow):
    assert guard(**limits).check_nowait(conversation(*turns)).allow is allow


def test_it_says_what_was_too_long_or_what_it_was_told_to_say():
    long = conversation("user: 0123456789")
    assert guard(max_characters=4).check_nowait(long).message == (
        "the conversation has 10 characters, and 4 are allowed"
    )
    assert guard(max_characters=4, message="be brief").check_nowait(long).message == "be brief"


@pytest.mark.parametrize(
    ("config", "code"),
    [({}, "no-length"), ({"max_messages": -1}, "invalid-length"), ({"max_word": 1}, "max_word")],
)
def test_mistakes_of_a_configuration(config, code):
    with pytest.raises(Broken, match=code):
        compile_kind(Brevity, config)


def test_archflow_finds_it_by_its_entry_point():
    registry = Registry.load(["brevity"])
    assert registry.kind("guard.brevity") is Brevity
    (lock,) = registry.requires(["guard.brevity"])
    assert (lock.entry_point, lock.distribution) == ("brevity", "archflow-guard-brevity")


def graph(*nodes: g.Node) -> g.Graph:
    endpoints = (g.Endpoint("/v1/chat/completions", "openai_chat", 0),)
    return g.Graph(
        source="",
        listeners=(g.Listener("egress", "model", "127.0.0.1", 12000, 30.0, endpoints),),
        nodes=nodes,
        upstreams=(),
    )


def a_guard(kind: str, following: int) -> g.Guard:
    edges = (g.Edge("allow", following), g.Edge("deny", 2), g.Edge("failed", 2))
    return g.Guard(kind, g.Use(kind), edges)


REPLY = g.Reply("end", 200)


@pytest.mark.parametrize(
    ("nodes", "codes"),
    [
        ((REPLY,), ["no-brevity-guard"]),
        ((a_guard("guard.other", 1), REPLY, REPLY), ["no-brevity-guard"]),
        ((a_guard("guard.other", 1), a_guard("guard.brevity", 2), REPLY), []),
    ],
)
def test_a_listener_without_a_brevity_guard_is_worth_a_warning(nodes, codes):
    report = Report()
    archflow_graph_verified(graph(*nodes), report)
    assert [finding.code for finding in report] == codes
