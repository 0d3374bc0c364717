"""Judging what is whole: answers that can only be judged at their end, and the arguments of calls.

Rule: nothing of what is held here leaves before it was judged.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence

import msgspec

from archflow_plugins.verdict import Passed, Screen, Verdict

_WRITTEN = re.compile(r"\\u([0-9a-fA-F]{4})")
"""A character as JSON may write it."""
_decode = msgspec.json.Decoder().decode


class Whole(Screen):
    """Holds all of a channel, and lets a function judge it."""

    def __init__(self, judge: Callable[[str], Awaitable[Verdict]]) -> None:
        self._judge = judge
        self._parts: list[str] = []

    def feed_nowait(self, text: str, *, end: bool) -> Sequence[Passed] | None:
        if end:
            return None
        if text:
            self._parts.append(text)
        return ()

    async def feed(self, text: str, *, end: bool) -> Verdict | Sequence[Passed]:
        whole = "".join([*self._parts, text])
        verdict = await self._judge(whole)
        if not verdict.allow:
            return verdict
        return (Passed(len(whole)),) if whole else ()


def readable(arguments: str) -> str:
    """The arguments of a call as they stand there, and behind them their texts, if those are written otherwise.

    JSON may write any character by its number, so that a word does not stand in it letter by letter.
    """
    if "\\" not in arguments:
        return arguments
    try:
        return "\n".join([arguments, *_texts(_decode(arguments.encode()))])
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        free = _WRITTEN.sub(lambda match: chr(int(match[1], 16)), arguments)  # cut off, or no JSON at all
        return arguments if free == arguments else f"{arguments}\n{free}"


def _texts(value: object) -> Iterator[str]:
    """All texts in a JSON value, keys included."""
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, list):
            stack += one
        elif isinstance(one, dict):
            yield from one
            stack += one.values()
