"""The plugins that a file names: installed, of a version that will do, loadable.

Rule: only those that the file names are imported.
"""

from __future__ import annotations

from archflow_compiler.unit import Unit
from archflow_plugins.registry import Registry, installed
from archflow_schema.errors import PluginError
from archflow_schema.graph import Graph


def load(unit: Unit) -> Registry:
    """The built-in kinds and those of the named plugins; with the built-ins alone if something is wrong."""
    names = [use.name for use in unit.config.plugins]
    if names and _all_there(unit):
        try:
            return Registry.load(names)
        except PluginError as error:
            unit.error("plugin-unusable", str(error), unit.places.key("plugins"))
    return Registry.load()


def judge(unit: Unit, registry: Registry, graph: Graph) -> None:
    """Let the plugins' own rules look at a finished graph."""
    try:
        registry.graph_verified(graph, unit.report)
    except PluginError as error:
        unit.error("plugin-unusable", str(error), unit.places.key("plugins"))


def _all_there(unit: Unit) -> bool:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    found = {plugin.entry_point: plugin for plugin in installed()}
    good = True
    for use in unit.config.plugins:
        plugin = found.get(use.name)
        if plugin is None:
            unit.error(
                "plugin-missing",
                f'the plugin "{use.name}" is not installed',
                unit.places.key("plugins", use.name),
                fix=unit.suggest(
                    use.name, found, f"`pip install` the distribution that has it (archflow-{use.name}?)"
                ),
            )
            good = False
            continue
        try:
            wanted = SpecifierSet("" if use.version.strip() == "*" else use.version)
        except InvalidSpecifier:
            unit.error(
                "bad-version",
                f'"{use.version}" does not say which versions will do',
                unit.places.value("plugins", use.name),
                fix="write it as in `>=1.2,<2`, or `*` for any",
            )
            good = False
            continue
        if not wanted.contains(plugin.version, prereleases=True):
            unit.error(
                "plugin-version",
                f"{plugin.distribution} {plugin.version} is installed, and {use.version} is wanted",
                unit.places.value("plugins", use.name),
                fix=f"`pip install '{plugin.distribution}{use.version}'`, or change the version here",
            )
            good = False
    return good
