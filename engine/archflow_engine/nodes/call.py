"""Calls the services of what was filled, and puts their answers before the conversation, or before the client.

Rule: calls that do not depend on each other are made at once; of those that do, the slot filler sees each answer before
the next is made.
Rule: a call that fails is the reply, with its status and Arch's words; the record gets them without the conversation's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
import trio
from msgspec import Raw, Struct

from archflow_engine import trace
from archflow_engine.prompts import history, state, wording
from archflow_engine.prompts.prompt import Made, Prompt, cleaned, of, readable, say
from archflow_engine.prompts.targets import Request, TargetCall, Unfit
from archflow_engine.stages import passed
from archflow_engine.upstream.call import Headers
from archflow_engine.upstream.fetch import Fetched
from archflow_engine.upstream.pooled import PooledService
from archflow_engine.walk import Runner
from archflow_plugins.kinds import Dialect
from archflow_schema.errors import UpstreamError
from archflow_schema.events import Event, Finished, Stopped, TextDelta
from archflow_schema.slots import Filled, FilledCall

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange

_JSON = (b"content-type", b"application/json")
_encode = msgspec.json.Encoder().encode


class Callee(Struct, frozen=True, kw_only=True):
    """A target made live.

    Attributes:
        call: how its requests are made.
        service: where they go.
        headers: the configured ones.
        system: goes before a conversation with its answer.
        dialect: for a target that gets the conversation: in whose messages.
    """

    call: TargetCall
    service: PooledService
    headers: Headers
    system: str
    dialect: Dialect | None = None


class CallFailed(Exception):
    """A call that cannot be made, or that was not answered well.

    Attributes:
        status: of the reply.
        kind: what went wrong, in one word.
        detail: the message without words of the conversation.
    """

    def __init__(self, status: int, kind: str, message: str, detail: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.detail = detail


class _Answer(Struct, frozen=True):
    """What became of one call."""

    callee: Callee
    made: Made
    found: Fetched


class CallNode(Runner):
    """Makes the calls of one prompt."""

    waits = True

    def __init__(
        self,
        name: str,
        callees: Mapping[str, Callee],
        *,
        timeout: float,
        retries: int,
        most: int,
        forget: bool,
    ) -> None:
        super().__init__(name)
        self._callees = callees
        self._default = next((one for one in callees.values() if one.dialect is not None), None)
        self._timeout = timeout
        self._retries = retries
        self._most = most
        self._forget = forget

    async def run_waiting(self, exchange: Exchange) -> Runner | None:
        if not readable(exchange):
            return self.edges["answered"]
        prompt = of(exchange)
        try:
            if self._default is not None:
                return await self._told(exchange, prompt, self._default)
            return await self._called(exchange, prompt)
        except CallFailed as failed:
            prompt.status, prompt.failure, prompt.detail = failed.status, failed.kind, failed.detail
            exchange.error = str(failed)
            return self.edges["failed"]

    # The default target.

    async def _told(self, exchange: Exchange, prompt: Prompt, callee: Callee) -> Runner | None:
        """Give the conversation to a service that takes what matches nothing."""
        dialect, head = callee.dialect, exchange.head
        assert dialect is not None and head is not None  # noqa: PT018, S101 - chosen so above; set by begin()
        conversation = exchange.conversation
        if not conversation.user_turns:
            return self.edges["answered"]
        prompt.targets = (callee.call.spec.name,)
        if exchange.dialect is dialect and "messages" in head.fields:
            body = _encode({"messages": head.fields["messages"]})
        else:
            body = wording.messages(dialect, conversation)
        found = await self._sent(exchange, callee, callee.call.request({}), body)
        reply = wording.reply_of(found, dialect)
        text = reply.text if reply is not None and reply.text else wording.text_of(found)
        if callee.call.spec.verbatim:
            if exchange.head is not None and exchange.head.stream:
                say(exchange, text, model=reply.model if reply is not None else "")
            else:
                _relay(exchange, [found])
            return self.edges["verbatim"]
        told = history.for_model(
            conversation, prompt.names, system=callee.system, context=[text], forget=self._forget
        )
        exchange.rewrite(cleaned(told))
        return self.edges["answered"]

    # Targets that were filled.

    async def _called(self, exchange: Exchange, prompt: Prompt) -> Runner | None:
        filled = prompt.filled
        if filled is None:
            raise CallFailed(500, "LogicError", "there is nothing to call", "")
        one_by_one = filled.ordered and len(filled.calls) > 1
        answers, left = await (self._steps if one_by_one else self._at_once)(exchange, prompt, filled)
        if left:
            exchange.record.detail = (
                f"{len(left)} more calls were not made: one prompt may make {self._most} (max_steps)"
            )
        prompt.made = [answer.made for answer in answers]
        if prompt.memory is not None:
            await prompt.memory.keep(exchange, prompt)
        if all(answer.callee.call.spec.verbatim for answer in answers):
            if exchange.head is not None and exchange.head.stream:
                say(exchange, "\n".join(answer.made.answer for answer in answers))
            else:
                _relay(exchange, [answer.found for answer in answers])
            return self.edges["verbatim"]
        if prompt.tells:
            prompt.metadata, prompt.prelude = state.metadata(prompt.made), state.prelude(prompt.made)
        prompts = dict.fromkeys(answer.callee.system for answer in answers if answer.callee.system)
        told = history.for_model(
            exchange.conversation,
            prompt.names,
            system="\n\n".join(prompts),
            context=[*(answer.made.answer for answer in answers), *wording.not_called(left, self._most)],
            forget=self._forget,
        )
        exchange.rewrite(cleaned(told))
        return self.edges["answered"]

    async def _at_once(
        self, exchange: Exchange, prompt: Prompt, filled: Filled
    ) -> tuple[list[_Answer], Sequence[FilledCall]]:
        """Make all calls at the same time; the first in order that failed is what failed.

        Returns:
            The answers, and what was too much to be called.
        """
        calls, left = filled.calls[: self._most], filled.calls[self._most :]
        if len(calls) == 1:
            return [await self._one(exchange, calls[0])], left
        outcomes: list[_Answer | CallFailed | None] = [None] * len(calls)

        async def make(number: int, call: FilledCall) -> None:
            try:
                outcomes[number] = await self._one(exchange, call)
            except CallFailed as failed:
                outcomes[number] = failed

        async with trio.open_nursery() as nursery:
            for number, call in enumerate(calls):
                nursery.start_soon(make, number, call)
        answers: list[_Answer] = []
        for outcome in outcomes:
            if isinstance(outcome, CallFailed):
                raise outcome
            if outcome is not None:
                answers.append(outcome)
        return answers, left

    async def _steps(
        self, exchange: Exchange, prompt: Prompt, filled: Filled
    ) -> tuple[list[_Answer], Sequence[FilledCall]]:
        """Make calls one after the other; what is left is filled anew with each answer in the conversation.

        Returns:
            The answers, and what was too much to be called.
        """
        answers: list[_Answer] = []
        waiting = list(filled.calls)
        while waiting and len(answers) < self._most:
            answers.append(await self._one(exchange, waiting.pop(0)))
            if not waiting or prompt.filler is None:
                continue
            conversation = exchange.conversation
            known = state.turn([answer.made for answer in answers])
            grown = msgspec.structs.replace(conversation, messages=(*conversation.messages, *known))
            targets = tuple(dict.fromkeys(call.target for call in waiting))
            again = await prompt.filler.fill(exchange, grown, targets)
            if isinstance(again, Filled):
                waiting = list(again.calls)
            elif again is not None:
                return (
                    answers,
                    (),
                )  # something is missing that only the user knows: a model tells what there is
        return answers, waiting

    async def _one(self, exchange: Exchange, call: FilledCall) -> _Answer:
        callee = self._callees.get(call.target)
        if callee is None:
            raise CallFailed(
                500,
                "LogicError",
                f"the prompt target '{call.target}' cannot be called",
                "a prompt target was filled that cannot be called",
            )
        values = callee.call.values(call.values)
        try:
            request = callee.call.request(values)
        except Unfit as unfit:
            detail = f"the values for {call.target} make no request"
            raise CallFailed(400, "FunctionValidationError", str(unfit), detail) from unfit
        found = await self._sent(exchange, callee, request, request.body)
        arguments = Raw(_encode(values))
        made = Made(
            id=f"call_{trace.new_span_id()}",
            target=call.target,
            arguments=arguments,
            answer=wording.text_of(found),
        )
        return _Answer(callee, made, found)

    async def _sent(self, exchange: Exchange, callee: Callee, request: Request, body: bytes) -> Fetched:
        """Call; whatever is no success is a failure."""
        spec, service = callee.call.spec, callee.service
        named = {name for name, _ in callee.headers}
        headers = [*callee.headers, *([_JSON] if body and _JSON[0] not in named else [])]
        try:
            found = await service.call(
                spec.method,
                request.target,
                headers,
                body,
                timeout=self._timeout,
                retries=self._retries,
                conversation=_thread(exchange),
            )
        except UpstreamError as error:
            status = error.status_hint
            message = wording.application_error(service.name, request.path, status, str(error))
            raise CallFailed(
                status, "FunctionCallError", message, f"the call of {spec.name} failed: {error}"
            ) from error
        if not 200 <= found.status < 300:
            status = found.status if found.status >= 400 else 502
            message = wording.application_error(
                service.name, request.path, found.status, wording.text_of(found)
            )
            detail = f"the call of {spec.name} was answered with status {found.status}"
            raise CallFailed(status, "FunctionCallError", message, detail)
        return found


def _thread(exchange: Exchange) -> str:
    """What stays the same in a conversation: its id if it has one, or how it begins."""
    prompt = exchange.prompt
    if prompt is not None and prompt.key:
        return prompt.key
    messages = exchange.conversation.messages
    return next((one.text[:1000] for one in messages if one.role == "user"), "")


def _relay(exchange: Exchange, found: Sequence[Fetched]) -> None:
    """Give the client what services answered, as it came; several answers are a list if all of them are JSON."""
    content_type, body = found[0].content_type.encode("latin-1"), found[0].body
    if len(found) > 1:
        try:
            content_type = b"application/json"
            body = _encode([msgspec.json.decode(one.body, type=Raw) for one in found])
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            content_type, body = b"text/plain; charset=utf-8", "\n".join(map(wording.text_of, found)).encode()

    def tell(left: Sequence[Event]) -> None:
        said = "".join(event.text for event in left if isinstance(event, TextDelta))
        exchange.tell(200, content_type, said.encode("utf-8", "surrogateescape"), exchange.reply_headers)

    text = TextDelta(body.decode("utf-8", "surrogateescape"))
    passed(exchange, (text, Stopped("stop"), Finished()), tell)
