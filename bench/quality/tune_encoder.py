"""Tune the jailbreak guard's encoder: the default embedder with low-rank corrections to its matrices, on CPU.

    python -m venv tune && . tune/bin/activate && pip install -e . torch==2.13.0 pyarrow pyyaml scipy scikit-learn
    python bench/quality/tune_encoder.py [--out FOLDER] [--all] [--seed 0]     # an hour of a core
    python bench/quality/mean_encoder.py FOLDER... --out FOLDER

torch is needed here only. The base stays as the catalogue has it; what is learned is for each matrix W of a layer a
product of two thin ones, `up @ down`, which conversion adds to W. A small network over the mean of the tokens is
learned beside it; `train_jailbreak.py` takes it from there.

A long attack has windows that are innocent by themselves. So up to three of its windows are judged together, and what
is learned is that the most suspicious of them is one; every window of an innocent text is innocent.

Several runs make one encoder, their mean. What their scores are worth is told by others that
were held out: an eighth of the texts (`rows.is_held`), which only runs with `--all` learn from.

Rule: no text of a test split is read but to remove what is near it.
Rule: the same data, versions and seed give the same corrections, up to the order of additions in the linear algebra.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import sets
import torch
from rows import Rows, rows_of
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from archflow_plugins.local_models.cache import Cache
from archflow_plugins.local_models.catalogue import find
from archflow_plugins.local_models.convert.adapter import pack
from archflow_plugins.local_models.convert.onnx import Onnx
from archflow_plugins.local_models.sources import fetch
from archflow_plugins.local_models.tokens import clean

OUT = Path("jailbreak_encoder")
MATRICES = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
SPREAD = math.sqrt(384)
"""Vectors of length 1 are multiplied by this before the network, so that their numbers are about 1."""
EASY = (
    "chitchat",
    "chatterbot",
    "home assistant",
    "sympy",
    "issues",
    "inspect-evals",
    "Django",
    "HealthBench",
)
"""Sources of which an epoch sees a part, by `--easy`: hardly any of their texts is above 0 after the first."""
WEIGHTS = (
    {"neuralchemy": 2.5, "pyrit": 2.0}
    | dict.fromkeys(("BFCL", "own templates", "tau2", "IFEval", "IFBench", "Arena", "evals"), 1.5)
    | {"spikee attacks": 0.5, "own personas": 0.6}
)
"""How much texts of a source count, by the beginning of its name; roles by `--roles`, 1 where it is not here."""
ROLES = ("prompts.chat", "ai-personas")
SHORT = 40
"""Tokens of a window below which another one may be put beside it."""
JOINED = 0.06
"""The share of short windows that get another, innocent one beside them, before or after."""
TOGETHER, INNOCENT = 3, 2
"""Windows of a long text that an epoch sees at most: of an attack, judged together, and of an innocent one."""
MOST = 64
"""Windows of a batch."""
LONG, CUT, GONE = 60, 0.35, 0.2
"""Tokens from which a window may lose sentences; how often it does; the share of them that it loses then."""
STOPS = frozenset({1012, 999, 1029})
"""The tokens of full stop, exclamation and question mark."""
MASK, MASKED = 103, 0.5
"""The token that hides another, and how often a window has some hidden."""
SMOOTH = 0.02
DROP = 0.1
NORM = 24.0
"""What a batch's weighted losses are divided by."""


class Options(msgspec.Struct, frozen=True):
    """What can be chosen."""

    out: Path
    rank: int
    epochs: int
    tokens: int
    rate: float
    hidden: int
    easy: float
    roles: float
    mask: float
    seed: int
    all: bool


class Corrected(nn.Module):
    """A matrix and bias that stay, and the thin pair that learns."""

    def __init__(self, weight: Tensor, bias: Tensor, rank: int) -> None:
        super().__init__()
        self.register_buffer("weight", weight.bfloat16())
        self.register_buffer("bias", bias)
        self.down = nn.Parameter(torch.randn(rank, weight.shape[1]) / math.sqrt(weight.shape[1]))
        self.up = nn.Parameter(torch.zeros(weight.shape[0], rank))

    def forward(self, states: Tensor) -> Tensor:
        return functional.linear(states, self.weight, self.bias) + functional.linear(
            functional.linear(states, self.down), self.up
        )


