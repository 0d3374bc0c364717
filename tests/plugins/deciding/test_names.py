"""The tables of a route: which name leads where."""

from archflow_plugins.deciding.names import Named, Names
from archflow_schema.graph import Edge, Route


def names(**fields):
    route = {
        "name": "route",
        "names": (("a", "a", "name"), ("b", "a", "alias")),
        "wildcards": (("v/", "v/*"), ("v/w/", "v/w/*")),
        "default": "a",
        "unknown": "refuse",
        "edges": (Edge("unknown", 0),),
    }
    return Names(Route(**{**route, **fields}))


def test_a_name_an_alias_and_the_longest_wildcard():
    assert names().named("a") == Named("model:a", "a", "name", "")
    assert names().named("b") == Named("model:a", "a", "alias", "")
    assert names().named("v/x") == Named("model:v/*", "v/*", "wildcard", "x")
    assert names().named("v/w/x") == Named("model:v/w/*", "v/w/*", "wildcard", "x")
    assert names().named("v/").outcome == "unknown"


def test_no_name_is_the_default_and_an_unknown_one_only_if_the_graph_says_so():
    assert names().named("none") == Named("model:a", "a", "default", "")
    assert names(default="").named("none").outcome == "unknown"
    assert names().named("c").outcome == "unknown"
    assert names(unknown="default").named("c") == Named("model:a", "a", "default", "")
    assert names(unknown="default", default="").named("c").outcome == "unknown"


def test_what_is_left_to_a_router():
    routed = names(routed=("", "none"))
    assert routed.named("none").outcome == "choose"
    assert routed.named("a").outcome == "model:a"
    assert routed.named("a", brings=True).outcome == "choose"


def test_of_what_was_chosen_the_first_that_is_there():
    assert names().named("b", chosen=("c", "v/x", "a")) == Named("model:v/*", "v/*", "preference", "x")
    assert names().named("b", chosen=("c",)) == Named("model:a", "a", "alias", "")


def test_a_hint_is_a_name_or_nothing():
    assert names().hinted(" b ") == Named("model:a", "a", "hint", "")
    assert names().hinted("default") == Named("model:a", "a", "hint", "")
    assert names().hinted("c") is None


def test_what_is_refused_names_what_comes_close():
    assert "did you mean" in names(names=(("gpt-4o", "a", "name"),)).explain("gpt-4")
    assert "GET /v1/models" in names().explain("zzz")
    assert "no model specified" in names(default="").explain("")
