from msgspec import structs

from archflow_compiler.verify import verify
from archflow_schema.diagnostic import Report
from archflow_schema.graph import (
    END,
    Agent,
    Call,
    Dispatch,
    Edge,
    Endpoint,
    Filter,
    Graph,
    Guard,
    Listener,
    Place,
    Reply,
    Screen,
    Select,
    Service,
    Sift,
    Target,
    Tell,
    Upstream,
    Use,
)

REPLY = Reply("sorry", 502)
SAME = "leads to a model, an agent, a call or a filter all the same"


def guard(allow, deny, failed, fail="closed"):
    edges = (Edge("allow", allow), Edge("deny", deny), Edge("failed", failed))
    return Guard("guard", Use("guard.x"), edges, fail=fail)


def dispatch(reply):
    outcomes = ("refused", "timeout", "failed", "unsupported")
    return Dispatch("d", "m", "m", 0, (Edge("streaming", END), *(Edge(one, reply) for one in outcomes)))


def call(answered, failed, *targets):
    wired = (Edge("answered", answered), Edge("verbatim", END), Edge("failed", failed))
    return Call("call", targets or (Target("t", 0, "GET", (Place("/x"),)),), wired)


def found(*nodes, entry=0, upstreams=1, services=()):
    graph = Graph(
        source="x",
        listeners=(Listener("l", "model", "a", 1, 1.0, (Endpoint("/p", "d", entry),)),),
        nodes=nodes,
        upstreams=tuple(
            Upstream(f"u{number}", "p", Use("provider.x"), ("http://u",)) for number in range(upstreams)
        ),
        dialects=("d",),
        services=tuple(Service(name, (("http://s",),)) for name in services),
    )
    report = Report()
    verify(graph, report)
    return [one.summary for one in report]


def test_a_sound_graph():
    assert found(guard(1, 2, 2), dispatch(2), REPLY) == []


def test_a_guard_that_lets_through_what_it_denies():
    assert found(guard(1, 1, 2), dispatch(2), REPLY) == [f"l /p: guard deny {SAME}"]
    assert found(guard(1, 2, 1), dispatch(2), REPLY) == [f"l /p: guard failed {SAME}"]


def test_a_guard_that_lets_a_call_be_made():
    nodes = (guard(1, 1, 3), call(2, 3), dispatch(3), REPLY)
    assert found(*nodes, services=["s"]) == [f"l /p: guard deny {SAME}"]
    told = Tell("tell", 0, "/", "Denied", "d", (Edge("replied", END), Edge("silent", 3)))
    nodes = (guard(1, 4, 3), call(2, 3), dispatch(3), REPLY, told)
    assert found(*nodes, services=["s"]) == []


def test_a_service_that_nobody_calls_or_that_is_not_there():
    nodes = (call(1, 2), dispatch(2), REPLY)
    assert found(*nodes, services=["s", "t"]) == ["service t is never called"]
    assert found(*nodes) == ["node call: service 0 of t does not exist"]


def test_a_call_whose_path_or_slots_are_none():
    odd = Target("t", 0, "GET", (Place("x", "y"),), history="klingon")
    assert found(call(1, 2, odd), dispatch(2), REPLY, services=["s"]) == [
        "node call: the dialect klingon is not declared",
        "node call: t has no slot y",
        "node call: the path of t does not begin with /",
    ]


def test_a_call_whose_path_names_a_variable_that_the_graph_does_not():
    odd = Target("t", 0, "GET", (Place("/"), Place("", variable="KEY")))
    assert found(call(1, 2, odd), dispatch(2), REPLY, services=["s"]) == [
        "the variable KEY is used and not declared"
    ]


def test_a_guard_that_fails_open_leads_where_it_allows_and_nowhere_else():
    assert found(guard(1, 2, 1, "open"), dispatch(2), REPLY) == []
    around = f"l /p: guard failed {SAME}"
    second = guard(2, 3, 3)
    assert found(guard(1, 3, 1, "open"), second, dispatch(3), REPLY) == []
    assert found(guard(1, 3, 2, "open"), second, dispatch(3), REPLY) == [around]
    assert found(guard(1, 1, 1, "open"), dispatch(2), REPLY) == [f"l /p: guard deny {SAME}"]