class Encoder(nn.Module):
    """BERT over the base's tensors, and the network over its pooled states."""

    def __init__(self, tensors: dict[str, Tensor], rank: int, hidden: int, heads: int = 12) -> None:
        super().__init__()
        self._tensors, self._heads = tensors, heads
        number = 1 + max(int(name.split(".")[2]) for name in tensors if name.startswith("encoder.layer."))
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    part.replace(".", "_"): Corrected(
                        tensors[f"encoder.layer.{layer}.{part}.weight"],
                        tensors[f"encoder.layer.{layer}.{part}.bias"],
                        rank,
                    )
                    for part in MATRICES
                }
            )
            for layer in range(number)
        )
        self.first = nn.Linear(384, hidden)
        self.second = nn.Linear(hidden, 1)

    def pooled(self, ids: Tensor, there: Tensor) -> Tensor:
        """A vector of length 1 for each row of tokens."""
        mask = None if bool(there.all()) else there[:, None, None, :].bool()
        with torch.no_grad():
            states = self._tensors["embeddings.word_embeddings.weight"][ids]
            states = states + self._tensors["embeddings.position_embeddings.weight"][: ids.shape[1]]
            states = self._norm(
                states + self._tensors["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm"
            )
        for number in range(len(self.layers)):
            states = self._layer(states, number, mask)
        states = states.float()
        return functional.normalize((states * there[:, :, None]).sum(1) / there.sum(1, keepdim=True), dim=1)

    def forward(self, ids: Tensor, there: Tensor) -> Tensor:
        hidden = functional.relu(self.first(self.pooled(ids, there) * SPREAD))
        return self.second(functional.dropout(hidden, DROP, self.training))[:, 0].float()

    def _layer(self, states: Tensor, number: int, mask: Tensor | None) -> Tensor:
        rows, length, _ = states.shape
        layer = self.layers[number]
        query, key, value = (
            layer[part.replace(".", "_")](states).view(rows, length, self._heads, -1).transpose(1, 2)
            for part in MATRICES[:3]
        )
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        seen = layer["attention_output_dense"](seen.transpose(1, 2).reshape(rows, length, -1))
        states = self._norm(
            states + functional.dropout(seen, DROP, self.training),
            f"encoder.layer.{number}.attention.output.LayerNorm",
        )
        inner = layer["output_dense"](functional.gelu(layer["intermediate_dense"](states)))
        return self._norm(
            states + functional.dropout(inner, DROP, self.training),
            f"encoder.layer.{number}.output.LayerNorm",
        )

    def _norm(self, states: Tensor, name: str) -> Tensor:
        weight, bias = self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]
        return functional.layer_norm(states, states.shape[-1:], weight, bias, 1e-12)


def base() -> dict[str, Tensor]:
    """The tensors of the default embedder, without their common prefix."""
    found = fetch(find("minilm"), Cache().folder / "sources", lambda _: None)
    with Onnx(found.path) as weights:
        names = [name for name in weights.tensors if name.endswith((".weight", ".bias"))]
        return {name.removeprefix("inner."): torch.from_numpy(weights.tensors[name].all()) for name in names}


def tokens_of(rows: Rows) -> list[list[int]]:
    """The tokens of each window, as many as the embedder takes."""
    model = Cache().ensure(find("minilm"))
    tokenizer = Tokenizer.from_file(str(model.folder / "tokenizer.json"))
    tokenizer.enable_truncation(model.entry.limits.max_tokens)
    return [one.ids for one in tokenizer.encode_batch([clean(piece) for piece in rows.pieces])]


class Unit(msgspec.Struct, frozen=True):
    """Windows of one text that are judged together."""

    text: int
    windows: list[int]


