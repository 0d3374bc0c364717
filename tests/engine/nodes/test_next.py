"""What happens when the upstream of the best model refuses: the next of its route, with nothing left of the first."""

from __future__ import annotations

import pytest

from archflow_schema.graph import Quota
from peers import Asked, reply
from playbook import QUOTAS, RED
from routed import Three, chooses, said

pytestmark = pytest.mark.trio
ROUTES = {"code": ("coder", "writer", "plain")}
MESSAGES = "/v1/messages"


async def test_the_next_model_of_the_route_answers() -> None:
    three = Three(routes=ROUTES)
    async with three as play:
        chooses(play, "code")
        three.upstreams[0].close()
        answer = await (await play.client()).talks(said())
        assert (answer.status, three.counts) == (200, [0, 1, 0])
        assert three.asked[1][0].json["model"] == "writer-upstream"
        assert answer.header("x-arch-model") == "writer"
        record = await play.record()
        assert (record.model, record.reason, record.decisions[0].model) == (
            "writer",
            "next of route",
            "writer",
        )
        assert [attempt.outcome for attempt in record.attempts] == ["refused", "streaming"]


async def test_it_ends_where_the_graph_ends() -> None:
    three = Three(routes=ROUTES)
    async with three as play:
        chooses(play, "code")
        three.upstreams[0].close()
        three.upstreams[1].close()
        answer = await (await play.client()).talks(said())
        assert (answer.status, answer.code, three.counts) == (502, "upstream_refused", [0, 0, 0])


async def test_a_route_of_one_model_has_no_next() -> None:
    three = Three()
    async with three as play:
        chooses(play, "code")
        three.upstreams[0].close()
        answer = await (await play.client()).talks(said())
        assert (answer.status, answer.code, three.counts) == (502, "upstream_refused", [0, 0, 0])


async def test_a_model_that_was_named_has_no_next() -> None:
    three = Three(routes=ROUTES)
    async with three as play:
        three.upstreams[0].close()
        assert (await (await play.client()).talks(said("coder"))).code == "upstream_refused"


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
async def test_an_error_of_the_model_is_its_answer(status: int) -> None:
    three = Three(routes=ROUTES)

    def fail(_: Asked) -> bytes:
        return reply({"error": {"message": "busy"}}, status=status, headers=("retry-after: 7",))

    async with three as play:
        chooses(play, "code")
        three.upstreams[0].script = fail
        answer = await (await play.client()).talks(said())
        assert (answer.status, answer.header("retry-after"), answer.header("x-arch-model")) == (
            status,
            "7",
            "coder",
        )
        assert three.counts[1:] == [0, 0]
        record = await play.record()
        assert [(attempt.provider, attempt.status) for attempt in record.attempts] == [("openai", status)]


async def test_what_was_left_out_for_the_first_is_told_once() -> None:
    three = Three(routes=ROUTES)
    async with three as play:
        chooses(play, "code")
        three.upstreams[0].close()
        asked = {**said(), "max_tokens": 5, "top_k": 3}
        await (await play.client()).ask(asked, path=MESSAGES)
        client = await play.client()
        answer = await client.talks(asked, path=MESSAGES)
        assert answer.header("x-arch-dropped") == "top_k"
        assert answer.header("x-arch-model") == "writer"
        assert three.counts[0] == 0


async def test_what_was_charged_for_the_first_is_given_back() -> None:
    three = Three(routes=ROUTES, quotas=(Quota("x-team", "red", 100, 60), *QUOTAS[1:]))
    async with three as play:
        chooses(play, "code")
        three.upstreams[0].close()
        client = await play.client()
        for _ in range(3):
            assert (await client.talks(said("none", "x" * 300), headers=RED)).status in {200, 429}
        stores = [kind for kind in play.plan.kinds if kind.kind == "store.memory"]
        assert sum(len(store) for store in stores) == 1  # type: ignore[arg-type]
