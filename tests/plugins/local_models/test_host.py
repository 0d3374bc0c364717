"""The host: one model for all who hold it, batches across requests, cancellation, and a queue with an end."""

import itertools
import sys
import weakref
from contextlib import asynccontextmanager

import numpy as np
import pytest
import trio
import trio.testing

from archflow_plugins.local_models import constrain, host
from archflow_plugins.local_models.chat_template import Turn
from archflow_plugins.local_models.generate import Generation
from archflow_plugins.local_models.host import Host, Overloaded
from archflow_plugins.local_models.sample import Sampling
from archflow_schema.errors import ArchflowError, ClientProtocolError
from local_world import CONTEXT, model, words

PATIENCE = 30


@asynccontextmanager
async def lane(kind="language_model"):
    found = await Host.current()
    held = await getattr(found, kind)(model("tiny-chat" if kind == "language_model" else "tiny-embed"))
    try:
        with trio.fail_after(PATIENCE):
            yield held
    finally:
        held.release()


def asking(text="hello", rule=None, **sampling):
    def make(opened, tell):
        return Generation(opened, opened.prompt([Turn("user", text)]), Sampling(**sampling), tell, rule)

    return make


async def text_of(stream):
    found = ""
    while pieces := await stream.next():
        found += "".join(one.text for one in pieces)
    return found


def endless():
    return constrain.json_schema({"type": "string", "minLength": 300}, words())


@pytest.mark.trio
async def test_there_is_one_host_and_one_lane_for_a_model():
    assert await Host.current() is await Host.current()
    async with lane() as first, lane() as second, lane("embedder") as other:
        assert first is second
        assert other is not first
        found = await Host.current()
        assert len(found.lanes) == 2
        assert found.memory == first.memory + other.memory > 0
        assert first.load_seconds > 0
    assert (await Host.current()).lanes == ()


@pytest.mark.trio
async def test_what_nobody_holds_is_let_go_of(monkeypatch):
    trimmed = []
    monkeypatch.setattr(host, "give_back", lambda: trimmed.append(True))
    async with lane() as chats, lane("embedder") as embeds:
        rule = endless()
        await text_of(await chats.generate(asking(rule=rule, max_tokens=400)))
        constrain.json_schema({"type": "integer"}, chats.model.words)
        left = [weakref.ref(one) for one in (chats.model, chats.model.words, embeds.embedder)]
    with trio.fail_after(PATIENCE):
        while len(trimmed) < 2:
            await trio.sleep(0.001)
    assert [one() for one in left] == [None, None, None]  # `chats` and `embeds` are still here


@pytest.mark.trio
async def test_a_library_that_was_uninstalled_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(ArchflowError, match=r"need the package ctranslate2, .* `pip install ctranslate2`"):
        async with lane("embedder"):
            pass


@pytest.mark.trio
async def test_what_it_costs_is_told():
    async with lane() as chats, lane("embedder") as embeds:
        await embeds.encode(["a", "b"])
        await embeds.encode(["a"])
        told = {(one.name, *one.labels): one.value for one in (*chats.numbers(), *embeds.numbers())}
        assert told == {
            ("bytes", "tiny-chat", "weights"): chats.memory, ("waiting", "tiny-chat"): 0,
            ("bytes", "tiny-embed", "weights"): embeds.embedder.memory, ("waiting", "tiny-embed"): 0,
            ("bytes", "tiny-embed", "vectors"): 2 * 64 * 4,
            ("lookups", "tiny-embed", "hit"): 1, ("lookups", "tiny-embed", "miss"): 2,
        }  # fmt: skip


@pytest.mark.trio
async def test_what_was_released_is_opened_again():
    async with lane() as first:
        pass
    async with lane() as second:
        assert second is not first
        with await second.generate(asking(max_tokens=3)) as stream:
            await text_of(stream)


@pytest.mark.trio
async def test_texts_that_come_together_share_a_batch(monkeypatch):
    sizes = []
    async with lane("embedder") as embeds:
        run = embeds._run

        async def watched(batch):
            sizes.append(len(batch))
            await run(batch)

        monkeypatch.setattr(embeds, "_run", watched)
        monkeypatch.setattr(host, "WINDOW", 0.05)
        found = {}

        async def ask(number):
            found[number] = await embeds.encode([f"word{number} hello"])

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(ask, number)
    assert sizes == [20]
    assert len(found) == 20


