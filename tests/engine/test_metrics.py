"""Metrics: their text, read strictly, and snapshots that add up."""

from __future__ import annotations

import math
import re

import pytest

from archflow_engine import metrics
from archflow_engine.control import Numbers
from archflow_engine.hub import Hub
from archflow_engine.metrics import FAMILIES, Metrics, merge, render
from archflow_engine.plan import Plan
from archflow_plugins.kinds import Kind, Number
from archflow_plugins.record import Attempt, Record
from archflow_plugins.testing import run_context
from archflow_schema.events import Usage
from archflow_schema.graph import Graph

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? ([^ ]+)")
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parse(text: str) -> tuple[dict[str, str], Samples]:
    """Types and samples of an exposition, or an AssertionError for what Prometheus would not take."""
    assert text.endswith("\n")
    types: dict[str, str] = {}
    helped: set[str] = set()
    samples: Samples = {}
    family = ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, _, words = line.removeprefix("# HELP ").partition(" ")
            assert words, line
            assert name not in helped, f"{name} is told twice"
            helped.add(name)
        elif line.startswith("# TYPE "):
            family, _, kind = line.removeprefix("# TYPE ").partition(" ")
            assert re.fullmatch(NAME, family)
            assert kind in {"counter", "gauge", "histogram"}
            assert family in helped
            types[family] = kind
        else:
            found = SAMPLE.fullmatch(line)
            assert found is not None, line
            name, labels, value = found.groups()
            base = re.sub(r"_(bucket|sum|count)$", "", name) if types[family] == "histogram" else name
            assert base == family, f"{name} stands among {family}"
            pairs = LABEL.findall(labels or "")
            assert ",".join(f'{key}="{text}"' for key, text in pairs) == (labels or ""), line
            key = (name, tuple(pairs))
            assert key not in samples, f"{line} is there twice"
            samples[key] = float(value)
    _check_histograms(types, samples)
    return types, samples


def _check_histograms(types: dict[str, str], samples: Samples) -> None:
    for family in [name for name, kind in types.items() if kind == "histogram"]:
        series: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
        for (name, labels), value in samples.items():
            if name == f"{family}_bucket":
                le, bound = labels[-1]
                assert le == "le"
                series.setdefault(labels[:-1], []).append((float(bound), value))
        for others, buckets in series.items():
            assert [bound for bound, _ in buckets] == sorted(bound for bound, _ in buckets)
            assert [value for _, value in buckets] == sorted(value for _, value in buckets)
            assert buckets[-1][0] == math.inf
            assert buckets[-1][1] == samples[f"{family}_count", others]
            assert samples[f"{family}_sum", others] >= 0


def record(**changes: object) -> Record:
    made = Record(
        listener="egress", dialect="openai_chat", model='a"b\\c\nd', status=200, duration=0.3, first_byte=0.1,
        usage=Usage(input_tokens=5, output_tokens=7, cached_tokens=2, reasoning_tokens=3),
        attempts=[Attempt(upstream="openai", outcome="streaming", began=0.002)],
        guards=[("words", "allow")],
    )  # fmt: skip
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_the_text_is_what_prometheus_reads() -> None:
    counted = Metrics()
    for _ in range(3):
        counted.observe(record())
    counted.observe(record(status=429, error="rate_limit_exceeded", attempts=[], usage=None, first_byte=-1.0))
    counted.count(metrics.TROUBLE, ())
    gauges = [(metrics.CONNECTIONS, ("egress",), 4.0), (metrics.IN_FLIGHT, (), 1.0)]
    types, samples = parse(render(counted.snapshot(gauges)))
    model = ("model", 'a\\"b\\\\c\\nd')
    egress, dialect = ("listener", "egress"), ("dialect", "openai_chat")
    assert samples["archflow_requests_total", (egress, dialect, model, ("status", "200"))] == 3
    assert samples["archflow_requests_total", (egress, dialect, model, ("status", "429"))] == 1
    assert samples["archflow_errors_total", (egress, ("error", "rate_limit_exceeded"))] == 1
    assert samples["archflow_ratelimited_total", (model,)] == 1
    assert samples["archflow_tokens_total", (model, ("kind", "reasoning"))] == 9
    assert (
        samples["archflow_upstream_attempts_total", (("upstream", "openai"), ("outcome", "streaming"))] == 3
    )
    assert samples["archflow_guard_verdicts_total", (("guard", "words"), ("verdict", "allow"))] == 4
    assert samples["archflow_request_duration_seconds_bucket", (egress, model, ("le", "0.25"))] == 0
    assert samples["archflow_request_duration_seconds_bucket", (egress, model, ("le", "0.5"))] == 4
    assert samples["archflow_time_to_first_byte_seconds_count", (egress, model)] == 3
    assert samples["archflow_internal_errors_total", ()] == 1
    assert samples["archflow_client_connections", (egress,)] == 4
    assert types["archflow_requests_in_flight"] == "gauge"


