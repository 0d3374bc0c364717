"""The upstream's side of an exchange whose client speaks another dialect than the upstream.

::

    upstream -> [inflate ->] decoder of the upstream's dialect -> events -> encoder of the client's -> client

A Translation stands where the exchange would: it hears what the upstream says, and hands the exchange what the client
shall get. Whether either side streams is its own affair: both turn into the same events. Where the reply passes
stages on its way, it stands there too when both speak the same dialect.

Rule: nothing goes to the client before there is something to say, so that a reply that cannot be read fails as one that
never came, and may still go elsewhere.
Invariant: the client's reply ends once: by the encoder's end, by its error event, or by a cut connection.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from archflow_engine.inflate import PLAIN, Inflater
from archflow_engine.prompts.prompt import answering
from archflow_engine.stages import Ended, Passage
from archflow_engine.upstream.call import Headers, ReplyHead
from archflow_plugins.kinds import Dialect
from archflow_plugins.translation import CannotExpress, ReplyDecoder, Sent, leave, spared
from archflow_schema.conversation import Conversation
from archflow_schema.errors import ClientProtocolError, UpstreamError, UpstreamProtocolError
from archflow_schema.events import (
    Event,
    Failed,
    Finished,
    ReasoningDelta,
    Started,
    Stopped,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange
    from archflow_engine.nodes.recall import RecallNode
    from archflow_plugins.record import Record

ERROR_AT_MOST = 1 << 20
"""Bytes of an upstream's error that are read."""
NAMES_AT_MOST = 32
"""How many of the things that were left out are named."""
_OF_THE_BODY = frozenset({
    b"content-type", b"content-encoding", b"content-language", b"content-location", b"content-md5",
    b"content-digest", b"repr-digest", b"etag", b"last-modified", b"accept-ranges", b"vary",
})  # fmt: skip
"""Headers that describe the bytes that are replaced."""
_DELTAS = frozenset({TextDelta, ReasoningDelta, ToolCallDelta})
_LINES_OF_THE_BODY = re.compile(
    rb"\r\n(?:%b)[ \t]*:[^\r\n]*" % b"|".join(sorted(_OF_THE_BODY)), re.IGNORECASE
)
_NAME = re.compile(r"[\w.\[\]*-]{1,100}", re.ASCII)


def ask_in(
    source: Dialect,
    target: Dialect,
    name: str,
    conversation: Conversation,
    model: str,
    lacks: frozenset[str] = frozenset(),
) -> tuple[bytes, Headers]:
    """A request in the words of `target`, which is called `name`, and the reply header that names what was left out.

    `lacks` are features that the upstream refuses beyond what its dialect does.

    Raises:
        ClientProtocolError: the target has no words for it, and it would be missed.
    """
    try:
        behind = leave(source.own, conversation) if conversation.extras else ()
        left: tuple[str, ...] = ()
        if lacks:
            conversation, left = spared(conversation, lacks)
        encoded = target.encode(conversation, model)
    except CannotExpress as error:
        raise ClientProtocolError(
            f"'{_word(source, error.feature)}' cannot be asked of the model '{model}', whose upstream speaks "
            f"{name}: {error.why}"
        ) from error
    if not behind and not left and not encoded.dropped:
        return encoded.body, []
    return encoded.body, _named([*behind, *(_word(source, feature) for feature in (*left, *encoded.dropped))])


def _named(words: list[str]) -> Headers:
    """The reply header that names what was left out, in the client's own words."""
    names = tuple(dict.fromkeys(word for word in words if _NAME.fullmatch(word)))
    if not names:
        return []
    named = ", ".join(names[:NAMES_AT_MOST])
    more = len(names) - NAMES_AT_MOST
    return [(b"x-arch-dropped", (f"{named}, and {more} more" if more > 0 else named).encode("ascii"))]


