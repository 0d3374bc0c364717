"""For Structs that are filled in as things go on: their fields are assigned at the price of a slot.

msgspec's own assignment costs ten times as much, as it asks each time whether the garbage collector must know the
object from then on. That is known from the start of one that is made with something that can refer back, and never
wanted of one with `gc=False`.

Rule: a Struct that is assigned to on a request's path has this decorator, and is either of these.
"""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct

T = TypeVar("T", bound=Struct)


def assigned(struct: type[T]) -> type[T]:
    """Let assignments to a Struct's fields be those of any object, which the interpreter knows how to speed up."""
    for name in ("__setattr__", "__delattr__"):
        setattr(struct, name, getattr(object, name))
    return struct
