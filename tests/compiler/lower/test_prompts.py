"""Prompt targets as nodes: which there are, where they lead, and what of the configuration is in them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from archflow_compiler.driver import Outcome, compile_bytes
from archflow_compiler.explain import words
from archflow_compiler.explain.diagram import diagram, dot, mermaid
from archflow_compiler.explain.diff import changes
from archflow_compiler.explain.facts import facts
from archflow_compiler.explain.prompts import request
from archflow_compiler.explain.svg import svg
from archflow_schema.graph import END, Call, Frame, Graph, Match, Node, Place, Reply, Tell
from archflow_schema.slots import Slot
from playbook import registry

WEATHER: dict[str, Any] = {
    "name": "weather",
    "description": "tells the weather",
    "endpoint": {
        "name": "api",
        "path": "/by place/{place}?days={days}&units=metric&empty=",
        "http_headers": {"Authorization": "Bearer $KEY", "X-Team": "red"},
    },
    "parameters": [
        {"name": "place", "description": "where", "type": "string", "required": True, "format": "City"},
        {"name": "days", "description": "how many", "type": "integer", "default": 2, "enum": [1, 2]},
        {"name": "which", "description": "which", "type": "list", "items": {"type": "int"}},
    ],
}
JOKE = {"name": "joke", "description": "tells jokes"}
REST = {
    **WEATHER,
    "name": "rest",
    "default": True,
    "parameters": [],
    "endpoint": {"name": "api", "path": "rest"},
}
PLAY = {"matcher": {"kind": "play"}, "slot_filler": {"kind": "play"}}


def outcome(*targets: dict[str, Any], **more: Any) -> Outcome:
    registry()
    configuration = {
        "version": "v0.4.0",
        "plugins": {"play": "*"},
        "listeners": [{"name": "chat", "type": "prompt"}],
        "model_providers": [{"model": "openai/m", "access_key": "$KEY", "default": True}],
        "endpoints": {"api": {"endpoint": ["10.0.0.1", "$HOST:81"], "http_host": "api.test"}},
        "prompt_targets": list(targets),
        "prompting": {**PLAY, **more.pop("prompting", {})},
        **more,
    }
    return compile_bytes("arch_config.yaml", msgspec.json.encode(configuration))


def graph(*targets: dict[str, Any], **more: Any) -> Graph:
    found = outcome(*targets, **more)
    assert found.graph is not None, [(one.code, one.summary) for one in found.report]
    return found.graph


def node(made: Graph, name: str) -> Any:
    return next(one for one in made.nodes if one.name == name)


def after(made: Graph, start: Node, outcome: str) -> str:
    """The name of the node that an outcome leads to; empty for the client."""
    target = next(edge.target for edge in start.edges if edge.outcome == outcome)
    return "" if target == END else made.nodes[target].name


def ways(made: Graph, name: str) -> dict[str, str]:
    start = node(made, name)
    return {edge.outcome: after(made, start, edge.outcome) for edge in start.edges}


def test_where_prompts_go() -> None:
    made = graph(WEATHER, JOKE, system_prompt="be kind")
    assert {made.nodes[end.entry].name for end in made.listeners[0].endpoints} >= {"match chat"}
    assert ways(made, "match chat") == {
        "target:weather": "fill chat",
        "target:joke": "frame joke chat",
        "miss": "frame chat",
        "pass": "frame chat",
        "empty": "empty prompt",
        "failed": "frame chat",
    }
    assert ways(made, "fill chat") == {
        "filled": "call chat",
        "ask": "ask",
        "none": "frame chat",
        "failed": "ask",
    }
    assert ways(made, "call chat") == {"answered": "route chat", "verbatim": "", "failed": "call failed"}
    assert ways(made, "frame chat") == {"framed": "route chat"}
    assert node(made, "call failed") == Reply("call failed", 0, "upstream_application_error")


def test_a_default_target_takes_what_misses() -> None:
    made = graph(WEATHER, REST, error_target={"name": "api", "path": "told"})
    assert ways(made, "match chat")["miss"] == "default chat"
    assert ways(made, "match chat")["failed"] == "default chat"
    assert ways(made, "match chat")["pass"] == "frame chat"
    assert ways(made, "fill chat")["none"] == "default chat"
    assert ways(made, "default chat")["failed"] == "tell of default chat"
    assert ways(made, "tell of default chat") == {"replied": "", "silent": "call failed"}
    tell = node(made, "tell of call chat")
    assert isinstance(tell, Tell)
    assert (tell.path, tell.dialect) == ("/told", "openai_chat")
    (target,) = node(made, "default chat").targets
    assert (target.method, target.path, target.history) == ("POST", (Place("/rest"),), "openai_chat")


def test_a_guard_tells_the_error_target_where_the_configuration_says_so() -> None:
    denied = {"message": "no", "forward_to_error_target": True, "error_handler": "jail"}
    guards = {"input_guards": {"jailbreak": {"on_exception": denied}}}
    made = graph(prompt_guards=guards, error_target={"name": "api", "path": "/told"})
    assert ways(made, "guard jailbreak")["deny"] == "tell of guard jailbreak"
    assert ways(made, "tell of guard jailbreak") == {"replied": "", "silent": "guard answers"}
    assert (node(made, "tell of guard jailbreak").path, made.services[0].name) == ("/jail", "api")
    without = outcome(prompt_guards=guards)
    said = [one.summary for one in without.report]
    assert '"forward_to_error_target" has no effect: there is no error_target' in said
    assert without.graph is not None
    assert ways(without.graph, "guard jailbreak")["deny"] == "guard answers"


def test_only_targets_without_endpoints() -> None:
    made = graph(JOKE)
    assert ways(made, "match chat")["target:joke"] == "frame joke chat"
    assert [one for one in made.nodes if isinstance(one, Call)] == []
    assert made.services == ()


def test_without_targets_there_is_the_system_prompt_or_nothing() -> None:
    assert [type(one) for one in graph(system_prompt="be kind").nodes if isinstance(one, Frame | Match)] == [
        Frame
    ]
    assert [one for one in graph().nodes if isinstance(one, Frame | Match)] == []


def test_a_path_and_its_query_may_name_variables() -> None:
    path = "/$AREA/${AREA}s/{place}$$?key=${KEY}&$top=$$5&$$skip=&near=in {place}, $AREA"
    made = graph({**WEATHER, "endpoint": {"name": "api", "path": path}})
    (target,) = node(made, "call chat").targets
    assert target.path == (
        Place("/"),
        Place("", variable="AREA"),
        Place("/"),
        Place("", variable="AREA"),
        Place("s/", "place"),
        Place("$"),
    )
    assert target.query == (
        ("key", (Place("", variable="KEY"),)),
        ("$top", (Place("$5"),)),
        ("$skip", (Place(""),)),
        ("near", (Place("in ", "place"), Place(", "), Place("", variable="AREA"))),
    )
    assert made.environment == ("AREA", "HOST", "KEY")
    assert request(made, target).startswith("GET api/$AREA/$AREAs/{place}$?key=$KEY")


def test_what_a_call_is_made_of() -> None:
    made = graph(WEATHER, prompting={"call_timeout": "9s", "call_retries": 1, "max_steps": 2})
    call = node(made, "call chat")
    assert (call.timeout, call.retries, call.most, call.forget) == (9.0, 1, 2, False)
    assert node(made, "match chat").state.mode == "client"
    (target,) = call.targets
    assert target.path == (Place("/by%20place/", "place"),)
    assert target.query == (
        ("days", (Place("", "days"),)),
        ("units", (Place("metric"),)),
        ("empty", (Place(""),)),
    )
    assert dict(target.headers)["x-team"] == ("red",)
    assert "authorization" in dict(target.headers)
    assert target.slots == (
        Slot("place", "where", "str", required=True, format="City"),
        Slot("days", "how many", "int", default=b"2", enum=(b"1", b"2")),
        Slot("which", "which", "list", items="int"),
    )
    (service,) = made.services
    assert service.host == ("api.test",)
    assert service.addresses[0] == ("http://10.0.0.1",)
    assert {"HOST", "KEY"} <= set(made.environment)


def test_a_literal_key_in_a_header_stays_out_of_the_graph() -> None:
    target = {**WEATHER, "endpoint": {**WEATHER["endpoint"], "http_headers": {"X-Api-Key": "literal-canary"}}}
    found = outcome(target)
    assert found.graph is not None
    assert b"literal-canary" not in found.data
    assert "literal-canary" in found.secrets.values()


def test_state_that_is_kept_here_has_a_store() -> None:
    made = graph(WEATHER, prompting={"state": "server", "state_ttl": "60s"})
    state = node(made, "match chat").state
    assert (state.mode, state.store.kind, state.seconds) == ("server", "store.memory", 60.0)


def test_two_listeners_share_what_compiles() -> None:
    listeners = [{"name": "a", "type": "prompt"}, {"name": "b", "type": "prompt", "port": 10001}]
    made = graph(WEATHER, listeners=listeners)
    assert node(made, "match a").use == node(made, "match b").use
    assert len(made.services) == 1


def test_a_kind_that_nobody_offers_is_found_where_the_targets_stand() -> None:
    found = outcome(WEATHER, prompting={"matcher": {"kind": "nobody"}})
    assert [one.code for one in found.report] == ["unknown-kind"]


@pytest.mark.parametrize(
    ("section", "key"),
    [({"prompt_targets": [JOKE]}, "prompt_targets"), ({"error_target": {"name": "api"}}, "error_target")],
)
def test_what_only_prompt_listeners_use(section: dict[str, Any], key: str) -> None:
    found = outcome(**{"listeners": [{"name": "llm", "type": "model"}], **section})
    assert f'"{key}" has no effect' in " ".join(one.summary for one in found.report)
    assert found.graph is not None


def test_everything_explains_the_nodes() -> None:
    made = graph(
        WEATHER,
        JOKE,
        REST,
        system_prompt="be kind",
        error_target={"name": "api", "path": "/told"},
        prompting={"state": "server"},
    )
    told = words.text(made)
    for line in (
        "match chat: matcher.play, 30 s at most; what was called before is kept here, in store.memory, for 3600 s",
        "fill chat: slot_filler.play, 30 s at most",
        "  weather: GET api/by%20place/{place}?days={days}&units=metric&empty=; a model puts the answer into words",
        "  rest: POST api/rest, with the conversation; a model puts the answer into words",
        "tell of call chat: POST api/told, of FunctionCallError",
        "frame chat: system prompt, 7 characters",
        "endpoint api: http://10.0.0.1, http://$HOST:81, Host api.test, 0.5 s to connect",
        "  silent -> reply with its status upstream_application_error",
    ):
        assert line in told.splitlines()
    drawn = diagram(made)
    kinds = {box.kind for box in drawn.boxes}
    assert kinds >= {"match", "fill", "call", "frame", "tell"}
    for text in (mermaid(drawn), dot(drawn), svg(drawn)):
        assert "match chat" in text
        assert "tells api/told" in text
    assert "target:weather" not in mermaid(drawn)
    found = facts(made)
    assert found["prompt target weather"]["parameter days"] == "int, default 2, one of 1, 2"
    assert found["endpoint api"]["host"] == "api.test"


def test_a_change_of_a_target_is_a_change_for_traffic() -> None:
    other = {**WEATHER, "auto_llm_dispatch_on_response": False}
    (change,) = changes(graph(WEATHER), graph(other))
    assert change.thing == "prompt target weather"
    assert change.properties == (("answer", "is put into words by a model", "is the reply"),)


def test_a_model_that_only_understands_prompts_can_be_asked():
    """Where an orchestrator stands in the place of models, nothing else leads to one."""
    made = graph(
        JOKE,
        overrides={"use_agent_orchestrator": True},
        endpoints={"desk": {"endpoint": "desk:80"}},
        prompting={"matcher": {"kind": "language_model", "model": "openai/m"}},
    )
    match = node(made, "match chat")
    assert [made.nodes[index].name for index in match.asks] == ["dispatch openai/m"]
    assert [one.name for one in made.upstreams] == ["openai/m"]


@pytest.mark.parametrize(
    ("overrides", "threshold"), [({}, 0.65), ({"prompt_target_intent_matching_threshold": 0.8}, 0.8)]
)
def test_the_threshold_is_the_matcher_s_own_unless_arch_s_key_says_one(
    overrides: dict[str, float], threshold: float
) -> None:
    made = graph(WEATHER, JOKE, overrides=overrides, prompting={"matcher": {"kind": "composite"}})
    [match] = [one for one in made.nodes if isinstance(one, Match)]
    assert msgspec.msgpack.decode(match.use.compiled)["threshold"] == threshold