class Translation:
    """Hears an upstream for an exchange, and says it in the words of its client.

    Attributes:
        finished: the upstream has said everything, even if its body has not ended.
        sent: as of any sink: nothing of it is translated.
        told: the reply headers that say what of the request was left out.
    """

    __slots__ = (
        "_all", "_decoder", "_encoder", "_ended", "_error", "_exchange", "_head", "_held", "_inflater", "_passage",
        "_status", "_target", "_whole", "finished", "sent", "told",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, target: Dialect, told: Headers) -> None:
        dialect, head = exchange.dialect, exchange.said or exchange.head
        assert dialect is not None and head is not None  # noqa: PT018, S101 - set by begin()
        self._exchange = exchange
        self.sent = exchange.sent
        self._target = target
        self._encoder = dialect.reply_encoder(head, answering(exchange))
        self._decoder: ReplyDecoder | None = None
        self._inflater: Inflater | None = None
        self._head: ReplyHead | None = None
        self._error: bytearray | None = None
        self.finished = False
        self.told = told
        self._whole: list[bytes] | None = None if head.stream else []
        self._held: list[bytes] | None = None
        """The end of the reply, while it is being kept; `_ended` tells whether the upstream said all."""
        self._ended = False
        self._passage: Passage[Event] | None = None
        self._all = False
        """Whether the upstream has said all, though not all of it may have passed."""
        self._status = 0
        if exchange.stages:
            self._passage = Passage(exchange, [make() for make in exchange.stages], self._out, self._stopped)

    # The upstream's side.

    def failed(self, error: UpstreamError) -> None:
        """There will be no (more) reply."""
        if self._passage is not None and self._passage.busy:
            self._passage.push((), end=True, error=error)
        elif self.finished and self._error is None:
            self._hand(b"", end=True)  # it had said everything
        else:
            (self._exchange.sieve or self._exchange).failed(error)

    def reply(self, head: ReplyHead | None, data: bytes, end: bool) -> None:
        """What one read of the upstream brought, put into other words and handed on in one write."""
        exchange = self._exchange
        if exchange.over:
            return
        if self._passage is not None:
            self._pass(self._passage, head, data, end=end)
            return
        out: list[bytes] = []
        try:
            if head is not None:
                self._begin(head)
            decoder = self._decoder
            if decoder is None:
                self._hear_error(data, end=end)
                return
            for portion in (data,) if self._inflater is None else self._inflater.feed(data):
                if portion and not self.finished and (events := decoder.feed(portion)):
                    out.append(self._said(events))  # noqa: PERF401 - what was said before a failure counts
            if end and not self.finished:
                if events := decoder.end():
                    out.append(self._said(events))
                if not self.finished:
                    raise UpstreamProtocolError("the upstream's reply ended before it was complete")
        except _GaveUp as gave_up:
            self._give_up(gave_up, b"".join(out))
        except UpstreamError as error:
            if out and self._head is None:  # what was said before counts, for a client that hears it already
                self._hand(b"".join(out), end=False)
            exchange.give_up(error)
        else:
            if self.finished and exchange.keeper is not None:
                self._keep(exchange.keeper)
            self._hand(out[0] if len(out) == 1 else b"".join(out), end=end)

    def _begin(self, head: ReplyHead) -> None:
        if head.content_encoding not in PLAIN:
            self._inflater = Inflater(head.content_encoding)
        self._head = head
        self._status = head.status
        if head.status >= 400:
            self._error = bytearray()
        else:
            stream = head.content_type.startswith(self._target.stream_type.encode())
            self._decoder = self._target.reply_decoder(stream=stream)

    def _said(self, events: Sequence[Event]) -> bytes:
        """What the client hears of these events; what they tell about the reply goes into the record."""
        ending = _note(self._exchange.record, events)
        if ending is not None:
            if isinstance(ending, Failed):
                raise _GaveUp(ending, self._encoder.feed(events) if self._begun(events) else b"")
            self.finished = True
        return self._encoder.feed(events)

    def _begun(self, events: Sequence[Event]) -> bool:
        """Whether the client gets an error in mid-stream; else it gets one that is nothing else."""
        assert self._exchange.head is not None  # noqa: S101 - set by begin()
        return self._exchange.head.stream and (
            self._head is None or any(type(event) in _DELTAS for event in events)
        )

    def _give_up(self, gave_up: _GaveUp, before: bytes) -> None:
        """The upstream said in its dialect that it cannot go on."""
        if gave_up.data:
            self.finished = True
            self._exchange.record.error = "upstream_failed"
            self._exchange.record.detail = gave_up.failed.message
            self._hand(before + gave_up.data, end=True)
        else:
            self._exchange.give_up(UpstreamProtocolError(f"the upstream gave up: {gave_up.failed.message}"))

    # Where the reply passes stages.

    def _pass(self, passage: Passage[Event], head: ReplyHead | None, data: bytes, *, end: bool) -> None:
        """As `reply`, but the client's encoder gets what passed the stages, when it did."""
        events: list[Event] = []
        failure: UpstreamError | None = None
        try:
            if head is not None:
                self._begin(head)
            if self._error is not None:
                self._hear_error(data, end=end)
                return
            assert self._decoder is not None  # noqa: S101 - set by _begin
            for portion in (data,) if self._inflater is None else self._inflater.feed(data):
                if portion and not self._all:
                    events += self._heard(self._decoder.feed(portion))
            if end and not self._all:
                events += self._heard(self._decoder.end())
                if not self._all:
                    raise UpstreamProtocolError("the upstream's reply ended before it was complete")
        except UpstreamError as error:
            failure = error
        passage.push(events, end=end, error=failure)

    def _heard(self, events: Sequence[Event]) -> Sequence[Event]:
        """The events up to the one that ends the reply; what they tell about it goes into the record."""
        ending = _note(self._exchange.record, events)
        if ending is None:
            return events
        self._all = True
        return events[: events.index(ending) + 1]

    def _out(self, events: Sequence[Event], end: bool, error: UpstreamError | None) -> None:
        """What passed all stages."""
        last = events[-1] if events else None
        if isinstance(last, Failed):
            began = self._begun(events)
            self._give_up(_GaveUp(last, self._encoder.feed(events) if began else b""), b"")
            return
        data = self._encoder.feed(events) if events else b""
        if isinstance(last, Finished):
            self.finished = True
            if self._exchange.keeper is not None:
                self._keep(self._exchange.keeper)
        if error is not None and not self.finished:
            self._exchange.give_up(error)
        else:
            self._hand(data, end=end)

    def _stopped(self, ended: Ended) -> None:
        """A stage ends the reply: the walk goes on, or a client in mid-stream hears what comes instead of the rest."""
        exchange = self._exchange
        exchange.keeper = None
        self.finished = self._all = True
        if self._head is not None or self._whole is not None:
            exchange.withhold(self._status, ended.runner)
        else:
            exchange.unheard()
            self._hand(self._encoder.feed(ended.events), end=True)

    # The client's side.

    def cut_short(self, code: str, message: str) -> bytes:
        """The bytes that tell a streaming client that its reply ends here."""
        return self._encoder.feed([Failed(code, message)])

    def _hand(self, data: bytes, *, end: bool) -> None:
        """Give the client bytes, the head before the first; without any, only note that the upstream lives."""
        if self._held is not None:
            self._held.append(data)
            self._ended = self._ended or end
            return
        head = self._head
        if self._whole is not None and (self._whole or not end):
            self._whole.append(data)
            data = b"".join(self._whole) if end else b""
        if not data and not end:
            self._exchange.heard()
            return
        if head is not None:
            self._head = None
            length = len(data) if end else None
            head = replaced(head, self._encoder.content_type.encode("ascii"), length)
        (self._exchange.sieve or self._exchange).reply(head, data, end)

    def _keep(self, keeper: RecallNode) -> None:
        """The reply is whole: let it be kept, if the client may refer to it later."""
        self._exchange.keeper = None
        if keeper.keep(self._exchange, self._encoder, self._kept):
            self._held = []

    def _kept(self) -> None:
        held, self._held = self._held, None
        if held is not None and not self._exchange.over:
            self._hand(b"".join(held), end=self._ended)

    def _hear_error(self, data: bytes, *, end: bool) -> None:
        error, head = self._error, self._head
        assert error is not None and head is not None  # noqa: PT018, S101 - set by _begin
        for portion in (data,) if self._inflater is None else self._inflater.feed(data):
            if len(error) < ERROR_AT_MOST:
                error += portion
        if not end:
            self._exchange.heard()
            return
        exchange = self._exchange
        dialect = exchange.dialect
        assert dialect is not None  # noqa: S101 - set by begin()
        problem = self._target.decode_error(head.status, bytes(error[:ERROR_AT_MOST]))
        code = problem.code or f"upstream_{head.status}"
        body = dialect.encode_error(head.status, code, problem.message, request_id=exchange.record.request_id)
        new = replaced(head, b"application/json", len(body))
        (exchange.sieve or exchange).reply(new, body, True)


