"""Methods that are functions of modules which are imported by the first call.

::

    decode = late("archflow_plugins.dialects.openai_chat.decode:decode")

What only a translation needs is not imported by a worker that relays. An import within a method would do that too, but
costs a microsecond in each call; here the function takes the place of the stand-in on the class when it is first met.

Rule: the function is called without `self`; a dialect keeps nothing of its own that it would need.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def late(place: str) -> Any:
    """A stand-in for the function at `module:name`."""
    return _Late(place)


class _Late:
    def __init__(self, place: str) -> None:
        self._place = place

    def __set_name__(self, owner: type, name: str) -> None:
        self._owner, self._name = owner, name

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        module, _, name = self._place.partition(":")
        found = getattr(import_module(module), name)
        setattr(self._owner, self._name, staticmethod(found))
        return found
