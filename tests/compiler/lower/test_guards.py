"""prompt_guards and the policies of guards: what nodes they become, and what compiling says of them."""

import msgspec
import pytest

from archflow_plugins.guards.jailbreak import Jailbreak
from archflow_schema.graph import Guard, Recall, Reply, Route, Screen
from compiling import MODEL, codes, compiled, graph
from local_world import cache

PROMPTS = "version: v0.4.0\nlisteners:\n  - {name: chat, type: prompt}\n"
BOTH = "version: v0.4.0\nlisteners:\n  - {name: chat, type: prompt}\n  - {name: llm, type: model}\n"


@pytest.fixture(autouse=True)
def _cached(monkeypatch):
    monkeypatch.setenv("ARCHFLOW_CACHE", str(cache().folder))


def jailbreak(on_exception, more=""):
    return f"prompt_guards: {{input_guards: {{jailbreak: {{on_exception: {{{on_exception}}}{more}}}}}}}\n"


def first(found, listener):
    """The node where a listener's requests are judged."""
    endpoints = next(one for one in found.listeners if one.name == listener).endpoints
    return next(node for one in endpoints if not isinstance(node := found.nodes[one.entry], Recall))


def led(found, node, outcome):
    return next(found.nodes[edge.target] for edge in node.edges if edge.outcome == outcome)


@pytest.mark.parametrize("type_", ["model", "prompt", "agent"])
def test_every_type_of_listener_has_guards(type_):
    agent = ", agents: [{id: x}]" if type_ == "agent" else ""
    found = graph(
        f"version: v0.4.0\nlisteners:\n  - {{name: here, type: {type_}, port: 1, guards: [{{kind: pii}}]{agent}}}\n"
        + ("agents: [{id: x, url: 'http://h'}]\n" if agent else MODEL)
    )
    guard = first(found, "here")
    assert isinstance(guard, Guard)
    assert guard.use.kind == "guard.pii"
    assert led(found, guard, "deny").status == 400


def test_prompts_are_guarded_and_answered_with_the_message():
    found = graph(BOTH + MODEL + jailbreak("message: Not that."))
    guard = first(found, "chat")
    assert isinstance(guard, Guard)
    assert (guard.name, guard.label, guard.fail) == ("guard jailbreak (chat)", "jailbreak", "closed")
    assert guard.origin.line == 7
    assert msgspec.msgpack.decode(guard.use.compiled, type=Jailbreak).message == "Not that."
    denied, failed = led(found, guard, "deny"), led(found, guard, "failed")
    assert (denied.status, denied.code) == (200, "")
    assert (failed.status, failed.code) == (503, "guard_failed")
    assert isinstance(led(found, guard, "allow"), Route)
    assert isinstance(first(found, "llm"), Route)


def test_a_status_of_400_is_an_error():
    found = graph(PROMPTS + MODEL + jailbreak("message: Not that., status: 400"))
    denied = led(found, first(found, "chat"), "deny")
    assert (denied.status, denied.code) == (400, "guard_denied")


def test_a_guard_that_fails_open_leads_on_and_the_next_one_judges():
    listener = PROMPTS.replace("type: prompt", "type: prompt, guards: [{kind: jailbreak, name: second}]")
    found = graph(listener + MODEL + jailbreak("message: no", ", fail: open"))
    guard = first(found, "chat")
    assert guard.fail == "open"
    assert led(found, guard, "failed") is led(found, guard, "allow")
    second = led(found, guard, "allow")
    assert (second.label, second.fail) == ("second", "closed")
    assert isinstance(led(found, second, "failed"), Reply)


def test_guards_of_a_listener_say_how_they_deny():
    guards = "guards: [{kind: jailbreak, status: 200, fail: open}]"
    found = graph(f"version: v0.4.0\nlisteners:\n  - {{name: llm, type: model, {guards}}}\n{MODEL}")
    guard = first(found, "llm")
    assert led(found, guard, "deny").status == 200
    assert isinstance(led(found, guard, "failed"), Route)


@pytest.mark.parametrize("wrong", ["status: 201", "status: no", "sttus: 400"])
def test_mistakes_are_found(wrong):
    assert compiled(PROMPTS + MODEL + jailbreak(f"message: no, {wrong}")).graph is None


def test_agents_that_stand_beside_prompt_targets_are_guarded_like_prompts():
    desk = """version: v0.4.0
agents: [{id: flights, url: 'http://localhost:10510'}]
endpoints: {app: {endpoint: localhost:8080}}
prompt_targets: [{name: weather, description: tells the weather, endpoint: {name: app, path: /weather}}]
listeners:
  - name: desk
    type: agent
    port: 8001
    agents: [{id: weather}, {id: flights, description: flies, default: true}]
prompt_guards:
  input_guards: {jailbreak: {on_exception: {message: Not that.}}}
  output_guards: [{kind: regex, deny_words: [falcon]}]
"""
    desk += MODEL
    found = graph(desk)
    guard = first(found, "desk")
    assert isinstance(guard, Guard)
    assert guard.label == "jailbreak"
    assert isinstance(led(found, guard, "allow"), Screen)
    alone = graph(desk.replace("{id: weather}, ", ""))
    assert not isinstance(first(alone, "desk"), Guard)


def test_without_prompts_it_guards_nothing():
    outcome = compiled(BOTH.replace("prompt", "model, port: 1") + MODEL + jailbreak("message: no"))
    assert codes(outcome) == ["no-effect"]
    assert not any(isinstance(node, Guard) for node in outcome.graph.nodes)
