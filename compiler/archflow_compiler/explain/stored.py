"""What kinds compiled, as a graph stores it, in words: path -> value, variables and side-file entries by name.

Rule: what is not understood is told by its size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from archflow_schema.graph import Use


def settings(use: Use) -> dict[str, str]:
    """What a kind compiled, by path; names of variables instead of values."""
    try:
        value = msgspec.msgpack.decode(use.compiled)
    except msgspec.MsgspecError:
        return {"settings": f"{len(use.compiled)} bytes"}
    return {name: words for name, words in _flat("", value) if words}


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key in value:
            yield from _flat(f"{path}.{key}" if path else str(key), value[key])
    elif isinstance(value, list) and _is_text(value):
        yield (
            path,
            "".join(
                part if isinstance(part, str) else f"${part[1]}" if part[0] == "env" else "***"
                for part in value
            ),
        )
    elif isinstance(value, list):
        for number, item in enumerate(value):
            if isinstance(item, list) and len(item) == 2 and isinstance(item[0], str):
                yield from _flat(f"{path}.{item[0]}", item[1])
            else:
                yield from _flat(f"{path}.{number}", item)
    elif isinstance(value, bytes):
        yield path, f"{len(value)} bytes"
    elif isinstance(value, float):
        yield path, f"{value:g}"
    else:
        yield path, str(value).lower() if isinstance(value, bool) else str(value)


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
