"""The tool calls of one choice of a reply, while they come in pieces.

Vendors leave out the index, or give the same one to several calls; some send a name after its id, in pieces, or again
with every piece of the arguments.

Rule: a call is told when its name is whole: with its first arguments, or when something else begins.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

from archflow_plugins.dialects.json_body import encode
from archflow_plugins.dialects.openai_chat import reasoning
from archflow_plugins.dialects.openai_chat.reply_wire import SaidCall
from archflow_schema.errors import UpstreamProtocolError
from archflow_schema.events import Event, ToolCallDelta

MAX_CALLS = 1024
"""Tool calls of a choice."""
NAME_AT_MOST = 256
"""Characters after which a name is not waited for any longer."""
_ODD = re.compile(r"[^a-zA-Z0-9_-]")


class _Call(Struct, eq=False):
    """One call. Mutable until it is told; `made` says whether its id is ours."""

    number: int
    block: int
    id: str
    made: bool
    custom: bool
    name: str = ""
    signature: str = ""
    origin: str = ""


class Calls:
    """The calls of one choice.

    Attributes:
        count: how many there are.
    """

    __slots__ = ("_by_id", "_by_index", "_choice", "_latest", "_reply", "_waiting", "count")

    def __init__(self, reply: str, choice: int) -> None:
        self.count = 0
        self._reply = reply
        self._choice = choice
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self._latest: _Call | None = None
        self._waiting: _Call | None = None

    def add(self, piece: SaidCall, begin: Callable[[str, list[Event]], int], events: list[Event]) -> None:
        """More of a call; `begin` gives the number of a new block."""
        function, custom = piece.function, piece.custom
        name = (function.name if function else custom.name if custom else None) or ""
        if custom is not None:
            arguments = custom.input or ""
        else:
            given = function.arguments if function else None
            arguments = given if isinstance(given, str) else encode(given).decode() if given else ""
        google = piece.extra_content.google if piece.extra_content else None
        origin, signature = reasoning.signature_of(google.thought_signature if google else None)
        call = self._known(piece, name)
        if call is None:
            call = self._new(piece, begin, events)
        if call is self._waiting:
            self._learn(call, piece, name)
            if signature:
                call.signature, call.origin = signature, origin
            if arguments or len(call.name) > NAME_AT_MOST:
                self.tell(events, arguments)
        elif arguments or signature:
            events.append(
                ToolCallDelta(
                    index=call.number,
                    block=call.block,
                    choice=self._choice,
                    arguments=arguments,
                    custom=custom is not None,
                    signature=signature,
                    origin=origin,
                )
            )

    def tell(self, events: list[Event], arguments: str = "") -> None:
        """The call whose name was waited for, if there is one, begins."""
        call, self._waiting = self._waiting, None
        if call is not None:
            events.append(
                ToolCallDelta(
                    index=call.number,
                    block=call.block,
                    choice=self._choice,
                    id=call.id,
                    name=call.name,
                    arguments=arguments,
                    custom=call.custom,
                    signature=call.signature,
                    origin=call.origin,
                )
            )

    def _known(self, piece: SaidCall, name: str) -> _Call | None:
        """The call that a piece is more of; None if it begins one."""
        if piece.index is None:
            if name:
                return None
            return self._by_id.get(piece.id) if piece.id else self._latest
        call = self._by_index.get(piece.index)
        if call is not None and piece.id and name and piece.id != call.id:
            return None
        return call

    def _new(self, piece: SaidCall, begin: Callable[[str, list[Event]], int], events: list[Event]) -> _Call:
        number = self.count
        if number >= MAX_CALLS:
            raise UpstreamProtocolError(f"the upstream's reply has more than {MAX_CALLS} tool calls")
        self.count += 1
        block = begin(f"call {number}", events)
        made = _ODD.sub("_", f"call_{self._reply}_{self._choice}_{number}")
        call = _Call(number, block, piece.id or made, not piece.id, piece.custom is not None)
        self._by_index[number if piece.index is None else piece.index] = call
        self._by_id[call.id] = self._latest = self._waiting = call
        return call

    def _learn(self, call: _Call, piece: SaidCall, name: str) -> None:
        """What a piece says of a call that was not told yet."""
        if name and name != call.name:
            call.name += name
        if piece.id and call.made:
            call.id, call.made = piece.id, False
            self._by_id[piece.id] = call
