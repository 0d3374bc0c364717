"""Routing preferences: those at the top level and those at providers, as one list.

Rule: a top-level preference wins over one of the same name at a provider; two that differ are never merged silently.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from archflow_compiler.passes.models import Model, Names
from archflow_compiler.tree import Path
from archflow_compiler.unit import Unit
from archflow_schema.config import Preference


class Preferred(Struct, frozen=True):
    """A routing preference, from the top level or from a provider, and where it was said."""

    name: str
    description: str
    models: tuple[str, ...]
    path: Path
    examples: tuple[str, ...] = ()
    prefer: Literal["cheapest", "fastest", "none"] = "none"


def merge(unit: Unit, names: Names) -> tuple[Preferred, ...]:
    """Top-level preferences first; those at providers join them unless the name is taken."""
    merged: dict[str, Preferred] = {}
    for index, preference in enumerate(unit.config.routing_preferences):
        at: Path = ("routing_preferences", index)
        if preference.name in merged:
            _duplicate_preference(unit, preference.name, at, merged[preference.name].path)
            continue
        for position, name in enumerate(preference.models):
            if names.find(name) is None and not unit.refused(name, "model_providers"):
                unit.error(
                    "unknown-model",
                    f'no provider serves "{name}"',
                    unit.places.value(*at, "models", position),
                    fix=names.instead(name)
                    or unit.suggest(name, names.known())
                    or "add it under model_providers",
                )
        merged[preference.name] = Preferred(
            preference.name,
            preference.description,
            preference.models,
            at,
            preference.examples,
            preference.selection_policy.prefer,
        )
    top = set(merged)
    for model in names.models:
        for position, inline in enumerate(model.provider.routing_preferences):
            at = ("model_providers", model.index, "routing_preferences", position)
            _inline_preference(unit, merged, top, model, inline, at)
    return tuple(merged.values())


def _inline_preference(
    unit: Unit, merged: dict[str, Preferred], top: set[str], model: Model, inline: Preference, at: Path
) -> None:
    known = merged.get(inline.name)
    if known is None:
        merged[inline.name] = Preferred(inline.name, inline.description, (model.full,), at, inline.examples)
    elif inline.name in top:
        unit.warning(
            "preference-overruled",
            f'the top-level routing preference "{inline.name}" is used, not this one',
            unit.places.value(*at, "name"),
            fix="leave it out here",
            first=(unit.places.value(*known.path, "name"), "the top-level one stands here"),
        )
    elif known.description != inline.description or model.full in known.models:
        _duplicate_preference(unit, inline.name, at, known.path)
    else:
        merged[inline.name] = Preferred(
            inline.name,
            inline.description,
            (*known.models, model.full),
            known.path,
            tuple(dict.fromkeys((*known.examples, *inline.examples))),
        )


def _duplicate_preference(unit: Unit, name: str, at: Path, first: Path) -> None:
    unit.error(
        "duplicate-preference",
        f'two routing preferences have the name "{name}" and differ',
        unit.places.value(*at, "name"),
        fix="give one of them another name, or name both models in one top-level routing preference",
        arch=f'Duplicate routing preference name "{name}", please provide unique name for each routing preference',
        first=(unit.places.value(*first, "name"), "the first stands here"),
    )
