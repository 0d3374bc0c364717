"""output_guards: what nodes they become, in which order, and before whom they stand."""

from archflow_schema.graph import END, Filter, Guard, Recall, Route, Screen, Select
from compiling import MODEL, codes, compiled, graph

WORD = "{kind: regex, deny_words: [falcon]"
LISTENER = (
    "version: v0.4.0\nlisteners:\n"
    "  - {name: llm, type: model, guards: [%s}], output_guards: [%s}, %s, name: two}]}\n"
)


def first(found, listener):
    """The node where a listener's requests begin."""
    endpoints = next(one for one in found.listeners if one.name == listener).endpoints
    return next(node for one in endpoints if not isinstance(node := found.nodes[one.entry], Recall))


def led(found, node, outcome):
    target = next(edge.target for edge in node.edges if edge.outcome == outcome)
    return END if target == END else found.nodes[target]


def test_replies_pass_their_guards_in_order_behind_those_of_requests():
    found = graph(LISTENER % (WORD, WORD, WORD) + MODEL)
    guard = first(found, "llm")
    assert isinstance(guard, Guard)
    one = led(found, guard, "allow")
    assert isinstance(one, Screen)
    assert (one.name, one.label, one.fail) == ("output guard regex", "regex", "closed")
    two = led(found, one, "ready")
    assert (two.label, led(found, two, "deny").status, led(found, two, "failed").status) == ("two", 400, 503)
    assert isinstance(led(found, two, "ready"), Route)


def test_one_that_fails_open_lets_the_reply_go_to_the_client():
    found = graph(LISTENER % (WORD, WORD, WORD + ", fail: open, status: 200") + MODEL)
    two = led(found, led(found, first(found, "llm"), "allow"), "ready")
    assert (two.fail, led(found, two, "failed"), led(found, two, "deny").status) == ("open", END, 200)


def test_prompt_listeners_have_those_of_prompt_guards_first():
    listeners = f"version: v0.4.0\nlisteners:\n  - {{name: chat, type: prompt, output_guards: [{WORD}, name: own}}]}}\n"
    more = "  - {name: llm, type: model}\n"
    found = graph(listeners + more + MODEL + f"prompt_guards: {{output_guards: [{WORD}, name: all}}]}}\n")
    one = first(found, "chat")
    assert (one.label, led(found, one, "ready").label) == ("all", "own")
    assert isinstance(first(found, "llm"), Route)


def test_agents_have_them_before_their_filters():
    text = (
        "version: v0.4.0\nfilters: [{id: f, url: 'http://f'}]\nagents:\n  - {id: a, url: 'http://a'}\n"
        "  - {id: b, url: 'http://b'}\n"
        f"listeners:\n  - {{name: ag, type: agent, port: 8001, output_guards: [{WORD}}}], input_filters: [f], "
        "agents: [{id: a, description: x}, {id: b, description: y}]}\n"
    )
    found = graph(text + MODEL)
    screen = first(found, "ag")
    assert isinstance(screen, Screen)
    filtering = led(found, screen, "ready")
    assert isinstance(filtering, Filter)
    assert isinstance(led(found, filtering, "passed"), Select)


def test_a_guard_of_requests_judges_no_replies():
    assert codes(compiled(LISTENER % (WORD, "{kind: jailbreak", WORD) + MODEL)) == ["wrong-side"]
