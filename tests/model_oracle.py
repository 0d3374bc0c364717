"""Tiny models with random weights, and what they answer: forward passes written out in numpy, float64, from the papers'
equations. They share nothing with the converters or with CTranslate2."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

Array = Any
"""Of numpy, any type and shape: tests compute in float64 and compare."""
Tensors = dict[str, Array]
ERF = np.vectorize(math.erf)
EPSILON = 1e-6


def draw(rng: np.random.Generator, *shape: int, spread: float = 0.15) -> Array:
    return rng.normal(0, spread, shape).astype(np.float32)


def near_one(rng: np.random.Generator, length: int) -> Array:
    return (1 + rng.normal(0, 0.1, length)).astype(np.float32)


# encoders


def encoder_weights(
    *,
    layers: int,
    hidden: int,
    inner: int,
    vocabulary: int,
    positions: int,
    types: int,
    prefix: str = "",
    seed: int = 0,
) -> Tensors:
    rng = np.random.default_rng(seed)
    found: Tensors = {
        "embeddings.word_embeddings.weight": draw(rng, vocabulary, hidden),
        "embeddings.position_embeddings.weight": draw(rng, positions, hidden),
        "embeddings.token_type_embeddings.weight": draw(rng, types, hidden),
        "embeddings.LayerNorm.weight": near_one(rng, hidden),
        "embeddings.LayerNorm.bias": draw(rng, hidden),
        "pooler.dense.weight": draw(rng, hidden, hidden),
        "pooler.dense.bias": draw(rng, hidden),
    }
    for n in range(layers):
        stem = f"encoder.layer.{n}."
        for part, rows, columns in (
            ("attention.self.query", hidden, hidden),
            ("attention.self.key", hidden, hidden),
            ("attention.self.value", hidden, hidden),
            ("attention.output.dense", hidden, hidden),
            ("intermediate.dense", inner, hidden),
            ("output.dense", hidden, inner),
        ):
            found[f"{stem}{part}.weight"] = draw(rng, rows, columns)
            found[f"{stem}{part}.bias"] = draw(rng, rows)
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            found[f"{stem}{part}.weight"] = near_one(rng, hidden)
            found[f"{stem}{part}.bias"] = draw(rng, hidden)
    return {prefix + name: values for name, values in found.items()}


def encode(
    t: Mapping[str, Array], ids: list[int], *, layers: int, heads: int, first: int = 0, prefix: str = ""
) -> tuple[Array, Array]:
    """Hidden states and the pooler's output. `first` is the position of the first token."""

    def norm(x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return scaled * t[f"{prefix}{name}.weight"] + t[f"{prefix}{name}.bias"]

    def linear(x: Array, name: str) -> Array:
        return x @ t[f"{prefix}{name}.weight"].T.astype(np.float64) + t[f"{prefix}{name}.bias"]

    table = f"{prefix}embeddings."
    x = t[table + "word_embeddings.weight"][ids].astype(np.float64)
    x = x + t[table + "position_embeddings.weight"][first : first + len(ids)]
    x = norm(x + t[table + "token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for n in range(layers):
        stem = f"encoder.layer.{n}."
        q, k, v = (
            split(linear(x, f"{stem}attention.self.{one}"), heads) for one in ("query", "key", "value")
        )
        mixed = join(attend(q, k, v, np.zeros((len(ids), len(ids)))))
        x = norm(x + linear(mixed, stem + "attention.output.dense"), stem + "attention.output.LayerNorm")
        y = linear(x, stem + "intermediate.dense")
        y = y * 0.5 * (1 + ERF(y / math.sqrt(2)))
        x = norm(x + linear(y, stem + "output.dense"), stem + "output.LayerNorm")
    return x, np.tanh(linear(x[0], "pooler.dense"))


# decoders


def decoder_weights(
    kind: str, *, layers: int, hidden: int, inner: int, heads: int, heads_kv: int, width: int, vocabulary: int,
    tied: bool, seed: int = 0,
) -> Tensors:  # fmt: skip
    rng = np.random.default_rng(seed)
    found: Tensors = {
        "model.embed_tokens.weight": draw(rng, vocabulary, hidden),
        "model.norm.weight": near_one(rng, hidden),
    }
    if not tied:
        found["lm_head.weight"] = draw(rng, vocabulary, hidden)
    for n in range(layers):
        stem = f"model.layers.{n}."
        found[f"{stem}input_layernorm.weight"] = near_one(rng, hidden)
        found[f"{stem}post_attention_layernorm.weight"] = near_one(rng, hidden)
        for part, rows in (("q", heads * width), ("k", heads_kv * width), ("v", heads_kv * width)):
            found[f"{stem}self_attn.{part}_proj.weight"] = draw(rng, rows, hidden)
            if kind == "qwen2":
                found[f"{stem}self_attn.{part}_proj.bias"] = draw(rng, rows)
        found[f"{stem}self_attn.o_proj.weight"] = draw(rng, hidden, heads * width)
        if kind == "qwen3":
            found[f"{stem}self_attn.q_norm.weight"] = near_one(rng, width)
            found[f"{stem}self_attn.k_norm.weight"] = near_one(rng, width)
        found[f"{stem}mlp.gate_proj.weight"] = draw(rng, inner, hidden)
        found[f"{stem}mlp.up_proj.weight"] = draw(rng, inner, hidden)
        found[f"{stem}mlp.down_proj.weight"] = draw(rng, hidden, inner)
    return found


def decode(
    t: Mapping[str, Array], ids: list[int], *, layers: int, heads: int, heads_kv: int, width: int, theta: float,
    slower: Array | float = 1.0,
) -> Array:  # fmt: skip
    """Logits after each token; `slower` divides the frequencies of the rotary positions."""

    def rms(x: Array, name: str) -> Array:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + EPSILON) * t[name]

    def linear(x: Array, name: str) -> Array:
        bias = t.get(f"{name}.bias")
        return x @ t[f"{name}.weight"].T.astype(np.float64) + (0 if bias is None else bias)

    count = len(ids)
    hidden_future = np.triu(np.full((count, count), -np.inf), 1)
    angles = np.arange(count)[:, None] / theta ** (np.arange(0, width, 2) / width) / slower
    x = t["model.embed_tokens.weight"][ids].astype(np.float64)
    for n in range(layers):
        stem = f"model.layers.{n}."
        y = rms(x, stem + "input_layernorm.weight")
        q = split(linear(y, stem + "self_attn.q_proj"), heads)
        k = split(linear(y, stem + "self_attn.k_proj"), heads_kv)
        v = split(linear(y, stem + "self_attn.v_proj"), heads_kv)
        if f"{stem}self_attn.q_norm.weight" in t:
            q, k = rms(q, stem + "self_attn.q_norm.weight"), rms(k, stem + "self_attn.k_norm.weight")
        q, k = turn(q, angles), turn(k, angles)
        k, v = (np.repeat(one, heads // heads_kv, axis=0) for one in (k, v))
        x = x + linear(join(attend(q, k, v, hidden_future)), stem + "self_attn.o_proj")
        y = rms(x, stem + "post_attention_layernorm.weight")
        gate = linear(y, stem + "mlp.gate_proj")
        x = x + linear(gate / (1 + np.exp(-gate)) * linear(y, stem + "mlp.up_proj"), stem + "mlp.down_proj")
    head = t["lm_head.weight"] if "lm_head.weight" in t else t["model.embed_tokens.weight"]
    return rms(x, "model.norm.weight") @ head.T.astype(np.float64)


def split(x: Array, heads: int) -> Array:
    return x.reshape(len(x), heads, -1).transpose(1, 0, 2)


def join(x: Array) -> Array:
    return x.transpose(1, 0, 2).reshape(x.shape[1], -1)


def attend(q: Array, k: Array, v: Array, mask: Array) -> Array:
    scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1]) + mask
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


def turn(x: Array, angles: Array) -> Array:
    """Rotary positions: the first half of a head turns against its second half."""
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate(
        [first * np.cos(angles) - second * np.sin(angles), second * np.cos(angles) + first * np.sin(angles)],
        axis=-1,
    )


def llama3(
    theta: float, width: int, *, factor: float, low: float = 1.0, high: float = 4.0, context: int = 8192
) -> Array:
    """By how much Llama 3 slows each frequency: all of a slow one, none of a fast one, part of those between."""
    found = []
    for at in range(0, width, 2):
        wavelength = 2 * math.pi * theta ** (at / width)
        if wavelength > context / low:
            found.append(factor)
        elif wavelength < context / high:
            found.append(1.0)
        else:
            smooth = (context / wavelength - low) / (high - low)
            found.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(found)