def test_a_filter_does_not_get_what_a_guard_denied():
    edges = (Edge("passed", 1), Edge("refused", 2), Edge("failed", 2))
    passing = Filter("f", "f", Use("filter.x"), edges)
    around = f"l /p: guard deny {SAME}"
    only = Filter("f", "f", Use("filter.x"), tuple(Edge(edge.outcome, 2) for edge in edges))
    assert found(guard(3, 2, 2), dispatch(2), REPLY, passing) == []
    assert found(guard(1, 3, 2), dispatch(2), REPLY, only) == [around]


def test_a_node_that_nothing_reaches():
    assert found(guard(1, 2, 2), dispatch(2), REPLY, Reply("lonely", 500)) == [
        "node lonely cannot be reached"
    ]


def test_an_upstream_that_nobody_asks():
    assert found(guard(1, 2, 2), dispatch(2), REPLY, upstreams=2) == ["upstream u1 is never asked"]


def test_an_entry_that_does_not_exist():
    assert "listener l: /p enters at node 9, which does not exist" in found(REPLY, entry=9, upstreams=0)


def agent(reply):
    outcomes = ("refused", "timeout", "failed")
    return Agent("a", "a", ("http://h",), (Edge("streaming", END), *(Edge(one, reply) for one in outcomes)))


def test_a_guard_that_lets_an_agent_hear_what_it_denies():
    assert found(guard(1, 1, 2), agent(2), REPLY, upstreams=0) == [f"l /p: guard deny {SAME}"]


def test_a_router_may_ask_a_model_that_no_request_goes_to():
    wired = tuple(Edge(one, 1) for one in ("agent:a", "none", "failed"))
    select = Select("s", Use("router.r"), ("a",), 1.0, wired)
    assert found(select, agent(2), REPLY, dispatch(2)) == ["node d cannot be reached"]
    assert found(structs.replace(select, asks=(3,)), agent(2), REPLY, dispatch(2)) == []
    assert "node s: asks node 9, which does not exist" in found(
        structs.replace(select, asks=(3, 9)), agent(2), REPLY, dispatch(2)
    )


def screen(ready, deny, failed, fail="closed"):
    edges = (Edge("ready", ready), Edge("deny", deny), Edge("failed", failed))
    return Screen("screen", Use("guard.x"), edges, fail=fail)


def test_a_guard_of_replies_before_all_models_is_sound():
    assert found(screen(1, 2, 2), dispatch(2), REPLY) == []
    assert found(screen(1, 2, END, "open"), dispatch(2), REPLY) == []


def test_no_model_is_reached_around_a_guard_of_replies():
    around = found(guard(1, 3, 2, "closed"), screen(2, 3, 3), dispatch(3), REPLY)
    assert any("a model or an agent is reached around screen" in one for one in around)
    assert found(screen(1, 1, 2), dispatch(2), REPLY) == [f"l /p: screen deny {SAME}"]


def test_a_guard_of_replies_fails_as_it_says():
    assert found(screen(1, 2, END), dispatch(2), REPLY) == [
        "node screen: fails closed, and failed leads nowhere"
    ]
    assert found(screen(1, 2, 2, "open"), dispatch(2), REPLY) == [
        "node screen: fails open, and failed leads on"
    ]


def sift(ready, refused, failed):
    edges = (Edge("ready", ready), Edge("refused", refused), Edge("failed", failed))
    return Sift("sift", "f", Use("filter.x"), edges)


def test_no_model_is_reached_around_a_filter_of_replies():
    assert found(sift(1, 2, 2), dispatch(2), REPLY) == []
    around = found(guard(1, 3, 2, "closed"), sift(2, 3, 3), dispatch(3), REPLY)
    assert any("a model or an agent is reached around sift" in one for one in around)
    assert found(sift(1, 1, 2), dispatch(2), REPLY) == [f"l /p: sift refused {SAME}"]
    assert found(sift(1, 2, END), dispatch(2), REPLY) == ["node sift: failed leads nowhere"]


def test_what_stands_in_an_agents_place_can_be_chosen():
    wired = tuple(Edge(one, 1) for one in ("agent:a", "none", "failed"))
    select = Select("s", Use("router.r"), ("a",), 1.0, wired, targets=("a",), models=("b",))
    assert found(select, agent(2), REPLY, upstreams=0) == ["node s: b cannot be chosen"]
