"""A language model of random weights: its texts end where they should and fit what they must, alone or in a batch."""

import gc

import numpy as np
import pytest
from msgspec import json

from archflow_plugins.local_models import constrain, generate
from archflow_plugins.local_models.chat_template import Turn
from archflow_plugins.local_models.generate import STEPS, Generation, LanguageModel
from archflow_plugins.local_models.sample import Sampling
from archflow_schema.errors import ArchflowError, ClientProtocolError
from local_world import CONTEXT, chat, model, words

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "tags": {"type": "array", "items": {"enum": ["x", "yy"]}, "maxItems": 3},
    },
    "required": ["name", "tags"],
}


def begin(text="hello", rule=None, **sampling):
    told = []
    generation = Generation(
        chat(), chat().prompt([Turn("user", text)]), Sampling(**sampling), told.append, rule
    )
    return generation, told


def finish(*args, **fields):
    generation, told = begin(*args, **fields)
    chat().generate(generation)
    return generation, "".join(one.text for one in told), [score for one in told for score in one.scores]


def test_it_ends_at_its_limit():
    generation, text, _ = finish(max_tokens=7)
    assert generation.reason == "length"
    assert len(generation.tokens) == 7
    assert text == words().text(generation.tokens)


def test_greedy_is_what_the_logits_say():
    generation, _, scores = finish(max_tokens=6, logprobs=1)
    tokens = list(generation.prompt)
    generator = chat()._generator
    for score in scores:
        logits = np.array(generator.forward_batch([words().name_all(tokens)]))[0, -1]
        norm = np.log(np.exp(logits - logits.max()).sum()) + logits.max()
        assert score.logprob == pytest.approx(float(logits[score.token] - norm), abs=0.02)
        assert score.best[0][1] >= score.logprob - 1e-6
        tokens.append(score.token)


def test_asking_for_logprobs_does_not_change_the_text():
    assert finish(max_tokens=20)[1] == finish(max_tokens=20, logprobs=0)[1]


def endless():
    """A rule that lets nothing end early: random weights end a turn every few tokens."""
    return constrain.json_schema({"type": "string", "minLength": 150}, words())


def test_longer_than_a_run_that_keeps_logits():
    generation, _, scores = finish(rule=endless(), max_tokens=3 * STEPS, logprobs=0)
    assert STEPS < len(generation.tokens) <= 3 * STEPS
    assert [score.token for score in scores] == generation.tokens


def test_the_same_seed_gives_the_same_text():
    texts = {finish(max_tokens=12, temperature=1.0, seed=4)[1] for _ in range(3)}
    assert len(texts) == 1
    assert len({finish(max_tokens=12, temperature=1.0, seed=seed)[1] for seed in range(5)}) > 1


def test_without_a_seed_texts_differ():
    assert len({finish(max_tokens=12, temperature=1.5)[1] for _ in range(4)}) > 1


def test_stop_strings_end_the_text_before_them():
    whole = finish(rule=endless(), max_tokens=200)[1]
    stop = whole[50:53]
    generation, text, _ = finish(rule=endless(), max_tokens=200, stop=(stop,))
    assert generation.reason == "stop"
    assert text == whole[: whole.index(stop)]


@pytest.mark.parametrize("seed", [None, *range(6)])
@pytest.mark.parametrize("limit", [11, 20, 60])
def test_json_is_valid_whatever_the_weights_say(seed, limit):
    rule = constrain.json_schema(SCHEMA, words())
    fields = {} if seed is None else {"temperature": 1.0, "seed": seed}
    generation, text, _ = finish(rule=rule, max_tokens=max(limit, 22), **fields)
    value = json.decode(text)
    assert set(value) == {"name", "tags"}
    assert len(value["tags"]) <= 3
    assert len(generation.tokens) <= max(limit, 22)
    assert text == words().text(generation.tokens)


def test_unseeded_sampling_is_constrained_too():
    for _ in range(5):
        assert finish(rule=constrain.choices(["hello", "world"], words()), temperature=2.0)[1] in {
            "hello",
            "world",
        }


def test_a_choice_ends_by_itself():
    generation, text, _ = finish(rule=constrain.choices(["hello", "help"], words()))
    assert generation.reason == "stop"
    assert text in {"hello", "help"}


def test_what_is_decided_is_written_without_asking():
    generation, told = begin(rule=constrain.choices(["only this"], words()))
    assert generation.reason == "stop"
    assert "".join(one.text for one in told) == "only this"


def test_a_tight_limit_gets_the_shortest_text():
    rule = constrain.choices(["hello"], words())
    generation, told = begin(rule=rule, max_tokens=1)
    assert "".join(one.text for one in told) == "hello"
    assert generation.reason


