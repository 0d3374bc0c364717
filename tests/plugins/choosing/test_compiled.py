"""Options as a graph stores them: what compiling refuses, warns of, and keeps."""

import msgspec
import pytest

from archflow_plugins.choosing.compiled import PAIRS_TOLD, ChooserConfig, compile_options
from archflow_plugins.contexts import CompileContext, Option
from archflow_plugins.local_models.cache import Cache
from archflow_plugins.local_models.vectors import Vectors
from archflow_plugins.testing import compile_context
from archflow_schema.diagnostic import Report
from choosing_world import OPTIONS
from local_world import cache


@pytest.fixture(autouse=True)
def _cached(monkeypatch):
    monkeypatch.setenv("ARCHFLOW_CACHE", str(cache().folder))


def compiled(options=OPTIONS, **config):
    report = Report()
    context = compile_context("matcher", report, options=options)
    return compile_options(msgspec.convert(config, ChooserConfig), context), list(report), context.blobs


def test_options_become_vectors():
    found, said, [blob] = compiled()
    assert said == []
    assert found.vectors == blob.digest
    assert len(blob.data) > len(OPTIONS) * 384 * 4
    assert found.options == OPTIONS


def test_without_options_there_is_an_encoder_all_the_same():
    found, said, blobs = compiled(options=())
    assert (said, blobs, found.vectors) == ([], [], "")
    assert found.embedder_digest


def test_the_graph_is_the_same_with_vectors_that_are_kept_and_without(monkeypatch, tmp_path):
    compiled()
    world = Cache(cache().folder)
    Cache(tmp_path).take(world.ensure(world.find("minilm")))
    monkeypatch.setenv("ARCHFLOW_CACHE", str(tmp_path))
    cold = compiled()
    assert Vectors(tmp_path).kept().vectors > len(OPTIONS)
    some = compiled((*OPTIONS, Option(name="book_flight", description="Books a flight.")))
    warm = compiled()
    Vectors(tmp_path).remove()
    more = compiled((*OPTIONS, Option(name="book_flight", description="Books a flight.")))
    assert [bytes(one.data) for one in warm[2]] == [bytes(one.data) for one in cold[2]]
    assert [bytes(one.data) for one in more[2]] == [bytes(one.data) for one in some[2]]
    assert warm[0] == cold[0]


def test_how_far_it_is_can_be_watched():
    told = []

    def watch(what, done, total):
        told.append((what, done, total))

    def nowhere(*_):
        return None

    text = "Prunes the hedges of the garden."
    context = CompileContext(
        "matcher", Report(), nowhere, options=(Option(name="prune", description=text),), watch=watch
    )
    compile_options(ChooserConfig(), context)
    assert {what for what, _, _ in told} == {"matcher: embedding"}
    assert told[-1][1] == told[-1][2] > 1


@pytest.mark.parametrize(
    ("config", "code", "place"),
    [
        ({"threshold": 1.5}, "bad-threshold", "threshold"),
        ({"threshold": -0.1}, "bad-threshold", "threshold"),
        ({"window": 0}, "bad-window", "window"),
        ({"window": 1000}, "bad-window", "window"),
    ],
)
def test_settings_that_make_no_sense_are_refused(config, code, place):
    _, [problem], _ = compiled(**config)
    assert (problem.code, problem.range.file) == (code, place)


def test_options_that_can_hardly_be_told_apart_are_warned_of():
    twin = Option(
        name="weather_info", description="Current weather and forecasts for a city: temperature and rain."
    )
    _, [warning], _ = compiled(options=(*OPTIONS, twin))
    assert (warning.code, warning.severity) == ("options-alike", "warning")
    assert warning.summary.startswith(
        "'get_weather' and 'weather_info' are too alike to be told apart: their similarity is 0.9"
    )


def test_the_warning_can_be_had_later_or_never():
    twin = Option(
        name="weather_info", description="Current weather and forecasts for a city: temperature and rain."
    )
    assert compiled(options=(*OPTIONS, twin), alike=0.999)[1] == []


def test_a_host_of_pairs_is_told_in_short():
    options = tuple(Option(name=f"target_{at}", description="Does the same thing.") for at in range(12))
    _, said, _ = compiled(options=options)
    assert len(said) == PAIRS_TOLD + 1
    assert "more pairs" in said[-1].summary


def test_an_encoder_that_cannot_be_had_is_reported(monkeypatch, tmp_path):
    monkeypatch.setenv("ARCHFLOW_CACHE", str(tmp_path / "file"))
    (tmp_path / "file").write_text("no folder")
    _, [problem], _ = compiled()
    assert problem.code == "local-model-unusable"
    assert problem.severity == "error"
