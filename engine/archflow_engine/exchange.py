"""One request and its reply: the state machine that fronts, nodes and upstreams talk to.

::

    front --begin--> WALKING --dispatch--> WAITING --head--> RELAYING --end--> OVER
                        |                     |                  |
                        +------ refuse -------+---- cut short ---+--> OVER

Everything here is sync: the hub drives a request by callbacks from its first byte to its last. When a node must wait,
`walk.waiting` runs the same steps in a trio task and hands back.

Rule: `finish` runs exactly once, whatever happens; after it nobody hears from this exchange.
Rule: after the first byte to the client nothing fails over; a reply cut short is never made to look whole.
"""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct, structs

from archflow_engine import trace
from archflow_engine.decided import encode_decided
from archflow_engine.hub import monotonic
from archflow_engine.plan import CORS
from archflow_engine.prompts.prompt import cleaned
from archflow_engine.prompts.prompt import of as prompt_of
from archflow_engine.request import RequestHead
from archflow_engine.sieve import Sieve, Telling
from archflow_engine.upstream.call import Call, CallHead, Headers, ReplyHead
from archflow_engine.walk import walk
from archflow_engine.watch import EVENT_ENDS, Watch, take
from archflow_plugins.kinds import Dialect, Head
from archflow_plugins.record import Attempt, Decision, Record
from archflow_plugins.translation import estimate
from archflow_schema.assigned import assigned
from archflow_schema.conversation import Conversation
from archflow_schema.errors import (
    ClientProtocolError,
    ExchangeError,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
)

if TYPE_CHECKING:
    import trio

    from archflow_engine.nodes.agent import AgentNode
    from archflow_engine.nodes.dispatch import DispatchNode
    from archflow_engine.nodes.limit import LimitNode
    from archflow_engine.nodes.recall import RecallNode
    from archflow_engine.nodes.sift import SiftNode
    from archflow_engine.plan import ListenerPlan, Plan
    from archflow_engine.prompts.prompt import Prompt
    from archflow_engine.stages import Maker
    from archflow_engine.translate import Translation
    from archflow_engine.walk import Runner
    from archflow_schema.graph import Quota

HIGH_WATER = 256 * 1024
"""Bytes waiting for a slow client above which its upstream is no longer read."""
PULSE = 15.0
"""Seconds of silence after which a client in mid-stream is told that its stream lives."""
READ_LATER = 16_384
"""Bytes of a whole reply that may be kept until it is counted."""
_JSON = b"application/json"
_FOREVER = float("inf")
_UNSET: Any = None
"""Of what every exchange has as soon as it is made."""


class Client(Protocol):
    """The front's side of one exchange: where its reply goes."""

    protocol: str
    peer: str

    def start(
        self, status: int, headers: Headers, data: bytes, end: bool, length: int | None, raw: bytes = b""
    ) -> None:
        """Send the head, with what is known of the body.

        Args:
            status: of the reply.
            headers: lower-case, end-to-end.
            data: the body, as far as it is known.
            end: whether that is all of it.
            length: of the whole body, if that is known.
            raw: headers that come first, as HTTP/1.1 lines.
        """

    def write(self, data: bytes, end: bool) -> int:
        """Send more of the body. Returns how many bytes the client has not taken yet."""

    def abort(self) -> None:
        """Cut the reply so that the client can tell it is not whole."""

    def over(self) -> None:
        """The exchange is finished; the next may begin."""