LONG_NAMES = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("hello_world", "world_hello", "hello")},
    "required": ["hello_world", "world_hello", "hello"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("more", [0, 1, 2, 4, 7])
def test_a_limit_below_the_bytes_of_the_shortest_text_is_used(seed, more):
    """Names of members are few tokens and many bytes: what is left of the limit belongs to the values."""
    rule = constrain.json_schema(LONG_NAMES, words())
    shortest = rule.begin().closing()
    least = len(words().encode_bytes(shortest))
    limit = least + more
    assert limit < len(shortest)
    generation, text, _ = finish(rule=rule, max_tokens=limit, temperature=1.0, seed=seed)
    assert set(json.decode(text)) == set(LONG_NAMES["properties"])
    assert len(generation.tokens) <= limit
    if more:
        assert len(text) > len(shortest)
    else:
        assert (text, generation.reason) == (shortest.decode(), "length")
    assert text == words().text(generation.tokens)


def test_a_shortest_text_that_is_too_long_to_be_counted_is_written_at_once(monkeypatch):
    monkeypatch.setattr(generate, "CLOSING_AT_MOST", 20)
    rule = constrain.json_schema(LONG_NAMES, words())
    shortest = rule.begin().closing()
    generation, told = begin(rule=rule, max_tokens=len(shortest) - 1)
    assert generation.reason == "length"
    assert "".join(one.text for one in told) == shortest.decode()


def test_a_limit_that_no_text_fits_is_refused():
    with pytest.raises(ClientProtocolError, match=r"no text that fits the format has room in 3 tokens"):
        begin(rule=constrain.json_schema(SCHEMA, words()), max_tokens=3)


def test_a_prompt_beyond_the_context_is_refused():
    with pytest.raises(ClientProtocolError, match=f"takes {CONTEXT} with its answer: shorten it"):
        begin("x" * 2 * CONTEXT)


def test_no_limit_means_the_context():
    generation, _ = begin()
    assert generation.limit == CONTEXT - len(generation.prompt)


def test_cancelling_ends_it_at_its_next_step():
    generation, _ = begin(rule=endless(), max_tokens=300)
    cut = []

    def interrupt():
        if len(generation.tokens) > 20 and not cut:
            cut.append(len(generation.tokens))
            generation.cancel()
        return False

    while not generation.reason:
        chat().run([generation], interrupt)
    assert generation.reason == "cancelled"
    assert [len(generation.tokens)] == cut


def test_an_interrupted_run_goes_on_where_it_was():
    whole = finish(rule=endless(), max_tokens=200)[1]
    generation, told = begin(rule=endless(), max_tokens=200)
    while not generation.reason:
        until = len(generation.tokens) + 5
        chat().run([generation], lambda until=until: len(generation.tokens) >= until)
        assert generation.reason or len(generation.tokens) <= until
    assert "".join(one.text for one in told) == whole


def test_a_batch_of_all_sorts_gives_what_each_gives_alone():
    rule = constrain.json_schema(SCHEMA, words())
    sorts = [
        {"text": "hello", "max_tokens": 9}, {"text": "a longer one, hello world", "max_tokens": 14, "logprobs": 1},
        {"text": "hello", "max_tokens": 30, "rule": rule}, {"text": "x", "max_tokens": 5, "logprobs": 0},
    ]  # fmt: skip
    alone = [finish(**one)[1] for one in sorts]
    batch = [begin(**one) for one in sorts]
    while any(not generation.reason for generation, _ in batch):
        chat().run([generation for generation, _ in batch])
    together = ["".join(one.text for one in told) for _, told in batch]
    assert together[2].startswith('{"name":')
    json.decode(together[2])
    assert [together[0], together[1], together[3]] == [alone[0], alone[1], alone[3]]
    scores = [score for one in batch[1][1] for score in one.scores]
    assert [score.token for score in scores] == batch[1][0].tokens


def test_what_the_models_own_thread_keeps_of_a_run_does_not_lead_to_the_model(monkeypatch):
    kept = []

    class Told(generate._Told):
        def __init__(self, *args):
            super().__init__(*args)
            kept.append(self)

    monkeypatch.setattr(generate, "_Told", Told)
    generation, _, _ = finish(max_tokens=4, logprobs=1)
    assert kept
    held = {id(one) for told in kept for one in gc.get_referents(told.__dict__, told._batch, told._rows)}
    assert id(generation) not in held


def test_scores_of_given_texts():
    prompt = words().encode("hello ")
    texts = [words().encode("world"), words().encode("hello hello")]
    found = chat().score(prompt, texts)
    assert [len(one) for one in found] == [len(one) for one in texts]
    tokens = prompt + texts[1]
    logits = np.array(chat()._generator.forward_batch([words().name_all(tokens)]))[0]
    for at, (value, token) in enumerate(zip(found[1], texts[1], strict=True), len(prompt) - 1):
        row = logits[at] - logits[at].max()
        assert value == pytest.approx(float(row[token] - np.log(np.exp(row).sum())), abs=0.02)


def test_scoring_nothing_is_refused():
    with pytest.raises(ArchflowError, match=f"must have from 1 to {CONTEXT} tokens"):
        chat().score([1], [[]])
    assert chat().score([1], []) == []


def test_a_folder_that_is_no_model_says_so(tmp_path):
    for file in model("tiny-chat").folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes() if file.name != "model.bin" else b"no model")
    broken = type("Broken", (), {"folder": tmp_path, "entry": model("tiny-chat").entry})()
    with pytest.raises(ArchflowError, match="archc models verify tiny-chat"):
        LanguageModel(broken)


def test_memory_is_counted():
    assert chat().memory == (model("tiny-chat").folder / "model.bin").stat().st_size
