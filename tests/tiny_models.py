"""Tiny models as folders and files: random weights, with the tokenizer and configuration that a real one would have."""

from pathlib import Path
from typing import Any

import numpy as np
from msgspec import json

from model_files import (
    BLOCKS,
    node,
    plain,
    random_blocks,
    reference,
    write_gguf,
    write_onnx,
    write_safetensors,
)
from model_oracle import EPSILON, decoder_weights, encoder_weights, llama3

VOCABULARY = 300
LAYERS = 2
CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"


def byte_alphabet() -> list[str]:
    """The 256 characters that stand for bytes in GPT-2's tokens, by byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    names = {byte: chr(byte) for byte in printable}
    for byte in range(256):
        if byte not in names:
            names[byte] = chr(256 + len(names) - len(printable))
    return [names[byte] for byte in range(256)]


SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGES = ["h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or"]
TOKENS = [*SPECIAL, *byte_alphabet(), *(merge.replace(" ", "") for merge in MERGES)]
TYPES = [3] * len(SPECIAL) + [1] * (len(TOKENS) - len(SPECIAL))
TOKENIZER = {
    "version": "1.0",
    "truncation": {"max_length": 8, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
    "padding": None,
    "added_tokens": [
        {"id": n, "content": one, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": True}
        for n, one in enumerate(SPECIAL)
    ],
    "normalizer": None,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    "post_processor": None,
    "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    "model": {
        "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
        "vocab": {token: n for n, token in enumerate(TOKENS)}, "merges": [one.split(" ") for one in MERGES],
    },
}  # fmt: skip

GGUF = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
    "model.layers.": "blk.",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


class Decoder:
    """A decoder of a kind; `tensors` are its weights by the names of transformers."""

    def __init__(
        self, kind: str, *, heads: int = 4, heads_kv: int = 2, hidden: int = 64, inner: int = 96,
        width: int | None = None, tied: bool = False, scaling: dict[str, Any] | None = None, theta: float = 5000.0,
    ) -> None:  # fmt: skip
        self.kind, self.heads, self.heads_kv, self.hidden, self.inner = kind, heads, heads_kv, hidden, inner
        self.tied, self.scaling = tied, scaling
        self.width = width or hidden // heads
        self.theta = theta
        self.tensors = decoder_weights(
            kind, layers=LAYERS, hidden=hidden, inner=inner, heads=heads, heads_kv=heads_kv, width=self.width,
            vocabulary=VOCABULARY, tied=tied,
        )  # fmt: skip

    def __str__(self) -> str:
        words = [self.kind, f"{self.heads}-{self.heads_kv}-heads", f"of-{self.width}"]
        return "-".join(
            [
                *words,
                *(["tied"] if self.tied else []),
                *([str(self.scaling["rope_type"])] if self.scaling else []),
            ]
        )

    def oracle(self) -> dict[str, Any]:
        """The arguments of `decode`."""
        return {
            "layers": LAYERS, "heads": self.heads, "heads_kv": self.heads_kv, "width": self.width,
            "theta": self.theta, "slower": self.slower(),
        }  # fmt: skip

    def slower(self) -> np.ndarray | float:
        """By how much positions are stretched."""
        if self.scaling is None:
            return 1.0
        factor = self.scaling["factor"]
        if self.scaling["rope_type"] == "linear":
            return float(factor)
        context = self.scaling.get("original_max_position_embeddings", 8192)
        slower: np.ndarray = llama3(self.theta, self.width, factor=factor, context=context)
        return slower

    def config(self) -> dict[str, object]:
        found: dict[str, object] = {
            "model_type": self.kind, "vocab_size": VOCABULARY, "hidden_size": self.hidden,
            "intermediate_size": self.inner, "num_hidden_layers": LAYERS, "num_attention_heads": self.heads,
            "num_key_value_heads": self.heads_kv, "rms_norm_eps": EPSILON, "rope_theta": self.theta,
            "hidden_act": "silu", "max_position_embeddings": 512, "bos_token_id": 1, "eos_token_id": [2, 0],
            "tie_word_embeddings": self.tied, "torch_dtype": "float32",
        }  # fmt: skip
        if self.width * self.heads != self.hidden or self.kind == "qwen3":
            found["head_dim"] = self.width
        if self.scaling:
            found["rope_scaling"] = self.scaling
        return found

    def safetensors(self, folder: Path, dtype: str = "F32", *, shards: int = 1, **changed: object) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_bytes(json.encode(self.config() | changed))
        (folder / "tokenizer.json").write_bytes(json.encode(TOKENIZER))
        (folder / "tokenizer_config.json").write_bytes(json.encode({"chat_template": CHATML}))
        if shards == 1:
            write_safetensors(folder / "model.safetensors", self.tensors, dtype)
            return folder
        names = list(self.tensors)
        where = {name: f"model-{n % shards + 1}.safetensors" for n, name in enumerate(names)}
        for file in set(where.values()):
            write_safetensors(
                folder / file, {name: self.tensors[name] for name in names if where[name] == file}, dtype
            )
        (folder / "model.safetensors.index.json").write_bytes(
            json.encode({"metadata": {}, "weight_map": where})
        )
        return folder

    def metadata(self) -> dict[str, object]:
        arch = "llama" if self.kind == "mistral" else self.kind
        found: dict[str, object] = {
            "general.architecture": arch,
            f"{arch}.block_count": LAYERS,
            f"{arch}.context_length": 512,
            f"{arch}.embedding_length": self.hidden,
            f"{arch}.attention.head_count": self.heads,
            f"{arch}.attention.head_count_kv": self.heads_kv,
            f"{arch}.rope.freq_base": self.theta,
            f"{arch}.attention.layer_norm_rms_epsilon": EPSILON,
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": "qwen2" if arch != "llama" else "smollm",
            "tokenizer.ggml.tokens": TOKENS,
            "tokenizer.ggml.token_type": TYPES,
            "tokenizer.ggml.merges": MERGES,
            "tokenizer.ggml.bos_token_id": 1,
            "tokenizer.ggml.eos_token_id": 2,
            "tokenizer.chat_template": CHATML,
        }
        if self.width * self.heads != self.hidden or arch == "qwen3":
            found[f"{arch}.attention.key_length"] = self.width
        if self.scaling and self.scaling["rope_type"] == "linear":
            found |= {
                f"{arch}.rope.scaling.type": "linear",
                f"{arch}.rope.scaling.factor": self.scaling["factor"],
            }
        return found

    def gguf_name(self, name: str) -> str:
        for theirs, ours in GGUF.items():
            name = name.replace(theirs, ours)
        return name

    def permuted(self, name: str, values: np.ndarray) -> np.ndarray:
        """Query and key rows of Llama as llama.cpp stores them: halves of a head interleaved."""
        heads = {"q_proj.weight": self.heads, "k_proj.weight": self.heads_kv}.get(
            name.rpartition("self_attn.")[2]
        )
        if heads is None or self.kind not in {"llama", "mistral"}:
            return values
        return values.reshape(heads, 2, -1, values.shape[1]).swapaxes(1, 2).reshape(values.shape)

    def gguf(self, folder: Path, changed: dict[str, object] | None = None) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {
            self.gguf_name(name): plain(self.permuted(name, one)) for name, one in self.tensors.items()
        }
        if self.scaling and self.scaling["rope_type"] == "llama3":
            tensors["rope_freqs.weight"] = plain(np.asarray(self.slower(), np.float32))
        return write_gguf(folder / "model.gguf", self.metadata() | (changed or {}), tensors)

    def mixed_gguf(self, folder: Path) -> tuple[Path, dict[str, np.ndarray]]:
        """A file whose matrices are of all block formats in turn, and the weights that they stand for."""
        folder.mkdir(parents=True, exist_ok=True)
        stored, meant = {}, {}
        kinds = [*BLOCKS]
        for n, (name, values) in enumerate(self.tensors.items()):
            if values.ndim == 1:
                stored[self.gguf_name(name)], meant[name] = plain(values), values
                continue
            kind = kinds[n % len(kinds)]
            data = random_blocks(kind, values.size // BLOCKS[kind][0], seed=n)
            rows = reference(kind, data).astype(np.float32).reshape(values.shape)
            stored[self.gguf_name(name)] = (values.shape, kind, data)
            meant[name] = self.unpermuted(name, rows)
        return write_gguf(folder / "model.gguf", self.metadata(), stored), meant

    def unpermuted(self, name: str, values: np.ndarray) -> np.ndarray:
        heads = {"q_proj.weight": self.heads, "k_proj.weight": self.heads_kv}.get(
            name.rpartition("self_attn.")[2]
        )
        if heads is None or self.kind not in {"llama", "mistral"}:
            return values
        return values.reshape(heads, -1, 2, values.shape[1]).swapaxes(1, 2).reshape(values.shape)


WORDPIECES = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "world", "##s", "!", "un", "##believ", "##able",
    *(f"word{n}" for n in range(40)),
]  # fmt: skip
WORDS = 60
ENCODER_GGUF = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.LayerNorm": "token_embd_norm",
    "encoder.layer.": "blk.",
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
"""In this order: a name that contains another comes first."""


class Encoder:
    """An encoder of a kind; `tensors` are its weights by the names of transformers."""

    def __init__(self, kind: str, *, prefix: str = "") -> None:
        self.kind, self.prefix, self.heads = kind, prefix, 4
        self.tensors = encoder_weights(
            layers=LAYERS, hidden=64, inner=128, vocabulary=WORDS, positions=34, types=2 if kind == "bert" else 1,
            prefix=prefix,
        )  # fmt: skip

    def __str__(self) -> str:
        return f"{self.kind}-{self.prefix}" if self.prefix else self.kind

    def config(self) -> dict[str, object]:
        return {
            "model_type": self.kind, "vocab_size": WORDS, "hidden_size": 64, "intermediate_size": 128,
            "num_hidden_layers": LAYERS, "num_attention_heads": self.heads, "hidden_act": "gelu",
            "layer_norm_eps": 1e-12, "max_position_embeddings": 34, "pad_token_id": 0 if self.kind == "bert" else 1,
        }  # fmt: skip

    def safetensors(self, folder: Path, **changed: object) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_bytes(json.encode(self.config() | changed))
        if self.kind == "bert":
            (folder / "vocab.txt").write_text("\n".join(WORDPIECES) + "\n")
        else:
            vocab = {
                one: n for n, one in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>", "h", "i", "hi"])
            }
            (folder / "tokenizer.json").write_bytes(
                json.encode({"model": {"type": "BPE", "vocab": vocab, "merges": []}})
            )
        write_safetensors(folder / "model.safetensors", self.tensors)
        return folder

    def gguf(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {}
        for name, values in self.tensors.items():
            if "pooler" not in name:
                for theirs, ours in ENCODER_GGUF.items():
                    name = name.replace(theirs, ours)  # noqa: PLW2901 - renamed step by step
                tensors[name] = plain(values)
        metadata = {
            "general.architecture": "bert", "bert.block_count": LAYERS, "bert.attention.head_count": self.heads,
            "bert.attention.layer_norm_epsilon": 1e-12, "tokenizer.ggml.model": "bert",
            "tokenizer.ggml.tokens": [
                one if one.startswith("[") else one[2:] if one.startswith("##") else "▁" + one for one in WORDPIECES
            ],
            "tokenizer.ggml.token_type": [3 if one.startswith("[") else 1 for one in WORDPIECES],
        }  # fmt: skip
        return write_gguf(folder / "model.gguf", metadata, tensors)

    def onnx(self, folder: Path, stored: str) -> Path:
        """An export: matrices anonymous and transposed, in floats or in integers times a scale.

        The weights become what is stored, so that the oracle sees the same.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_bytes(json.encode(self.config()))
        (folder / "vocab.txt").write_text("\n".join(WORDPIECES) + "\n")
        initializers: dict[str, np.ndarray] = {}
        nodes = []
        for n, (name, values) in enumerate(list(self.tensors.items())):
            matrix = values.ndim == 2
            anonymous = matrix and "embeddings" not in name
            called = f"val_{n}" if anonymous else name
            kept = values.T if anonymous else values
            if not matrix or stored == "float":
                initializers[called] = kept
            elif stored == "int8":
                axis = 0 if anonymous else 1
                scale = (np.abs(kept).max(axis=axis, keepdims=True) / 127).astype(np.float32)
                q = np.rint(kept / scale).astype(np.int8)
                initializers[f"{called}_q"], initializers[f"{called}_scale"] = q, scale
                nodes.append(node("Cast", [f"{called}_q"], [f"{called}_f"]))
                nodes.append(node("Mul", [f"{called}_f", f"{called}_scale"], [called]))
                kept = q.astype(np.float32) * scale
            else:
                scale, zero = np.array(np.ptp(kept) / 255, np.float32), np.array(128, np.uint8)
                q = np.clip(np.rint(kept / scale) + 128, 0, 255).astype(np.uint8)
                initializers[f"{called}_q"], initializers[f"{called}_scale"] = q, scale
                initializers[f"{called}_zero"] = zero
                nodes.append(
                    node("DequantizeLinear", [f"{called}_q", f"{called}_scale", f"{called}_zero"], [called])
                )
                kept = (q.astype(np.float32) - 128) * scale
            self.tensors[name] = (kept.T if anonymous else kept).astype(np.float32)
            if anonymous:
                nodes.append(node("MatMul", ["x", called], [f"product_{n}"]))
                nodes.append(
                    node("Add", [f"product_{n}", name.removesuffix("weight") + "bias"], [f"sum_{n}"])
                )
        write_onnx(folder / "model.onnx", initializers, nodes)
        return folder
