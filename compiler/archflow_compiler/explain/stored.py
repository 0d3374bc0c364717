"""What kinds compiled, as a graph stores it, in words: path -> value, variables and side-file entries by name.

Rule: what is not understood is told by its size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from archflow_schema.graph import Use
from archflow_schema.suggest import listed

DIGITS = 12
"""How much of a digest people are shown."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


def settings(use: Use) -> dict[str, str]:
    """What a kind compiled, by path, whole; names of variables instead of values."""
    return {name: ", ".join(words) for name, words in _settings(use)}


def words(use: Use) -> str:
    """The same in one line for people: of a digest its first digits, of a long list its first items."""
    return ", ".join(f"{name} {_together(found)}" for name, found in _settings(use))


def digest(value: str) -> str:
    """A digest as people are shown it; anything else as it is."""
    return value[:DIGITS] if _DIGEST.fullmatch(value) else value


def _together(found: list[str]) -> str:
    words = listed(map(digest, found))
    return words if len(found) == 1 else f"[{words}]"


def _settings(use: Use) -> Iterator[tuple[str, list[str]]]:
    try:
        value = msgspec.msgpack.decode(use.compiled)
    except msgspec.MsgspecError:
        yield "settings", [f"{len(use.compiled)} bytes"]
        return
    yield from ((path, found) for path, found in _flat("", value) if found != [""])


def _flat(path: str, value: Any) -> Iterator[tuple[str, list[str]]]:
    if isinstance(value, dict):
        for key in value:
            yield from _flat(f"{path}.{key}" if path else str(key), value[key])
    elif isinstance(value, list) and _is_text(value):
        yield path, ["".join(_part(part) for part in value)]
    elif isinstance(value, list) and value and not any(isinstance(item, dict | list) for item in value):
        yield path, [_item(item) for item in value]
    elif isinstance(value, list):
        for name, item in _named(value):
            yield from _flat(f"{path}.{name}", item)
    else:
        yield path, [_scalar(value)]


def _named(value: list[Any]) -> Iterator[tuple[object, Any]]:
    """The items of a list by what they call themselves, where that tells them apart, else by number."""
    found = [named for item in value if (named := _name(item)) is not None]
    if len({name for name, _ in found}) == len(value):
        yield from found
    else:
        yield from enumerate(value)


def _name(item: Any) -> tuple[str, Any] | None:
    """What an item calls itself, and the rest of it: of a pair, or of a mapping with a name."""
    match item:
        case [str(name), said]:
            return name, said
        case {"name": str(name), **rest} if rest:
            return name, rest
        case _:
            return None


def _part(part: Any) -> str:
    """A part of a Text."""
    return part if isinstance(part, str) else f"${part[1]}" if part[0] == "env" else "***"


def _item(value: Any) -> str:
    """An item of a list, in quotes where it could be taken for several or for none."""
    said = _scalar(value)
    return msgspec.json.encode(said).decode() if not said or "," in said or '"' in said else said


def _scalar(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case bytes():
            return f"{len(value)} bytes"
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def _is_text(value: list[Any]) -> bool:
    """Whether a list is a Text: literal parts, `["env", name]` and `["secret", entry]`."""
    references = [part for part in value if isinstance(part, list)]
    return (
        len(value) > 0
        and all(
            isinstance(part, str)
            or (isinstance(part, list) and len(part) == 2 and part[0] in {"env", "secret"})
            for part in value
        )
        and bool(references or len(value) == 1)
    )


def seconds(value: float) -> str:
    """A time in words: `300 s`, `30 d`."""
    days, rest = divmod(value, 86_400)
    return f"{days:g} d" if days and not rest else f"{value:g} s"