class _GaveUp(Exception):
    """An upstream said that it cannot go on; `data` is what a client in mid-stream gets."""

    def __init__(self, failed: Failed, data: bytes) -> None:
        super().__init__(failed.message)
        self.failed = failed
        self.data = data


def _note(record: Record, events: Sequence[Event]) -> Finished | Failed | None:
    """Write into the record what events tell about the reply; returns the one that ends it."""
    for event in events:
        if type(event) in _DELTAS:
            continue
        if type(event) is UsageReported:
            record.usage = event.usage
        elif type(event) is Stopped:
            record.finish_reason = record.finish_reason or event.reason
        elif type(event) is Started:
            record.response_id = event.id or record.response_id
            record.response_model = event.model or record.response_model
        elif type(event) is Finished or type(event) is Failed:
            return event
    return None


def replaced(head: ReplyHead, content_type: bytes, length: int | None) -> ReplyHead:
    """A reply's head over another body."""
    new = ReplyHead(head.status, length, content_type, request_id=head.request_id)
    if head.raw:
        kept = _LINES_OF_THE_BODY.sub(b"", b"\r\n" + head.raw)
        new.raw = b"content-type: %b%b" % (content_type, kept)
    else:
        headers = new.headers
        headers += [header for header in head.headers if header[0] not in _OF_THE_BODY]
        headers.append((b"content-type", content_type))
    return new


def _word(source: Dialect, feature: str) -> str:
    """The client's own word for a feature."""
    place = source.places.get(feature)
    return place.wire if isinstance(place, Sent) else feature
