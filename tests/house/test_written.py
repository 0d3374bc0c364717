"""What a base class leaves to those who derive from it is written there, as far as they say that they do it."""

import importlib
import inspect
import pkgutil

import pytest

import archflow_engine
import archflow_plugins.dialects
from archflow_engine.walk import Runner
from archflow_plugins.dialects.stream_lines import LineTap
from archflow_plugins.kinds import Dialect

ONLY_IF = {
    "encode_models": "models_path", "encode_model": "models_path",
    "encode": "translates", "reply_decoder": "translates", "reply_encoder": "translates", "decode_error": "translates",
    "recollect": "keeps", "missing": "keeps", "keep": "keeps", "asks": "keeps", "tell": "keeps",
}  # fmt: skip
"""A method of dialects -> what says that a dialect has it; every dialect has the others."""


def derived(base: type, package) -> list[type]:
    """Every class of a package that derives from a base."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found, fresh = set(), [base]
    while fresh:
        fresh = [one for kind in fresh for one in kind.__subclasses__()]
        found.update(one for one in fresh if one.__module__.startswith(package.__name__))
    return sorted(found, key=lambda one: (one.__module__, one.__qualname__))


def left(base: type) -> dict[str, object]:
    """The methods that a base leaves to others."""
    methods = {name: one for name, one in vars(base).items() if inspect.isfunction(one)}
    return {
        name: one for name, one in methods.items() if "raise NotImplementedError" in inspect.getsource(one)
    }


def unwritten(kind: type, base: type) -> set[str]:
    """Those of them that a class has as the base has them."""
    return {name for name, one in left(base).items() if inspect.getattr_static(kind, name) is one}


DIALECTS = derived(Dialect, archflow_plugins.dialects)
TAPS = derived(LineTap, archflow_plugins.dialects)
RUNNERS = derived(Runner, archflow_engine)


def test_what_is_looked_for_is_there():
    assert set(ONLY_IF) < set(left(Dialect))
    assert set(left(LineTap)) == {"look"}
    assert set(left(Runner)) == {"run"}
    assert DIALECTS
    assert TAPS
    assert RUNNERS


@pytest.mark.parametrize(
    "kind", [one for one in DIALECTS if "kind" in vars(one)], ids=lambda one: one.__name__
)
def test_a_dialect_writes_what_it_says_that_it_has(kind):
    assert {
        name for name in unwritten(kind, Dialect) if name not in ONLY_IF or getattr(kind, ONLY_IF[name])
    } == set()


@pytest.mark.parametrize("kind", TAPS, ids=lambda one: one.__name__)
def test_a_tap_looks_at_lines(kind):
    assert not unwritten(kind, LineTap)


@pytest.mark.parametrize("kind", RUNNERS, ids=lambda one: one.__name__)
def test_a_node_runs_or_waits(kind):
    if kind.waits is True:
        assert kind.run_waiting is not Runner.run_waiting
    else:
        assert not unwritten(kind, Runner)