@pytest.mark.trio
async def test_vectors_are_those_of_the_embedder_and_are_remembered():
    texts = ["hello world", "unbelievable", "", "hello world"]
    async with lane("embedder") as embeds:
        found = await embeds.encode(texts)
        assert np.abs(found - embeds.embedder.encode(texts)).max() < 0.02
        assert embeds.remembered.misses == 4
        again = await embeds.encode(texts)
        assert (again[0] == found[3]).all() or (again[0] == found[0]).all()
        assert embeds.remembered.hits == 4
        assert embeds.memory == embeds.embedder.memory + 3 * 64 * 4
        assert [one.tokens for one in await embeds.embed(texts)] == list(
            map(len, embeds.embedder.tokenize(texts))
        )
        tokens = embeds.embedder.tokenize(["hello world"])
        assert np.abs(await embeds.encode_tokens(tokens) - found[:1]).max() < 0.02
        assert (await embeds.encode([])).shape == (0, 64)


@pytest.mark.trio
async def test_many_texts_go_a_part_at_a_time():
    texts = [f"word{n % 40} " * (n % 9 + 1) for n in range(300)]
    async with lane("embedder") as embeds:
        found = await embeds.encode(texts)
        assert found.shape == (300, 64)
        assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.trio
async def test_very_long_texts_are_cut_and_not_remembered():
    async with lane("embedder") as embeds:
        assert (await embeds.encode(["hello " * 20_000, "hello"])).shape == (2, 64)
        assert (embeds.remembered.hits, embeds.remembered.misses) == (0, 1)


@pytest.mark.trio
async def test_too_many_texts_are_refused(monkeypatch):
    monkeypatch.setattr(host, "TEXTS_WAITING", 3)
    async with lane("embedder") as embeds, trio.open_nursery() as nursery:
        nursery.start_soon(embeds.encode, ["a", "b", "c"])
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(Overloaded, match="has 3 texts waiting") as refused:
            await embeds.encode(["d"])
        assert refused.value.status_hint == 503
        assert refused.value.retry_after >= 1


@pytest.mark.trio
async def test_an_embedding_that_nobody_waits_for_leaves_the_queue():
    async with lane("embedder") as embeds:
        with trio.move_on_after(0):
            await embeds.encode(["hello"])
        assert embeds.waiting == 0
        assert (await embeds.encode(["hello"])).shape == (1, 64)


@pytest.mark.trio
async def test_a_model_that_fails_tells_who_waits(monkeypatch):
    async with lane("embedder") as embeds:

        def fail(*_):
            raise RuntimeError("no memory")

        monkeypatch.setattr(embeds.embedder, "run", fail)
        with pytest.raises(ArchflowError, match="tiny-embed failed: no memory"):
            await embeds.encode(["hello"])
    async with lane() as chats:
        monkeypatch.setattr(chats.model, "run", fail)
        stream = await chats.generate(asking(max_tokens=3))
        with stream, pytest.raises(ArchflowError, match="tiny-chat failed: no memory"):
            await stream.next()


@pytest.mark.trio
async def test_a_text_comes_in_pieces():
    async with lane() as chats:
        with await chats.generate(asking(rule=endless(), max_tokens=400)) as stream:
            first = await stream.next()
            assert first
            rest = await text_of(stream)
            assert stream.generation.reason in {"stop", "length"}
        assert "".join(one.text for one in first) + rest == words().text(stream.generation.tokens)


@pytest.mark.trio
async def test_many_at_once_give_what_each_gives_alone():
    sorts = [
        {"max_tokens": 5 + n % 4, "text": "hello" * (n % 3), "seed": 3 if n % 5 == 0 else None}
        for n in range(24)
    ]
    async with lane() as chats:
        alone = []
        for sort in sorts[:6]:
            with await chats.generate(asking(**sort)) as stream:
                alone.append(await text_of(stream))
        found = {}

        async def ask(number):
            with await chats.generate(asking(**sorts[number])) as stream:
                found[number] = await text_of(stream)

        async with trio.open_nursery() as nursery:
            for number in range(24):
                nursery.start_soon(ask, number)
        assert len(found) == 24
        seeded = [n for n in range(6) if sorts[n]["seed"] is not None]
        assert [found[n] for n in seeded] == [alone[n] for n in seeded]


@pytest.mark.trio
async def test_who_leaves_ends_the_generation():
    async with lane() as chats:
        with await chats.generate(asking(rule=endless(), max_tokens=400)) as stream:
            await stream.next()
        while not stream.generation.reason:
            await trio.sleep(0.001)
        assert stream.generation.reason == "cancelled" or len(stream.generation.tokens) > 300


@pytest.mark.trio
async def test_who_leaves_the_queue_never_runs():
    async with lane() as chats:
        with await chats.generate(asking(rule=endless(), max_tokens=400)) as running:
            await running.next()
            with await chats.generate(asking(max_tokens=400, temperature=1.0)) as waiting:
                pass
            assert waiting not in chats._queue
        assert waiting.generation.cancelled