class Feed:
    """Batches of windows of about the same length."""

    def __init__(self, rows: Rows, options: Options) -> None:
        self.rows, self.options, self.ids = rows, options, tokens_of(rows)
        self.rng = np.random.default_rng(options.seed)
        self.lengths = np.array([len(one) for one in self.ids])
        ends = np.cumsum(np.bincount(rows.text))
        self.windows = np.split(np.arange(len(rows.text)), ends[:-1])
        self.learned = np.arange(len(rows.labels)) if options.all else np.flatnonzero(~rows.held)
        self.easy = np.array([one.startswith(EASY) for one in rows.sources])
        self.innocent = [
            own[0]
            for own, label, held in zip(self.windows, rows.labels, rows.held, strict=True)
            if not label and (options.all or not held) and len(own) == 1 and self.lengths[own[0]] < SHORT
        ]
        self.weights = np.ones(len(rows.labels), np.float32)
        for name, weight in [*WEIGHTS.items(), *((name, options.roles) for name in ROLES)]:
            self.weights[np.char.startswith(rows.sources, name)] = weight
        self.targets = (rows.targets * (1 - 2 * SMOOTH) + SMOOTH).astype(np.float32)

    def epoch(self) -> list[list[Unit]]:
        """The batches of one epoch, shuffled."""
        units: list[Unit] = []
        for text in self.learned:
            if self.easy[text] and self.rng.random() > self.options.easy:
                continue
            own, attack = self.windows[text], self.rows.labels[text] == 1
            drawn = self.rng.choice(
                own, min(len(own), TOGETHER if attack else INNOCENT), replace=False
            ).tolist()
            units += [Unit(text, drawn)] if attack else [Unit(text, [one]) for one in drawn]
        longest = np.array([self.lengths[one.windows].max() for one in units])
        order = np.argsort(longest * (1 + 0.15 * self.rng.random(len(units))), kind="stable")
        batches = list(self._split([units[at] for at in order]))
        self.rng.shuffle(batches)  # type: ignore[arg-type]
        return batches

    def _split(self, units: list[Unit]) -> Iterator[list[Unit]]:
        batch: list[Unit] = []
        number = 0
        for unit in units:
            more = number + len(unit.windows)
            if batch and (more * self.lengths[unit.windows].max() > self.options.tokens or more > MOST):
                yield batch
                batch, more = [], len(unit.windows)
            batch.append(unit)
            number = more
        if batch:
            yield batch

    def varied(self, tokens: list[int]) -> list[int]:
        """A window as it is, or with another beside it, without some sentences, or with tokens hidden."""
        if len(tokens) < SHORT and self.rng.random() < JOINED:
            other = self.ids[self.rng.choice(self.innocent)]
            first, second = (tokens, other) if self.rng.random() < 0.5 else (other, tokens)
            tokens = [*first[:-1], *second[1:]]
        if len(tokens) > LONG and self.rng.random() < CUT:
            tokens = self._shortened(tokens)
        if len(tokens) > 6 and self.rng.random() < MASKED:
            hidden = self.rng.random(len(tokens)) < self.options.mask
            hidden[0] = hidden[-1] = False
            tokens = [MASK if hide else one for one, hide in zip(tokens, hidden, strict=True)]
        return tokens

    def _shortened(self, tokens: list[int]) -> list[int]:
        kept, sentence = tokens[:1], list[int]()
        for one in tokens[1:-1]:
            sentence.append(one)
            if one in STOPS:
                kept += sentence if self.rng.random() > GONE else []
                sentence = []
        kept += [*sentence, tokens[-1]]
        return kept if len(kept) > 20 else tokens


