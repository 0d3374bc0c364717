"""What `archc plugins show` says: the kinds of a plugin and the keys that each takes.

Rule: it imports the plugin that it is asked about, and no other.
"""

from __future__ import annotations

import inspect as python
from collections.abc import Iterator

from msgspec import NODEFAULT, inspect

from archflow_compiler.suggest import did_you_mean
from archflow_plugins.kinds import Kind
from archflow_plugins.registry import BUILT_IN, Registry, installed
from archflow_schema.errors import KindMissing, PluginMissing


def show(name: str) -> str:
    """A plugin with its kinds, or one kind with its keys.

    Raises:
        PluginMissing: neither a plugin nor a kind has that name.
        PluginError: the plugin cannot be loaded.
    """
    plugins = {plugin.entry_point: plugin for plugin in installed()}
    if name in plugins:
        registry = Registry.load([name])
        plugin = plugins[name]
        lines = [f"{plugin.entry_point}: {plugin.distribution} {plugin.version}", plugin.summary]
        for dotted, kind in _kinds(registry):
            if registry.owner(dotted) == name:
                lines += ["", *_kind(dotted, kind)]
        return "\n".join(line for line in lines) + "\n"
    for plugin_name in (BUILT_IN, *plugins):
        registry = Registry.load([plugin_name])
        try:
            return "\n".join(_kind(name, registry.kind(name))) + "\n"
        except KindMissing:
            continue
    raise PluginMissing(
        f'there is neither a plugin nor a kind "{name}"; '
        + (did_you_mean(name, plugins) or "`archc plugins list` shows the plugins")
    )


def _kinds(registry: Registry) -> Iterator[tuple[str, type[Kind]]]:
    from archflow_plugins.kinds import KINDS

    for family in KINDS:
        yield from registry.family(family).items()


def _kind(dotted: str, kind: type[Kind]) -> Iterator[str]:
    summary = python.cleandoc(kind.__doc__ or "").partition("\n")[0]
    yield f"{dotted}: {summary}".rstrip(": ")
    described = inspect.type_info(kind.config)
    if isinstance(described, inspect.StructType):
        texts = _attributes(kind.config)
        for field in described.fields:
            default = (
                "required"
                if field.required
                else ""
                if field.default is NODEFAULT
                else f"default {field.default!r}"
            )
            words = "; ".join(word for word in (texts.get(field.name, "").rstrip("."), default) if word)
            yield f"  {field.encode_name}: {words}".rstrip(": ")


def _attributes(cls: type) -> dict[str, str]:
    """The sentences of a Struct's docstring, as far as its author wrote them."""
    from archflow_compiler.reference.describe import attributes

    return attributes(cls)[1]
