import pytest

from archflow_compiler.secrets import Vault, entry_name
from archflow_compiler.tree import Mapping, Places
from archflow_compiler.unit import Unit
from archflow_schema.config import Config
from archflow_schema.diagnostic import Range, Report
from archflow_schema.text import Env, Secret


@pytest.fixture
def vault():
    place = Range(file="x", line=1, column=1, end_line=1, end_column=2)
    return Vault(Unit(Config(), Places(Mapping((), place)), Report()))


def test_a_literal_key_becomes_a_reference(vault):
    assert vault.text("canary", "a.b", ("a",)) == (Secret("a.b"),)
    assert vault.values == {"a.b": "canary"}


@pytest.mark.parametrize(
    ("raw", "text"), [("$A", (Env("A"),)), ("Bearer ${A}", ("Bearer ", Env("A"))), ("", ())]
)
def test_a_reference_stays_one(vault, raw, text):
    assert vault.text(raw, "a.b", ()) == text
    assert vault.values == {}


def test_no_finding_repeats_a_key(vault):
    vault.text("canary", "a.b", ())
    (found,) = vault._unit.report
    assert "canary" not in f"{found}"


def test_entries_are_named_by_their_path():
    assert (
        entry_name("model_providers.openai/gpt-4o", "headers", "X-Key")
        == "model_providers.openai/gpt-4o.headers.X-Key"
    )
