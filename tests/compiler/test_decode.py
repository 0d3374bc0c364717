from typing import Annotated, Literal

import pytest
from msgspec import Meta, Struct

from archflow_compiler.decode import Decoder
from archflow_compiler.source import Source, parse
from archflow_compiler.tree import Places
from archflow_schema.config import Config, GuardUse, Limits
from archflow_schema.config.forms import Duration, Size
from archflow_schema.diagnostic import Report


def decode(text, cls):
    report = Report()
    root = parse(Source("x.yaml", text), report)
    assert root is not None, list(report)
    places = Places(root)
    return Decoder(report, places).struct(root, cls), report, places


class Times(Struct, frozen=True):
    a: Duration = 1.0


class Sizes(Struct, frozen=True):
    a: Size = 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("500ms", 0.5),
        ("0.005s", 0.005),
        ("2m", 120),
        ("1h", 3600),
        ("1m30s", 90),
        ("1h 0.5m", 3630),
        ("1 d", 86_400),
        ("7", 7),
        ("0.5", 0.5),
    ],
)
def test_times(text, seconds):
    value, report, _ = decode(f"a: {text}\n", Times)
    assert value.a == pytest.approx(seconds)
    assert isinstance(value.a, float)
    assert not list(report)


@pytest.mark.parametrize(
    "text", ["0", "-1s", "30 parsecs", "s", "true", "[]", "1e400", "0s", "1m !", "1m2", "''", "-3", ".inf"]
)
def test_what_is_no_time(text):
    value, report, _ = decode(f"a: {text}\n", Times)
    assert value == Times()
    assert [one.code for one in report] == ["wrong-type"]


def test_a_long_quantity_that_fails_is_refused_at_once():
    """Would never end if the pattern could split the spaces in more than one way."""
    value, report, _ = decode(f"a: '{'1s ' * 5000}!'\n", Times)
    assert value == Times()
    assert report.errors == 1


@pytest.mark.parametrize(
    ("text", "size"), [("32MiB", 33_554_432), ("64 KiB", 65_536), ("1kB", 1000), ("10", 10), ("1.5KiB", 1536)]
)
def test_sizes(text, size):
    value, _, _ = decode(f"a: {text}\n", Sizes)
    assert value.a == size
    assert isinstance(value.a, int)


def test_all_mistakes_show_and_good_items_survive():
    text = """
model_providers:
  - model: openai/a
  - modle: openai/b
  - model: 3
  - model: openai/d
    default: maybe
"""
    config, report, places = decode(text, Config)
    assert [provider.model for provider in config.model_providers] == ["openai/a", "openai/d"]
    assert [(one.code, one.range.line) for one in report] == [
        ("unknown-key", 4),
        ("missing-key", 4),
        ("wrong-type", 5),
        ("wrong-type", 7),
    ]
    assert places.value("model_providers", 1, "model").line == 6
    assert not places.said("model_providers", 2)


def test_places_of_a_dropped_item_are_forgotten():
    _, _, places = decode("model_providers:\n  - name: x\n    access_key: y\n", Config)
    assert not places.said("model_providers", 0, "access_key")
    assert places.said("model_providers")


def test_keyed_mappings_become_items_that_know_their_key():
    config, report, places = decode("model_aliases:\n  a.b: {target: c}\nplugins: {x: '>=1'}\n", Config)
    assert [(alias.alias, alias.target) for alias in config.model_aliases] == [("a.b", "c")]
    assert [(use.name, use.version) for use in config.plugins] == [("x", ">=1")]
    assert places.key("model_aliases", "a.b").line == 2
    assert not list(report)


def test_the_key_of_a_keyed_mapping_is_no_key_of_its_items():
    _, report, _ = decode("model_aliases:\n  a: {alias: b, target: c}\n", Config)
    assert [one.code for one in report] == ["unknown-key"]


def test_one_value_stands_for_a_list_of_one():
    config, _, _ = decode("endpoints:\n  a: {endpoint: h:1}\n  b: {endpoint: [h:1, i:2]}\n", Config)
    assert [endpoint.endpoint for endpoint in config.endpoints] == [("h:1",), ("h:1", "i:2")]


def test_tagged_sections_are_told_apart():
    config, _, _ = decode(
        "tracing:\n  exporters:\n    - {type: otlp}\n    - {type: posthog, url: 'https://p', api_key: $K}\n",
        Config,
    )
    assert [type(one).__name__ for one in config.tracing.exporters] == ["OtlpExporter", "PosthogExporter"]


def test_a_number_that_is_a_word_of_a_choice_is_taken():
    config, report, _ = decode(
        "model_providers: [{model: a/b, http_version: 1.1}, {model: a/c, http_version: 2}]\n", Config
    )
    assert [provider.http_version for provider in config.model_providers] == ["1.1", "2"]
    assert not list(report)


def test_other_keys_of_a_guard_are_the_kinds_own():
    value, report, _ = decode("kind: length\nmax_characters: 3\n", GuardUse)
    assert value == GuardUse(kind="length")
    assert not list(report)


class Plain(Struct, frozen=True):
    """As a third party may write it: types that our own configuration does not use."""

    mapping: dict[str, int] = {}
    items: list[int] = []
    word: Literal["a", "b"] = "a"
    part: Annotated[float, Meta(ge=0, le=1)] = 0.5
    maybe: Limits | None = None
    mixed: int | list[str] = 0


def test_types_of_third_parties_decode():
    value, report, _ = decode("mapping: {a: 1}\nitems: [1, 2]\nmaybe: {body: 1KiB}\nmixed: [x]\n", Plain)
    assert value == Plain(mapping={"a": 1}, items=[1, 2], maybe=Limits(body=1024), mixed=["x"])
    assert not list(report)


def test_types_of_third_parties_are_checked():
    value, report, _ = decode("mapping: {a: x}\nitems: [1, y]\npart: 2\nword: c\nmixed: {}\n", Plain)
    assert value == Plain(items=[1])
    assert [one.code for one in report] == ["wrong-type"] * 5


class Choosy(Struct, frozen=True):
    low: int
    high: int

    def __post_init__(self):
        if self.low > self.high:
            raise ValueError("low must not exceed high")


def test_a_struct_that_checks_itself_is_heard():
    value, report, _ = decode("low: 2\nhigh: 1\n", Choosy)
    assert value is None
    assert [(one.code, one.summary) for one in report] == [("invalid-value", "low must not exceed high")]


def test_a_password_in_a_url_is_not_repeated():
    _, report, _ = decode("agents: [{id: a, url: 'http://user:canary@host'}]\n", Config)
    (found,) = report
    assert found.code == "bad-url"
    assert "canary" not in found.summary


@pytest.mark.parametrize("url", ["http://höst/", "http://host/é", "http://höst$PORT"])
def test_a_url_is_written_in_ascii(url):
    _, report, _ = decode(f"agents: [{{id: a, url: '{url}'}}]\n", Config)
    assert ["punycode" in one.summary for one in report] == [True]


def test_a_key_of_the_wrong_type_is_not_repeated():
    text = "model_providers: [{model: a/b, access_key: 31415926, headers: {X-Api-Key: 27182818}}]\n"
    _, report, _ = decode(text, Config)
    assert [one.summary for one in report] == ["expected text, found a number or a word of YAML"] * 2


def test_an_integer_that_no_graph_can_hold():
    text = "ratelimits: [{model: m, selector: {key: k}, limit: {tokens: 99999999999999999999, unit: day}}]\n"
    _, report, _ = decode(text, Config)
    assert [one.summary for one in report] == [
        "expected a whole number up to 9223372036854775807, found the number 99999999999999999999"
    ]
