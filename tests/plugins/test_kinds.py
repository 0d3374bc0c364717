"""The kinds' defaults: what an author gets without writing it."""

import pytest
from msgspec import Struct

from archflow_plugins.kinds import (
    KINDS,
    Admission,
    Empty,
    Guard,
    Kind,
    Store,
    Verdict,
    compiled_type,
    family_of,
    kind_names,
)
from archflow_plugins.registry import Registry
from archflow_plugins.testing import compile_context, conversation, run_context


class Denying(Guard):
    kind = "guard.denying"

    def check_nowait(self, conversation):
        return Verdict(allow=False, message="no")


@pytest.mark.trio
async def test_a_kind_without_configuration():
    config = Empty()
    compiled = Denying.compile(config, compile_context())
    assert compiled is config
    guard = await Denying.open(compiled, run_context())
    assert guard.settings is compiled
    await guard.close()


@pytest.mark.trio
async def test_check_asks_check_nowait():
    guard = Denying(Empty(), run_context())
    assert await guard.check(conversation()) == Verdict(allow=False, message="no")


def test_a_guard_that_judges_nothing_says_so():
    with pytest.raises(NotImplementedError, match="Guard implements neither check_nowait nor check"):
        Guard(Empty(), run_context()).check_nowait(conversation())


@pytest.mark.trio
async def test_a_store_in_this_process_answers_the_waiting_calls_too():
    class Counting(Store):
        kind = "store.counting"
        settled = 0.0

        def charge_nowait(self, key, cost, capacity, period):
            return Admission(admitted=True, remaining=capacity - cost)

        def settle_nowait(self, key, difference, capacity, period):
            self.settled += difference

    store = Counting(Empty(), run_context())
    assert (await store.charge("k", 1, 10, 60)).remaining == 9
    await store.settle("k", -1, 10, 60)
    assert store.settled == -1


def test_families():
    assert [family_of(base) for base in KINDS.values()] == list(KINDS)
    assert family_of(Denying) == "guard"
    with pytest.raises(TypeError, match=r"Kind derives from no kind of archflow_plugins"):
        family_of(Kind)


def test_compiled_type():
    class Stored(Struct, frozen=True):
        pass

    assert compiled_type(Denying) is Empty
    assert compiled_type(type("A", (Denying,), {"compiled": Stored})) is Stored


def test_names_are_sorted():
    assert kind_names(list(Registry.load().family("dialect").values())[::-1]) == (
        "dialect.anthropic_count_tokens",
        "dialect.anthropic_messages",
        "dialect.bedrock_converse",
        "dialect.gemini",
        "dialect.openai_chat",
        "dialect.openai_completions",
        "dialect.openai_embeddings",
        "dialect.openai_responses",
    )


def test_an_unknown_key_is_refused_where_nothing_is_configured():
    assert Empty.__struct_config__.forbid_unknown_fields