@assigned
class Exchange(Struct, eq=False):
    """One request and its reply: the state of both. Mutable: nearly all of it changes as it goes on.

    Attributes:
        listener: where the request came.
        received: the size of its body.
        over: whether it is finished.
        said: the request as the client sent it, where another one goes on.
        selfsufficient: the request, if it refers to nothing that is kept.
        fault: what a filter makes of an error, status and body.
        decision: the router's, if one was asked.
        stages: what the reply passes.
        sifts: the filters that the reply passes.
    """

    client: Client
    listener: ListenerPlan
    request: RequestHead
    received: int
    plan: Plan = _UNSET
    record: Record = _UNSET
    deadline: float = 0.0
    dialect: Dialect | None = None
    head: Head | None = None
    said: Head | None = None
    selfsufficient: Head | None = None
    keeper: RecallNode | None = None
    error: str = ""
    fault: tuple[int, bytes] | None = None
    attempt: Attempt | None = None
    charges: list[tuple[LimitNode, Quota, str, int]] = []
    reply_headers: Headers = []
    model_suffix: str = ""
    chosen: tuple[str, ...] = ()
    spare: tuple[str, ...] = ()
    decides: bool = False
    decision: Decision | None = None
    translation: Translation | None = None
    stages: list[Maker] | None = None
    sifts: list[SiftNode] | None = None
    sieve: Sieve | None = None
    prompt: Prompt | None = None
    over: bool = False
    _conversation: Conversation | None = None
    _call: Call | None = None
    _dispatch: Any = None
    _watch: Watch | None = None
    _last: bytes = b""
    _started: bool = False
    _stream: bool = False
    _held: bool = False
    _scopes: tuple[trio.CancelScope, ...] = ()
    _heard: float = 0.0
    """When the upstream last said something, or was asked,"""
    _patience: float = 0.0
    """and for how long it may say nothing."""
    _quiet: float = 0.0
    """Since when the client has been told nothing,"""
    _told: int = -1
    """if it has had no more than so many bytes."""
    _began: float = 0.0
    _whole: float = 0.0
    """When the time for all of it is up."""

    def __post_init__(self) -> None:
        request, listener, client = self.request, self.listener, self.client
        self.plan = plan = listener.plan
        plan.live += 1
        self._began = began = monotonic()
        self._whole = self.deadline = began + listener.timeout
        request_id, trace_id, span_id = trace.new_ids()
        self.record = record = Record(
            request.request_id or request_id,
            trace_id,
            span_id,
            "",
            request.trace_state,
            False,
            time_ns(),
            listener.name,
            request.verb,
            request.path,
            client.protocol,
            "",
            client.peer,
            request.user_agent,
            request.authority,
            request.forwarded_for,
        )
        record.bytes_received = self.received
        if request.context is not None:
            record.trace_id, record.parent_span_id, record.sampled = request.context
        if plan.samples:
            record.sampled = plan.sample(record)

    # The client's side.

    def begin(self, body: bytes) -> None:
        """The request is whole. Drives it as far as it goes without waiting."""
        request, listener, record = self.request, self.listener, self.record
        endpoint = listener.endpoints.get(request.path)
        named = None
        if endpoint is None:
            endpoint = listener.deciding.get(request.path)
            self.decides = endpoint is not None
            if endpoint is None:
                named = listener.by_pattern(request.path)
                endpoint = None if named is None else named.endpoint
        if endpoint is None or request.method != b"POST":
            listener.answer(self, request.method)
            return
        self.plan.hub.timed.add(self)
        self.dialect, record.dialect, entry = endpoint
        if request.refusal is not None:
            self.refuse(*request.refusal)
            return
        try:
            head = self.dialect.decode_head(body)
            if named is not None:
                head = Head(named.model, named.stream, head.fields, head.body)
        except ClientProtocolError as error:
            self.refuse(400, "invalid_request", str(error))
            return
        except Exception as error:  # noqa: BLE001 - a dialect is a plugin: what it raises is answered all the same
            self.trouble(error)
            return
        self.head = head
        record.stream = head.stream
        record.model_asked = head.model
        walk(self, entry)

    def begin_refused(self, status: int, code: str, message: str) -> None:
        """A request came that the front does not accept: it is answered and recorded all the same."""
        endpoint = self.listener.endpoints.get(self.request.path)
        if endpoint is not None:
            self.dialect, self.record.dialect, _ = endpoint
        self.refuse(status, code, message)

    def client_gone(self) -> None:
        """The client left: whatever is under way for it stops now."""
        if self.over:
            return
        self._stop()
        if not self._started or self.translation is None or not self.translation.finished:
            self.record.error = self.record.error or "client_gone"
        if not self._started:
            self.record.status = 499
        self.finish()

    def client_drained(self) -> None:
        """A slow client took what waited for it."""
        if self._held and self._call is not None:
            self._held = False
            self.heard()
            self._call.resume()

    # The nodes' side.

    @property
    def conversation(self) -> Conversation:
        """The request, dialect-free; decoded when first asked for.

        Raises:
            ClientProtocolError: it is not a request of its dialect.
        """
        if self._conversation is None:
            assert self.dialect is not None and self.head is not None  # noqa: PT018, S101 - set by begin()
            self._conversation = self.dialect.decode(self.head)
        return self._conversation

    def estimate(self) -> int:
        """How many input tokens the request costs, roughly."""
        dialect, head = self.dialect, self.head
        assert dialect is not None and head is not None  # noqa: PT018, S101 - set by begin()
        if dialect.translates:
            try:
                return estimate(self.conversation)
            except ClientProtocolError:
                pass  # it may be relayed all the same
        return max(1, dialect.estimate(head))

    def becomes(self, head: Head) -> None:
        """The request goes on as another one; it is decoded anew when next asked for.

        What nodes made of its messages stays.
        """
        told, prompt = self._conversation, self.prompt
        self.head = head
        self._conversation = None
        if prompt is not None and prompt.original is not None and told is not None:
            prompt.original = self.conversation
            self._conversation = structs.replace(cleaned(prompt.original), messages=told.messages)

    def instead(self, head: Head) -> None:
        """As `becomes`, for what the client need not know: its reply, and what is kept of it, tell what it sent."""
        self.said = self.said or self.head
        self.becomes(head)

    def back(self, head: Head) -> None:
        """The request is again what it was before nodes made something of it."""
        self.head = head
        self._conversation = None
        if self.prompt is not None:
            self.prompt.original = None

    def anew(self) -> None:
        """The request goes to another model: what was made and charged for the first one is undone."""
        if self.translation is not None:
            self.reply_headers = [one for one in self.reply_headers if one not in self.translation.told]
            self.translation = None
        self.sieve = None
        self.refund()
        self.model_suffix = ""

    def decided(self, models: tuple[str, ...]) -> None:
        """Tell the client which models would be asked, best first, and ask none."""
        record = self.record
        session = self.request.fields.get(b"x-model-affinity", b"").decode("latin-1")
        self.answer(200, _JSON, encode_decided(models, record, self.decision, session), self.reply_headers)

    def rewrite(self, conversation: Conversation) -> None:
        """The request goes on with another conversation; dispatch asks that one."""
        before = self.conversation
        if conversation is before:
            return
        prompt = prompt_of(self)
        if prompt.original is None:
            prompt.original = before
        self._conversation = conversation

    @property
    def original(self) -> Conversation | None:
        """The conversation as the client sent it, where another one goes on; None where it goes on as it came."""
        return self.prompt.original if self.prompt is not None else None

    def refuse(
        self, status: int, code: str, message: str, headers: Headers | None = None, *, detail: str = ""
    ) -> None:
        """Answer with an error in the form of the client's dialect.

        Args:
            status: of the reply.
            code: the error in one word.
            message: the error in words.
            headers: of the reply.
            detail: the message without what was said in the conversation, for the record.
        """
        self.record.error = code
        self.record.detail = detail or message
        if self.dialect is not None:
            body = self.dialect.encode_error(status, code, message, request_id=self.record.request_id)
        else:
            body = self.listener.encode_error(status, code, message, request_id=self.record.request_id)
        self.answer(status, _JSON, body, headers)

    def answer(self, status: int, content_type: bytes, body: bytes, headers: Headers | None = None) -> None:
        """Answer with a body of ours."""
        if self.over or self._started:
            return
        self._stop()
        head = [(b"content-type", content_type)] if content_type else []
        head.append((b"x-request-id", self.record.request_id.encode()))
        if headers:
            head += headers
        if b"origin" in self.request.fields and headers is not CORS:
            head.append(CORS[0])
        self._started = True
        self.record.status = status
        self.record.bytes_sent = len(body)
        self.record.first_byte = monotonic() - self._began
        self.client.start(status, head, body, True, len(body))
        self.finish()

    def tell(self, status: int, content_type: bytes, body: bytes, headers: Headers | None = None) -> None:
        """Answer with what somebody else said, once it has passed the filters of replies."""
        if self.sifts:
            walk(self, Telling(self.sifts, status, content_type, body, headers))
        else:
            self.answer(status, content_type, body, headers)

    def dispatch(self, node: DispatchNode | AgentNode, head: CallHead, body: bytes) -> None:
        """Send a request upstream; what comes of it goes to the client, or back to the node."""
        self._dispatch = node
        record = self.record
        if self.sifts is not None:
            self.sieve = Sieve(self, self.sifts)
        span_id = trace.new_span_id()
        own = trace.lines(record, span_id)
        self._call = call = Call(head, own, body, self.translation or self.sieve or self)
        self._heard = now = monotonic()
        self.attempt = attempt = Attempt(node.provider, node.upstream, "", span_id, now - self._began)
        record.attempts.append(attempt)
        self._patience = patience = node.first_byte
        silent = now + patience
        self.deadline = silent if silent < self._whole else self._whole  # noqa: FURB136 - it costs a tenth of min()
        node.pool.send(call)

    # The upstream's side.

    def sent(self, address: str, *, reused: bool) -> None:
        """The request is on its way."""
        if self.attempt is not None:
            self.attempt.address = address
            self.attempt.reused = reused

    def reply(self, head: ReplyHead | None, data: bytes, end: bool) -> None:
        """What one read of the upstream brought: relayed in one write."""
        if self.over:
            return
        record = self.record
        record.bytes_sent += len(data)
        waiting = 0
        if head is not None:
            self._begin_relay(head, data, end)
        else:
            watch = self._watch
            if watch is not None:
                watch.feed(data)
            self._last = data
            waiting = self.client.write(data, end)
        if end:
            if self._watch is not None:
                self._watch.end(record)
            self._call = None  # or the two would keep each other alive until the next garbage collection
            self.finish()
            return
        self._heard = monotonic()  # the deadline follows when it passes: `expired`
        if waiting > HIGH_WATER and self._call is not None and not self.over:
            self._held = True
            self.hold()  # the upstream is silent because it is not heard

    def heard(self) -> None:
        """The upstream lives: it may be silent again for as long as it may."""
        self._heard = now = monotonic()
        self._patience = self._dispatch.between_chunks
        if self.record.bytes_sent != self._told:
            self._told, self._quiet = self.record.bytes_sent, now
        self._wait(self._quiet + PULSE)

    def _wait(self, pulse: float) -> None:
        """Until the upstream has said nothing for too long, or the client was told nothing until `pulse`."""
        self.deadline = min(self._whole, self._heard + self._patience, pulse)

    def give_up(self, error: UpstreamError) -> None:
        """What the upstream says is of no use: hear no more of it."""
        self.unheard()
        (self.sieve or self).failed(error)

    def unheard(self) -> None:
        """Hear no more of the upstream."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def hold(self) -> None:
        """What the upstream said is not ready for the client: it is not heard until `go_on`."""
        if self._call is not None:
            self._patience = _FOREVER
            self._wait(self._whole if self._held else monotonic() + PULSE)
            self._call.pause()

    def go_on(self) -> None:
        """The upstream is heard again, unless the client is slow."""
        if self._call is not None and not self._held and not self.over:
            self.heard()
            self._call.resume()

    def withhold(self, status: int, runner: Runner | None) -> None:
        """The client gets nothing of the upstream's reply, which had this status: the walk goes on at `runner`."""
        if self.over:
            return
        self.unheard()
        self.translation = self.sieve = self.stages = None
        if self.prompt is not None:  # what it tells was the reply's
            self.prompt.metadata = self.prompt.prelude = ()
        now = monotonic()
        if self.attempt is not None:
            self.attempt.status, self.attempt.outcome = status, "streaming"
            self.attempt.ended = now - self._began
        self._patience = _FOREVER
        self.deadline = self._whole
        walk(self, runner)

    def _begin_relay(self, head: ReplyHead, data: bytes, end: bool) -> None:
        record, attempt, dialect = self.record, self.attempt, self.dialect
        assert attempt is not None and dialect is not None  # noqa: PT018, S101 - set by dispatch()
        record.first_byte = attempt.first_byte = monotonic() - self._began
        record.status = attempt.status = head.status
        attempt.outcome = "streaming"
        self._started = True
        kind = dialect.stream_type.encode()
        stream = head.content_type[: len(kind)] == kind
        if not end:
            self.heard()
            self._stream = stream and head.length is None
            self._last = data
        if head.status < 400:
            if self.translation is not None or self.sieve is not None:
                pass  # they read the reply, and tell the record
            elif end and not stream and not head.content_encoding:
                if self.charges or len(data) > READ_LATER:
                    take(dialect.summarise(data), record)
                else:
                    self.plan.unread.append((dialect, data, record))
            else:
                self._watch = watch = Watch(dialect, stream=stream, encoding=head.content_encoding)
                if data:
                    watch.feed(data)
        else:
            record.error = f"upstream_{head.status}"
        ours = record.request_id.encode()
        headers, raw = self.reply_headers, head.raw
        if raw:
            raw = b"".join((raw, b"x-arch-request-id: ", ours, b"\r\n"))
        else:
            headers = [*head.headers, (b"x-arch-request-id", ours), *headers]
        if not head.request_id:
            headers = [*headers, (b"x-request-id", ours)]
        if b"origin" in self.request.fields and not any(name == CORS[0][0] for name, _ in head.headers):
            headers = [*headers, CORS[0]]
        self.client.start(head.status, headers, data, end, head.length, raw)

    def failed(self, error: UpstreamError) -> None:
        """The upstream will say nothing (more)."""
        if self.over:
            return
        outcome = (
            "refused" if isinstance(error, UpstreamRefused)
            else "timeout" if isinstance(error, UpstreamTimeout)
            else "failed"
        )  # fmt: skip
        self._call = None
        self.error = str(error)
        if self.attempt is not None:
            self.attempt.outcome = outcome
            self.attempt.error = self.error
            self.attempt.ended = monotonic() - self._began
        if self._started:
            self._cut_short(f"upstream_{outcome}", self.error)
            return
        self.attempt = None
        walk(self, self._dispatch.edges[outcome])

    def _cut_short(self, code: str, message: str) -> None:
        """The reply ended before its end: tell the client in its dialect, or by cutting the connection."""
        self.record.error = code
        self.record.detail = message
        watch = self._watch
        if self._stream and self.translation is not None:
            event = self.translation.cut_short(code, message)
            if not event and self.dialect is not None:  # it has said all, though not all of that has left
                event = self.dialect.encode_stream_error(code, message)
            self.record.bytes_sent += len(event)
            self.client.write(event, True)
        elif self._stream and self.dialect is not None and self._appendable:
            event = self.dialect.encode_stream_error(code, message)
            lines = (
                self.sieve.lines if self.sieve is not None else watch is not None and watch.between is None
            )
            if lines and not self._last.endswith(EVENT_ENDS):
                event = b"\n\n" + event  # of its own, not the rest of the one that was cut
            self.record.bytes_sent += len(event)
            self.client.write(event, True)
        else:
            self.client.abort()
        self.finish()

    @property
    def _appendable(self) -> bool:
        """Whether an event of ours may stand behind what the client of a stream has got."""
        watch = self._watch
        return self.sieve is not None or (watch is not None and watch.plain and watch.between is not False)

    def cut(self, code: str, message: str) -> None:
        """The client gets no more of the reply that it is in the middle of."""
        if not self.over:
            self.unheard()
            self._cut_short(code, message)

    def shut_down(self) -> None:
        """The gateway ends before this does: the client is told as well as it still can be."""
        if self.over:
            return
        self._stop()
        message = "the gateway is shutting down; ask again"
        if self._started:
            self._cut_short("shutting_down", message)
        else:
            self.refuse(503, "shutting_down", message)

    # Time.

    def expired(self, now: float) -> None:
        """A deadline passed: the whole request's, or that of what it waits for."""
        if self.over:
            self.plan.hub.timed.discard(self)
            return
        if now < self._whole and now < self._heard + self._patience:
            quiet = self._quiet if self.record.bytes_sent == self._told else self._heard
            if now < quiet + PULSE:
                self._wait(quiet + PULSE)
            else:
                self._wait(now + PULSE)
                self._pulse()
                self._told, self._quiet = self.record.bytes_sent, now
            return
        self._stop()
        timeout = self.listener.timeout
        if now >= self._whole:
            error = UpstreamTimeout(f"the request took longer than the listener's timeout of {timeout:g} s")
        elif self._started:
            error = UpstreamTimeout(f"the upstream was silent for {self._dispatch.between_chunks:g} s")
        else:
            error = UpstreamTimeout(f"the upstream sent nothing for {self._dispatch.first_byte:g} s")
        if self.attempt is None and not self._started:
            self.refuse(504, "request_timeout", str(error))
        else:
            self.failed(error)

    def _pulse(self) -> None:
        """The client hears nothing for a while: tell it, in mid-stream, that its stream lives."""
        dialect, watch = self.dialect, self._watch
        between = (
            self.translation is not None
            or self.sieve is not None
            or (
                watch is not None
                and watch.plain
                and (self._last.endswith(EVENT_ENDS) if watch.between is None else watch.between)
            )
        )
        if self._stream and between and not self._held and dialect is not None and dialect.ping:
            self.record.bytes_sent += len(dialect.ping)
            self.client.write(dialect.ping, False)

    # Ends.

    @property
    def began(self) -> float:
        """When it began, on the monotonic clock."""
        return self._began

    def trouble(self, error: ExchangeError | Exception) -> None:
        """A step raised: an error of the client's or ours. Answers if that is still possible."""
        if self.over:
            return
        if isinstance(error, ExchangeError):
            code = "invalid_request" if error.status_hint == 400 else "request_failed"
            self.refuse(error.status_hint, code, str(error))
            return
        self.plan.hub.trouble(error)
        if self._started:
            self._stop()
            self.client.abort()
            self.record.error = "internal_error"
            self.finish()
        else:
            self.refuse(
                500, "internal_error", f"internal error; the log has it under {self.record.request_id}"
            )

    def _stop(self) -> None:
        self.unheard()
        for scope in self._scopes:
            scope.cancel()

    def enter(self, scope: trio.CancelScope) -> None:
        """A task works for this exchange: it is cancelled when that ends."""
        self._scopes = (*self._scopes, scope)

    def leave(self, scope: trio.CancelScope) -> None:
        """The task has done its work."""
        self._scopes = tuple(one for one in self._scopes if one is not scope)

    def refund(self) -> None:
        """Give back what was charged to a request that is not served."""
        for node, quota, key, cost in self.charges:
            node.settle(self, quota, key, -cost)
        self.charges.clear()

    def _settle_charges(self) -> None:
        """Charge what the reply really cost; a request that no model served costs nothing."""
        usage = self.record.usage
        attempt = self.attempt
        answered = attempt is not None and 0 < attempt.status < 400  # even if the client was not told
        served = self.record.status < 400 or answered or self.record.error == "client_gone"
        if not served:
            self.refund()
        elif usage is not None:
            for node, quota, key, cost in self.charges:
                node.settle(self, quota, key, usage.input_tokens + usage.output_tokens - cost)
        self.charges.clear()

    def finish(self) -> None:
        """The exchange is over. Runs once."""
        if self.over:
            return
        self.over = True
        # Or they would keep each other alive until the next garbage collection.
        self.translation = self.sieve = None
        self.plan.hub.timed.discard(self)
        record = self.record
        record.duration = monotonic() - self._began
        attempt = self.attempt
        if attempt is not None and attempt.ended < 0:
            attempt.ended = record.duration
            if not attempt.outcome:
                attempt.outcome = "cancelled"
        if self.charges:
            self._settle_charges()
        self.plan.finished(record)
        self.client.over()
