"""Values that cross modules: frozen, and frozen all the way down where they are shared."""

import importlib
import inspect
import pkgutil

import msgspec
import pytest

from house_tree import PACKAGES


def structs() -> list[type[msgspec.Struct]]:
    """The public Structs of the four packages."""
    found: dict[type[msgspec.Struct], None] = {}
    for package in PACKAGES.values():
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if module.name.endswith("__main__"):
                continue
            for value in vars(importlib.import_module(module.name)).values():
                if (
                    inspect.isclass(value)
                    and issubclass(value, msgspec.Struct)
                    and value.__module__ == module.name
                    and not value.__name__.startswith("_")
                ):
                    found[value] = None
    return list(found)


STRUCTS = structs()


def test_there_are_structs():
    assert len(STRUCTS) > 50


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda one: f"{one.__module__}.{one.__qualname__}")
def test_values_are_frozen_or_say_why_not(struct):
    if not struct.__struct_config__.frozen:
        assert "Mutable" in (struct.__doc__ or ""), (
            f"{struct.__module__}.{struct.__qualname__} can be changed: declare it frozen=True, or let its docstring "
            "say `Mutable: ` and why"
        )


SHARED = [
    one for one in STRUCTS if one.__module__.startswith("archflow_schema.") and one.__struct_config__.frozen
]


@pytest.mark.parametrize("struct", SHARED, ids=lambda one: f"{one.__module__}.{one.__qualname__}")
def test_shared_values_hold_tuples(struct):
    for field in msgspec.structs.fields(struct):
        shown = str(field.type)
        assert not any(word in shown for word in ("list[", "dict[", "set[")), (
            f"{struct.__module__}.{struct.__qualname__}.{field.name} is {shown}: frozen is shallow, so hold a tuple"
        )
