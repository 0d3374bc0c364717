import sys

import pytest

from compiling import MODEL, codes, compiled
from fake_plugins import guard, write_distribution

HEAD = "version: v0.4.0\nlisteners: [{name: llm, type: model, guards: [{kind: test}]}]\n" + MODEL


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A plugin with the guard `guard.test`, version 1.0, as pip leaves it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(source="", module="fake_compiler_plugin"):
        source = source or guard()
        sys.modules.pop(module, None)
        write_distribution(tmp_path, "archflow-test", source, {"test": module})

    yield install
    sys.modules.pop("fake_compiler_plugin", None)


def test_a_named_plugin_gives_its_kinds_and_is_locked(installed):
    installed()
    outcome = compiled(HEAD + "plugins: {test: '>=1,<2'}\n")
    assert codes(outcome) == []
    assert [(one.entry_point, one.version, one.kinds) for one in outcome.graph.requires][1] == (
        "test",
        "1.0",
        ("guard.test",),
    )


def test_a_plugin_that_is_not_named_is_not_imported(installed):
    installed()
    outcome = compiled(HEAD)
    assert codes(outcome) == ["unknown-kind"]
    assert "fake_compiler_plugin" not in sys.modules


def test_another_version_than_wanted(installed):
    installed()
    (found, *_) = compiled(HEAD + "plugins: {test: '>=2'}\n").report.sorted()[-1:]
    assert found.code == "plugin-version"
    assert "archflow-test 1.0 is installed, and >=2 is wanted" in found.summary


def test_a_version_that_is_none(installed):
    installed()
    assert "bad-version" in codes(compiled(HEAD + "plugins: {test: latest}\n"))


def test_any_version(installed):
    installed()
    assert codes(compiled(HEAD + "plugins: {test: '*'}\n")) == []


@pytest.mark.parametrize(
    "source",
    ["raise RuntimeError('broken')", "x = 1", guard("nodots"), guard(hook="archflow_register_gards")],
)
def test_a_broken_plugin_is_a_finding(installed, source):
    installed(source)
    assert "plugin-unusable" in codes(compiled(HEAD + "plugins: {test: '*'}\n"))


RULE = """
from archflow_plugins import ALLOW, Guard, hookimpl
from archflow_schema.diagnostic import Diagnostic

class Test(Guard):
    kind = "guard.test"
    def check_nowait(self, conversation):
        return ALLOW

@hookimpl
def archflow_register_guards():
    return [Test]

@hookimpl
def archflow_graph_verified(graph, report):
    if len(graph.upstreams) > 1:
        raise RuntimeError("this rule is broken")
    report.add(Diagnostic(code="our-rule", severity="error", summary=f"{graph.upstreams[0].name} is not allowed here"))
"""


def test_an_organisations_own_rule_is_heard(installed):
    installed(RULE)
    outcome = compiled(HEAD + "plugins: {test: '*'}\n")
    assert codes(outcome) == ["our-rule"]
    assert outcome.graph is None


def test_a_rule_that_breaks_is_a_finding(installed):
    installed(RULE)
    more = "  - {model: openai/gpt-5, access_key: $K}\n"
    assert codes(compiled(HEAD + more + "plugins: {test: '*'}\n")) == ["plugin-unusable"]
