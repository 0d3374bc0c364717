"""A filled prompt target -> the request that calls its endpoint.

Rule: what a conversation says becomes a percent-encoded piece of a path or a query, or a value in a JSON body: never a
host, a header, or a step out of the path that the configuration wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from archflow_schema.errors import ClientProtocolError
from archflow_schema.graph import Place, Target

_IN_BODY = frozenset({"POST", "PUT", "PATCH"})
_OF_A_PATH = "/%:@!$&'()*+,;=~-._"
_STEPS = frozenset({".", "..", ""})
"""What a whole segment of a path must not become by a value: clients and servers take the first two for a way."""
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Unfit(ClientProtocolError):
    """The values do not make a request."""


class Request(Struct, frozen=True):
    """A call as it is sent: path with query, and body.

    Attributes:
        path: the path without its query, as people may see it: variables by name.
    """

    target: bytes
    path: str
    body: bytes = b""


class TargetCall:
    """The call of one target, made ready once.

    Attributes:
        spec: as the graph has it.
    """

    def __init__(self, spec: Target, variables: Mapping[str, str] | None = None) -> None:
        """Args: `variables` are the values of those that path and query name."""
        self.spec = spec
        known = variables or {}
        self._written = _joined(
            spec.path, {name: quote(value, safe=_OF_A_PATH) for name, value in known.items()}
        )
        self._shown = _joined(spec.path, {name: f"${name}" for name in known}) if known else self._written
        self._query = [(name, _joined(value, known)) for name, value in spec.query]
        self._defaults = {slot.name: Raw(slot.default) for slot in spec.slots if slot.default}
        self._placed = {
            place.slot for place in (*spec.path, *(one for _, value in spec.query for one in value))
        }

    def values(self, said: Iterable[tuple[str, Raw]]) -> dict[str, Raw]:
        """What was said, and defaults for the rest, in the order of the parameters; null counts as unsaid."""
        told = {name: value for name, value in said if bytes(value) != b"null"}
        both = {**self._defaults, **told}
        return {slot.name: both[slot.name] for slot in self.spec.slots if slot.name in both}

    def request(self, values: dict[str, Raw]) -> Request:
        """The request for these values.

        Raises:
            Unfit: one is missing in the path, or cannot stand there.
        """
        plain = {name: _decode(raw) for name, raw in values.items()}
        path = self._path(self._written, plain)
        shown = path if self._shown is self._written else self._path(self._shown, plain)
        query = [
            (name, value) for name, places in self._query if (value := _filled(places, plain)) is not None
        ]
        rest = [name for name in values if name not in self._placed]
        if self.spec.method in _IN_BODY:
            body = _encode({name: values[name] for name in rest})
        else:
            body = b""
            query += [(name, one) for name in rest for one in _repeated(plain[name])]
        target = path + (
            "?" + "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in query) if query else ""
        )
        return Request(target.encode("ascii"), shown, body)

    def _path(self, places: Sequence[Place], plain: dict[str, object]) -> str:
        pieces = []
        for place in places:
            pieces.append(place.text)
            if not place.slot:
                continue
            if place.slot not in plain:
                raise Unfit(
                    f"error computing api request path or body: Missing value for parameter `{place.slot}`"
                )
            pieces.append(_quoted(_word(plain[place.slot])))
        path = "".join(pieces)
        _check(places, path)
        return path


def _check(places: Sequence[Place], path: str) -> None:
    """A value that is empty, or made of dots, must not change which segments there are."""
    written = "".join(place.text + ("{}" if place.slot else "") for place in places)
    for configured, segment in zip(written.split("/"), path.split("/"), strict=True):
        if "{}" in configured and segment in _STEPS:
            raise Unfit(
                "error computing api request path or body: a value cannot stand in the path, where it would "
                "lead elsewhere or nowhere"
            )


def _joined(places: Sequence[Place], variables: Mapping[str, str]) -> tuple[Place, ...]:
    """Pieces with the values of variables as literal text."""
    return tuple(Place(place.text + variables.get(place.variable, ""), place.slot) for place in places)


def _filled(places: Sequence[Place], plain: dict[str, object]) -> str | None:
    """A query value of the configuration with its slots filled; None if one of them has no value."""
    if any(place.slot and place.slot not in plain for place in places):
        return None
    return "".join(place.text + (_word(plain[place.slot]) if place.slot else "") for place in places)


def _repeated(value: object) -> list[str]:
    """A value as query values: a list is one for each item."""
    return [_word(one) for one in value] if isinstance(value, list) else [_word(value)]


def _word(value: object) -> str:
    """A value as text: a text as it is, a list as its items with commas between, anything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and not any(isinstance(one, list | dict) for one in value):
        return ",".join(map(_word, value))
    return _encode(value).decode()


def _quoted(text: str) -> str:
    return quote(text, safe="")