def tensors(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Tokens, and where they are."""
    ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
    there = np.zeros(ids.shape, np.float32)
    for at, one in enumerate(rows):
        ids[at, : len(one)] = one
        there[at, : len(one)] = 1
    return torch.from_numpy(ids), torch.from_numpy(there)


def together(logits: Tensor, units: Tensor, number: int) -> Tensor:
    """One logit for each unit: near the highest of its windows', and what each says where they all say the same."""
    highest = torch.full((number,), -math.inf).scatter_reduce(0, units, logits.detach(), "amax")
    powers = torch.zeros(number).index_add_(0, units, torch.exp(logits - highest[units]))
    counts = torch.zeros(number).index_add_(0, units, torch.ones(len(units)))
    return highest + torch.log(powers / counts)


def tune(rows: Rows, options: Options) -> None:
    """Learn, and write after each epoch the running mean of the corrections of the last steps."""
    feed = Feed(rows, options)
    torch.manual_seed(
        0
    )  # all runs begin alike, or their mean would be none of them; the seed orders what they see
    model = Encoder(base(), options.rank, options.hidden)
    learning = list(model.named_parameters())
    groups = [
        {"params": [one for name, one in learning if name.startswith("layers.")], "top": options.rate},
        {"params": [*model.first.parameters(), *model.second.parameters()], "top": 2e-3},
    ]
    optimiser = torch.optim.AdamW(groups, lr=options.rate, betas=(0.9, 0.98), weight_decay=0.01)
    mean = {name: one.detach().clone() for name, one in learning}
    batches, step, began = feed.epoch(), 0, time.monotonic()
    total = options.epochs * len(batches)
    model.train()
    for epoch in range(options.epochs):
        for batch in batches:
            progress = min(1.0, step / total)
            for group in optimiser.param_groups:
                cosine = 0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * progress))
                group["lr"] = group["top"] * min(1.0, progress / 0.06) * cosine
            _learn(model, feed, batch, optimiser)
            step += 1
            with torch.no_grad():
                for name, one in learning:
                    mean[name].lerp_(one, max(0.005, 1 / (step / 4 + 1)))
            if step % 100 == 0:
                print(
                    f"{time.monotonic() - began:6.0f} s  step {step} of {total}", file=sys.stderr, flush=True
                )
        live = {name: one.detach().clone() for name, one in learning}
        _set(model, mean)
        write(model, options)
        _set(model, live)
        print(f"epoch {epoch + 1} is written, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        batches = feed.epoch()


def _learn(model: Encoder, feed: Feed, batch: list[Unit], optimiser: torch.optim.Optimizer) -> None:
    """One step."""
    rows = [feed.varied(feed.ids[window]) for unit in batch for window in unit.windows]
    units = torch.tensor([place for place, unit in enumerate(batch) for _ in unit.windows])
    texts = [unit.text for unit in batch]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        said = model(*tensors(rows))
    each = functional.binary_cross_entropy_with_logits(
        together(said, units, len(batch)), torch.from_numpy(feed.targets[texts]), reduction="none"
    )
    loss = (each * torch.from_numpy(feed.weights[texts])).sum() / NORM
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()


def _set(model: Encoder, values: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, one in model.named_parameters():
            one.copy_(values[name])


def write(model: Encoder, options: Options) -> None:
    """The corrections by the names of the matrices in 8 bits, and the network in 16, each as an npz."""
    options.out.mkdir(parents=True, exist_ok=True)
    pairs = {
        f"encoder.layer.{number}.{part}.weight": tuple(
            one.detach().numpy()
            for one in (layer[part.replace(".", "_")].up, layer[part.replace(".", "_")].down)
        )
        for number, layer in enumerate(model.layers)
        for part in MATRICES
    }
    (options.out / "adapter.npz").write_bytes(pack(pairs))
    np.savez(
        options.out / "network.npz",
        first=(model.first.weight.detach().numpy().T * SPREAD).astype(np.float16)[None],
        first_bias=model.first.bias.detach().numpy().astype(np.float16)[None],
        second=model.second.weight.detach().numpy().astype(np.float16),
        second_bias=model.second.bias.detach().numpy().astype(np.float32),
    )


def main() -> None:
    """Tune and write."""
    parser = argparse.ArgumentParser(description="Tune the encoder of the jailbreak guard.")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--rank", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=2048, help="of a batch")
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--easy", type=float, default=0.3, help="the share of easy sources in an epoch")
    parser.add_argument("--roles", type=float, default=0.6, help="how much a role that people play counts")
    parser.add_argument("--mask", type=float, default=0.1, help="the share of tokens hidden where some are")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--all", action="store_true", help="learn from what is held out, too")
    options = Options(**vars(parser.parse_args()))
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    data, lost = sets.apart([*sets.load(), sets.sharegpt()])
    rows = rows_of([one for one in data if one.split != "test"])
    print(
        f"{len(rows.held)} texts, of which {0 if options.all else rows.held.sum()} are held out, "
        f"{len(rows.pieces)} windows; "
        f"{sum(lost.values())} near others removed",
        file=sys.stderr,
        flush=True,
    )
    tune(rows, options)


if __name__ == "__main__":
    main()