@pytest.mark.trio
async def test_a_full_queue_refuses_with_a_time_to_come_back(monkeypatch):
    monkeypatch.setattr(host, "GENERATIONS_WAITING", 0)
    async with lane() as chats:
        with pytest.raises(Overloaded, match="try again") as refused:
            await chats.generate(asking(max_tokens=3))
        assert refused.value.retry_after >= 1


@pytest.mark.trio
async def test_tokens_are_counted(monkeypatch):
    async with lane() as chats:
        turns = [Turn("user", "hello")]
        assert await chats.count(9, lambda model: model.counts(turns)) == len(chats.model.prompt(turns))
        with pytest.raises(ZeroDivisionError):
            await chats.count(9, lambda _: 1 // 0)
        assert chats._counting == 0
        monkeypatch.setattr(host, "BYTES_COUNTED", 8)
        assert await chats.count(9, lambda _: [1, 2]) == 3  # alone it may be of any size


@pytest.mark.trio
async def test_nobody_waits_for_who_counts_but_who_counts(monkeypatch):
    go, begun = trio.Event(), []

    def counts(_):
        trio.from_thread.run_sync(begun.append, len(begun))
        trio.from_thread.run(go.wait)
        return [1]

    async with lane() as chats, lane("embedder") as embeds, trio.open_nursery() as nursery:
        for _ in range(chats._host.threads + 3):
            nursery.start_soon(chats.count, 10, counts)
        await trio.testing.wait_all_tasks_blocked(0.01)
        with await chats.generate(asking(max_tokens=3)) as stream:
            await text_of(stream)
        assert len(await embeds.encode(["a text"])) == 1
        assert begun == [0]
        monkeypatch.setattr(host, "BYTES_COUNTED", 40)
        with pytest.raises(Overloaded, match=f"has {chats._counting} bytes to count: try again") as refused:
            await chats.count(10, counts)
        assert refused.value.retry_after >= 1
        go.set()


@pytest.mark.trio
async def test_what_nobody_waits_for_is_not_counted_to_its_end():
    async with lane() as chats:
        leaving = trio.CancelScope()

        def counts(_):
            trio.from_thread.run_sync(leaving.cancel)
            return itertools.repeat(1, 1_000_000)

        with leaving:
            await chats.count(1, counts)
        assert leaving.cancelled_caught
        assert chats._counting == 0
        assert await chats.count(1, lambda _: [1]) == 1


@pytest.mark.trio
async def test_requests_that_come_at_once_are_counted_before_they_are_prepared(monkeypatch):
    monkeypatch.setattr(host, "GENERATIONS_WAITING", 3)
    outcomes = []
    async with lane() as chats:

        async def ask():
            try:
                with await chats.generate(asking(max_tokens=2)) as stream:
                    await text_of(stream)
                    outcomes.append("done")
            except Overloaded:
                outcomes.append("refused")

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(ask)
        assert sorted(outcomes) == ["done"] * 3 + ["refused"] * 7
        assert chats._preparing == 0


@pytest.mark.trio
async def test_the_time_to_come_back_follows_how_fast_it_goes():
    async with lane() as chats:
        chats._preparing, chats._pace = 40, 0.5
        slow = chats._patience()
        chats._pace = 0.1
        assert chats._patience() < slow
        with await chats.generate(asking(max_tokens=2)) as stream:
            chats._preparing = 0
            await text_of(stream)
        while chats._pace == 0.1:  # it is noted when the batch is over
            await trio.sleep(0)


@pytest.mark.trio
async def test_what_cannot_be_made_is_told():
    async with lane() as chats:
        with pytest.raises(ClientProtocolError, match="shorten it"):
            await chats.generate(asking("x" * 2 * CONTEXT))


@pytest.mark.trio
async def test_a_newcomer_does_not_wait_for_a_long_text_to_end(monkeypatch):
    monkeypatch.setattr(host, "SLICE", 0.0)
    async with lane() as chats:
        with await chats.generate(asking(rule=endless(), max_tokens=400)) as long:
            await long.next()
            with await chats.generate(asking(rule=endless(), max_tokens=303)) as short:
                await short.next()
            assert not long.generation.reason
            await text_of(long)
        assert long.generation.reason in {"stop", "length"}


@pytest.mark.trio
async def test_scores_go_through_the_host():
    async with lane() as chats:
        found = await chats.score(words().encode("hello "), [words().encode("world")])
        assert len(found[0]) == len(words().encode("world"))


def test_a_run_that_ends_with_a_model_at_work_does_not_wait_for_it():
    async def main():
        found = await Host.current()
        chats = await found.language_model(model("tiny-chat"))
        stream = await chats.generate(asking(rule=endless(), max_tokens=400))
        await stream.next()
        generations.append(stream.generation)

    generations = []
    trio.run(main)
    assert len(generations[0].tokens) < 400
