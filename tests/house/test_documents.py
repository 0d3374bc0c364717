"""What plugins can add is written down, all of it, and in the words of the code."""

import ast
import inspect
import re

import pytest

import archflow_plugins
from archflow_plugins import hookspecs
from archflow_plugins.kinds import KINDS, ProviderConfig, compiled_type
from archflow_plugins.providers.table import VENDORS
from archflow_plugins.registry import Registry
from archflow_schema.graph import OUTCOMES
from house_tree import PACKAGES, ROOT, syntax

README = (ROOT / "plugins" / "README.md").read_text()
HOOKS = [value for name, value in vars(hookspecs).items() if name.startswith("archflow_")]
REGISTRY = Registry.load()
BUILT_IN = {dotted: kind for family in KINDS for dotted, kind in REGISTRY.family(family).items()}


@pytest.mark.parametrize("hook", HOOKS, ids=lambda one: one.__name__)
def test_every_hook_has_its_paragraph(hook):
    heading = f"### `{hook.__name__}({', '.join(inspect.signature(hook).parameters)})`"
    assert heading in README, f"plugins/README.md lacks the heading {heading}"


@pytest.mark.parametrize("family", KINDS)
def test_every_family_is_described(family):
    base = KINDS[family]
    assert f"### {base.__name__}" in README, f"plugins/README.md lacks the heading ### {base.__name__}"


NODES = {"guard": "guard", "filter": "filter", "slot_filler": "fill"}
"""Family -> the node type whose outcomes are the kind's own."""


@pytest.mark.parametrize("family", KINDS)
def test_the_row_of_a_family_says_what_its_class_says(family):
    base = KINDS[family]
    row = re.search(rf"^\| {base.__name__} \| (.*) \| (.*) \| .* \|$", README, re.MULTILINE)
    assert row, f"plugins/README.md lacks a row for {base.__name__} in its table of families"
    named = {said for said in re.findall(r"`(?:await )?(\w+)", row[1]) if said != "_nowait"}
    strange = {said for said in named if not hasattr(base, said)}
    assert not strange, f"the row of {base.__name__} names {strange}, which the class has not"
    waiting = {name for name, value in vars(base).items() if inspect.iscoroutinefunction(value)}
    unsaid = {name for name in waiting - named if f"{name}_nowait" not in named}
    assert not unsaid, f"the row of {base.__name__} lacks {unsaid}, which the engine awaits"
    if family in NODES:
        assert row[2] == ", ".join(OUTCOMES[NODES[family]])


@pytest.mark.parametrize("dotted", BUILT_IN)
def test_every_built_in_kind_is_listed_with_its_settings(dotted):
    assert f"| `{dotted}` |" in README, (
        f"plugins/README.md lacks a row for `{dotted}` in its table of built-in kinds"
    )
    row = next(line for line in README.splitlines() if line.startswith(f"| `{dotted}` |"))
    config = BUILT_IN[dotted].config
    if config is not ProviderConfig:
        for field in config.__struct_fields__:
            assert f"`{field}`" in row, (
                f"the row of `{dotted}` in plugins/README.md lacks its setting `{field}`"
            )


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=lambda one: one.name)
def test_every_vendor_is_listed(vendor):
    spoken = ", ".join(vendor.dialects) or "nothing yet"
    row = f"| `{vendor.name}` | {vendor.url or '`base_url`'} | {vendor.prefix or '/'} | {spoken} |"
    assert row in README, f"plugins/README.md lacks the row {row}"


@pytest.mark.parametrize("name", archflow_plugins.__all__)
def test_the_authors_api_is_documented(name):
    value = getattr(archflow_plugins, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value), f"archflow_plugins.{name} has no docstring"


@pytest.mark.parametrize("dotted", BUILT_IN)
def test_settings_are_documented_where_they_are_declared(dotted):
    for struct in {BUILT_IN[dotted].config, compiled_type(BUILT_IN[dotted])}:
        assert inspect.getdoc(struct), f"{struct.__module__}.{struct.__qualname__} has no docstring"
    for field in BUILT_IN[dotted].config.__struct_fields__:
        described = inspect.getdoc(BUILT_IN[dotted].config) or ""
        assert f"{field}:" in described, (
            f"the docstring of {BUILT_IN[dotted].config.__qualname__} lacks `{field}:`"
        )


@pytest.mark.parametrize("folder", [*PACKAGES, "bench", "examples", "fuzz"])
def test_every_folder_has_its_readme(folder):
    assert (ROOT / folder / "README.md").is_file(), (
        f"{folder}/README.md is missing: it is the document of that folder"
    )


FUZZ = sorted((ROOT / "fuzz").glob("test_*.py"))


@pytest.mark.parametrize("path", FUZZ, ids=lambda one: one.stem)
def test_every_property_is_stated_and_listed(path):
    text = ast.get_docstring(syntax(path)) or ""
    assert text.startswith("Invariant:"), (
        f"fuzz/{path.name} must open with `Invariant:` and the property that it tests"
    )
    listed = (ROOT / "fuzz" / "README.md").read_text()
    assert f"`{path.name}`" in listed, f"fuzz/README.md lacks a row for `{path.name}`"
