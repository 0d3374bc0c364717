import subprocess
import sys

import pytest

from archflow_schema.suggest import LONGEST, close, did_you_mean, listed, meant


def test_close_names_come_first_and_case_does_not_matter():
    assert close("GPT-4O", ["gpt-4o-mini", "claude", "gpt-4o"])[0] == "gpt-4o"


def test_nothing_close_says_nothing():
    assert did_you_mean("zebra", ["gpt-4o"]) == ""


def test_alternatives_are_quoted():
    assert did_you_mean("prot", ["port", "router"]) == 'did you mean "port" or "router"?'


def test_long_lists_are_cut():
    assert listed("abc") == "a, b, c"
    assert listed(map(str, range(10)), 3) == "0, 1, 2 and 7 more"
    assert listed([]) == "none"


def test_names_may_stand_as_the_message_has_them():
    assert did_you_mean("lmm", ["llm"], mark="") == "did you mean llm?"
    assert meant([]) == ""


def test_a_longer_name_needs_a_lower_bar():
    assert did_you_mean("gpt", ["gpt-4o-mini"]) == ""
    assert (
        did_you_mean("gpt-mini-2", ["openai/gpt-4o-mini"], cutoff=0.5) == 'did you mean "openai/gpt-4o-mini"?'
    )


def test_what_is_longer_than_any_name_is_not_compared():
    assert close("gpt-4o" + " " * 1_000_000, ["gpt-4o"]) == ()
    assert close("a" * LONGEST + "b" * 1_000_000, ["a" * LONGEST]) == ("a" * LONGEST,)


@pytest.mark.process
@pytest.mark.parametrize(
    "module",
    [
        "archflow_schema.suggest",
        "archflow_plugins.registry",
        "archflow_plugins.deciding.names",
        "archflow_plugins.deciding.offline",
        "archflow_plugins.local_models.catalogue",
        "archflow_compiler.driver",
    ],
)
def test_only_a_mistake_imports_difflib(module):
    told = f"import sys, {module}; sys.exit('difflib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", told], check=False).returncode == 0