def test_many_are_counted_as_one_by_one() -> None:
    durations = [0.001 * 1.9**number for number in range(30)]
    together, apart = Metrics(), Metrics()
    over = [
        record(duration=duration, first_byte=duration / 2 - 1, status=200 + number % 3)
        for number, duration in enumerate(durations)
    ]
    together.observe(*over)
    for one in over:
        apart.observe(one)
    (_, found), (_, expected) = (parse(render(counted.snapshot(()))) for counted in (together, apart))
    assert found == pytest.approx(expected)


def test_every_family_says_what_it_means() -> None:
    names = [family.name for family in FAMILIES]
    assert len(names) == len(set(names))
    for family in FAMILIES:
        assert family.help.endswith(".")
        assert family.name.endswith("_total") == (family.type == "counter")


@pytest.mark.parametrize("value", [0.0, 0.005, 0.0051, 300.0, 301.0])
def test_a_bound_belongs_to_its_bucket(value: float) -> None:
    counted = Metrics()
    counted.observe(record(duration=value))
    _, samples = parse(render(counted.snapshot(())))
    for (name, labels), count in samples.items():
        if name == "archflow_request_duration_seconds_bucket":
            assert count == (value <= float(labels[-1][1]))


def test_workers_add_up() -> None:
    one, two = Metrics(), Metrics()
    one.observe(record())
    two.observe(record())
    two.observe(record(model="other"))
    info = (metrics.INFO, ("digest",), 1.0)
    whole = merge([
        one.snapshot([info, (metrics.IN_FLIGHT, (), 1.0)]),
        two.snapshot([info, (metrics.IN_FLIGHT, (), 2.0)]),
    ])  # fmt: skip
    _, samples = parse(render(whole))
    assert samples["archflow_graph_info", (("digest", "digest"),)] == 1
    assert samples["archflow_requests_in_flight", ()] == 3
    egress = ("listener", "egress")
    assert samples["archflow_request_duration_seconds_count", (egress, ("model", "other"))] == 1
    assert samples["archflow_request_duration_seconds_count", (egress, ("model", 'a\\"b\\\\c\\nd'))] == 2


def test_a_snapshot_is_a_copy() -> None:
    counted = Metrics()
    counted.observe(record())
    before = counted.snapshot(())
    text = render(before)
    counted.observe(record())
    assert render(before) == text


def test_a_snapshot_travels() -> None:
    counted = Metrics()
    counted.observe(record())
    counted.count(metrics.TROUBLE, ())
    snapshot = counted.snapshot(())
    assert Numbers.of(snapshot).snapshot() == snapshot


def test_what_two_kinds_tell_of_one_thing_counts_once() -> None:
    class Holder(Kind):
        def numbers(self) -> tuple[Number, ...]:
            return (Number("bytes", ("m", "weights"), 7.0), Number("waiting", ("m",), 0.0))

    plan = Plan(Graph("a.yaml", (), (), ()), "d", Hub(lambda _: None), Metrics())
    plan.kinds += [Holder(None, run_context()), Holder(None, run_context()), Kind(None, run_context())]
    _, samples = parse(render(Metrics().snapshot(plan.gauges())))
    assert samples["archflow_local_model_bytes", (("model", "m"), ("of", "weights"))] == 7
    assert samples["archflow_local_model_waiting", (("model", "m"),)] == 0
