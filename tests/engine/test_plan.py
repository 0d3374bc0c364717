"""What a plan does with exchanges that are over: counted exactly, told of early enough, and read late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archflow_engine import plan as plans
from archflow_engine.hub import Hub
from archflow_engine.metrics import REQUESTS, TOKENS, Metrics
from archflow_engine.plan import Plan
from archflow_plugins.dialects.openai_chat import OpenAIChat
from archflow_plugins.kinds import Dialect, Empty, Tracer
from archflow_plugins.testing import record, run_context
from archflow_schema.graph import Graph
from peers import reply
from playbook import playing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archflow_plugins.record import Record


class Prompt(Tracer):
    """Wants to hear of each at once."""

    kind = "tracer.prompt"

    def __init__(self) -> None:
        super().__init__(Empty(), run_context())
        self.told: list[int] = []

    def finish(self, record: Record) -> None:
        self.told.append(1)


class Patient(Prompt):
    """Can wait."""

    kind = "tracer.patient"

    def finish_all(self, records: Sequence[Record]) -> None:
        self.told.append(len(records))


class Confused(OpenAIChat):
    """Understands no reply."""

    kind = "dialect.confused"

    def summarise(self, body: bytes) -> object:  # type: ignore[override]
        raise RuntimeError(body)


@pytest.fixture
def troubles() -> list[BaseException]:
    return []


@pytest.fixture
def plan(troubles: list[BaseException]) -> Plan:
    return Plan(Graph("a.yaml", (), (), ()), "d", Hub(troubles.append), Metrics())


def over(plan: Plan, dialect: Dialect, body: bytes) -> Record:
    """An exchange that ends with this reply."""
    plan.live += 1
    ended = record()
    plan.unread.append((dialect, body, ended))
    plan.finished(ended)
    return ended


SAID = (
    b'{"id":"c","model":"m","usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7},"choices":[]}'
)


def test_who_can_wait_is_told_of_many_together(plan: Plan) -> None:
    patient = Patient()
    plan.trace_with((patient,))
    chat = OpenAIChat(Empty(), run_context())
    for _ in range(plans.BATCH + 1):
        ended = over(plan, chat, SAID)
    assert patient.told == [plans.BATCH]
    assert len(plan.unread) == 1
    assert ended.usage is None
    plan.flush()
    plan.flush()
    assert patient.told == [plans.BATCH, 1]
    assert ended.usage is not None
    assert (ended.usage.input_tokens, ended.usage.output_tokens, plan.live) == (3, 4, 0)
    values = plan.metrics.snapshot(()).values
    assert sum(values[REQUESTS.name].values()) == plans.BATCH + 1
    assert values[TOKENS.name]["openai/gpt-4o", "output"] == 4 * (plans.BATCH + 1)


def test_who_cannot_wait_is_told_at_once_and_the_others_with_it(plan: Plan) -> None:
    tracers = (Patient(), Prompt())
    plan.trace_with(tracers)
    ended = over(plan, OpenAIChat(Empty(), run_context()), SAID)
    assert [tracer.told for tracer in tracers] == [[1], [1]]
    assert ended.usage is not None


def test_a_dialect_that_fails_costs_its_own_reply(plan: Plan, troubles: list[BaseException]) -> None:
    patient = Patient()
    plan.trace_with((patient,))
    lost = [over(plan, Confused(Empty(), run_context()), SAID) for _ in range(2)]
    read = over(plan, OpenAIChat(Empty(), run_context()), SAID)
    plan.flush()
    assert [one.usage for one in lost] == [None, None]
    assert read.usage is not None
    assert patient.told == [3]
    assert len(troubles) == 1


@pytest.mark.trio
async def test_who_asks_for_the_numbers_gets_all_of_them() -> None:
    async with playing(tracers=()) as play:
        play.upstream.script = lambda _: reply(SAID)
        client = await play.client()
        for _ in range(3):
            assert (await client.talks()).status == 200
        assert 'archflow_tokens_total{model="m",kind="output"} 12' in play.metrics
