import pytest

from archflow_compiler.reference.catalogue import show
from archflow_plugins.registry import Registry
from archflow_schema.errors import PluginMissing


def test_a_plugin_shows_every_kind_that_it_offers():
    said = show("archflow")
    registry = Registry.load()
    for family in ("dialect", "provider", "store", "tracer"):
        for dotted in registry.family(family):
            assert f"\n{dotted}: " in said


def test_a_kind_shows_its_keys_with_meaning_and_default():
    assert "  format: `json`, or `arch` for the line format of Arch 0.3; default 'json'\n" in show(
        "tracer.access_log"
    )


def test_a_short_name_shows_every_kind_that_has_it():
    assert show("length") == show("guard.length")
    said = show("composite")
    for dotted in ("matcher.composite", "router.composite", "slot_filler.composite"):
        assert show(dotted) in said


def test_what_nobody_offers():
    with pytest.raises(
        PluginMissing, match=r'neither a plugin nor a kind "guard\.lenght": did you mean "guard\.length"'
    ):
        show("guard.lenght")
    with pytest.raises(PluginMissing, match="`archc plugins list` shows the plugins"):
        show("qqqqqqqq")
