"""Calls of prompt targets as requests.

The cases named after Arch's own unit tests are those of `common/src/path.rs` and `prompt_gateway/src/tools.rs`, without
what is a mistake in them: a `?` before no query, values in a body as percent-encoded texts.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw, json

from archflow_compiler.lower.calls import places_of
from archflow_engine.prompts.targets import TargetCall, Unfit
from archflow_schema.graph import Place, Target
from archflow_schema.slots import Slot

CLUSTER = "/cluster.open-cluster-management.io/v1/managedclusters"


def request(
    path: str, values: dict[str, Any], *, method: Any = "GET", query: Any = (), **defaults: Any
) -> tuple[str, bytes]:
    """Path with query, and body."""
    names = dict.fromkeys([*values, *defaults])
    slots = tuple(
        Slot(name, "", "str", default=json.encode(defaults[name]) if name in defaults else b"")
        for name in names
    )
    call = TargetCall(Target("t", 0, method, places_of(path), query, slots=slots))
    made = call.request(call.values((name, Raw(json.encode(value))) for name, value in values.items()))
    return made.target.decode(), made.body


@pytest.mark.parametrize(
    ("path", "values", "expected"),
    [
        (f"{CLUSTER}/{{cluster_name}}", {"cluster_name": "test1"}, f"{CLUSTER}/test1"),
        (CLUSTER, {}, CLUSTER),
        ("/foo/{bar}/baz", {"bar": "qux"}, "/foo/qux/baz"),
        ("/foo/{bar}/baz/{qux}", {"bar": "qux", "qux": "quux"}, "/foo/qux/baz/quux"),
        ("/foo/{bar}/baz/{qux}", {"bar": "hello world", "qux": 2}, "/foo/hello%20world/baz/2"),
    ],
)
def test_archs_replace_path(path: str, values: dict[str, Any], expected: str) -> None:
    assert request(path, values) == (expected, b"")


def test_archs_replace_path_with_a_value_that_is_missing() -> None:
    with pytest.raises(Unfit) as raised:
        TargetCall(
            Target(
                "t", 0, "GET", (Place("/foo/", "bar"), Place("/baz/", "qux")), slots=(Slot("bar", "", "str"),)
            )
        ).request({"bar": Raw(b'"qux"')})
    assert str(raised.value) == (
        "error computing api request path or body: Missing value for parameter `qux`"
    )


def test_archs_compute_request_path_body() -> None:
    values = {"cluster_name": "test1", "hello": "hello world"}
    expected = f"{CLUSTER}/test1?hello=hello%20world&country=US"
    assert request(f"{CLUSTER}/{{cluster_name}}", values, country="US") == (expected, b"")


def test_archs_compute_request_path_body_empty_params() -> None:
    assert request(f"{CLUSTER}/", {}, country="US") == (f"{CLUSTER}/?country=US", b"")


def test_archs_compute_request_path_body_override_default_val() -> None:
    assert request(f"{CLUSTER}/", {"country": "UK"}, country="US") == (f"{CLUSTER}/?country=UK", b"")


def test_a_default_stands_in_a_path_too() -> None:
    assert request("/{country}/x", {}, country="US") == ("/US/x", b"")


def test_a_body_has_typed_values() -> None:
    values = {"id": 7, "ids": ["a", "b"], "sure": True, "where": {"x": 1.5}, "what": "hello world"}
    target, body = request("/reboot/{id}", values, method="POST", mode="soft")
    assert target == "/reboot/7"
    assert json.decode(body) == {
        "ids": ["a", "b"],
        "sure": True,
        "where": {"x": 1.5},
        "what": "hello world",
        "mode": "soft",
    }
    assert request("/reboot", {}, method="PUT") == ("/reboot", b"{}")


def test_a_query_repeats_lists_and_has_the_rest_as_words() -> None:
    values = {
        "ids": ["a&b", 2],
        "sure": False,
        "where": {"x": 1},
        "none": None,
        "nested": [[[1]], 2],
        "text": "é",
    }
    target, _ = request("/x", values)
    assert target == (
        "/x?ids=a%26b&ids=2&sure=false&where=%7B%22x%22%3A1%7D&nested=%5B%5B1%5D%5D&nested=2&text=%C3%A9"
    )


def test_a_list_in_a_path_has_commas() -> None:
    assert request("/x/{ids}", {"ids": ["a", "b/c", 2]})[0] == "/x/a%2Cb%2Fc%2C2"


def test_a_query_of_the_configuration_is_filled_or_left_out() -> None:
    query = (
        ("units", (Place("metric"),)),
        ("near", (Place("city:", "city"),)),
        ("gone", (Place("", "gone"),)),
    )
    target, body = request("/x", {"city": "a b", "n": 1}, query=query, method="POST")
    assert target == "/x?units=metric&near=city%3Aa%20b"
    assert json.decode(body) == {"n": 1}
    assert request("/x", {"city": "a b", "n": 1}, query=query)[0] == f"{target}&n=1"


@pytest.mark.parametrize("value", ["..", ".", ""])
def test_a_value_is_no_step_in_a_path(value: str) -> None:
    with pytest.raises(Unfit):
        request("/a/{x}/b", {"x": value})
    assert request("/a/v{x}", {"x": value})[0] == f"/a/v{value}"
    assert request("/a", {"x": value})[0] == f"/a?x={value}"


def test_what_nobody_declared_is_left_out() -> None:
    call = TargetCall(Target("t", 0, "GET", (Place("/x"),), slots=(Slot("a", "", "int"),)))
    assert call.values([("a", Raw(b"1")), ("b", Raw(b"2"))]) == {"a": Raw(b"1")}
