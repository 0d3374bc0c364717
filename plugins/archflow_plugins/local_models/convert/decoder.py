"""Llama, Mistral, Qwen2 and Qwen3 as a CTranslate2 decoder.

What differs: Qwen2 has biases on queries, keys and values; Qwen3 has norms on queries and keys, and heads that may be
wider than their share. GGUF's makers store the query and key rows of Llama permuted, so that rotary positions turn
neighbours instead of halves: such rows are kept as they are and `rotary_interleave` says so.

Rule: it knows names and shapes, never files or bytes.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from archflow_plugins.local_models.catalogue import Config, RopeScaling
from archflow_plugins.local_models.convert import rotary
from archflow_plugins.local_models.convert.gguf import Gguf
from archflow_plugins.local_models.convert.specs import common_spec, transformer_spec
from archflow_plugins.local_models.convert.tensors import Stacked, Tensor, Weights
from archflow_plugins.local_models.convert.write import Fill
from archflow_plugins.local_models.errors import ModelCorrupt, ModelUnsupported

ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
"""model_type -> architecture."""
THETA = {"llama": 10_000.0, "qwen2": 1_000_000.0, "qwen3": 1_000_000.0}
GGUF_NAMES = {
    "embed_tokens.weight": "token_embd.weight",
    "norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
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


class Shape(Struct, frozen=True, kw_only=True):
    """The hyper-parameters of a decoder, whichever file they come from.

    Attributes:
        architecture: `llama`, `qwen2` or `qwen3`.
        layers: how many.
        heads: of queries.
        heads_kv: of keys and values.
        head_dim: dimensions of a head; None: its share of the hidden size.
        theta: the base of rotary positions.
        interleave: whether query and key rows are permuted for neighbours.
        epsilon: of the norms.
        context: the longest input that it was trained on; 0 where nobody says.
        scaling: how positions are stretched.
    """

    architecture: str
    layers: int
    heads: int
    heads_kv: int
    head_dim: int | None
    theta: float
    interleave: bool
    epsilon: float
    context: int
    scaling: RopeScaling | None = None


def shape_of_config(config: Config, where: str) -> Shape:
    """From a transformers config.json.

    Raises:
        ModelUnsupported: it asks for something that is not done here.
    """
    if config.quantization_config is not None:
        raise ModelUnsupported(
            f"{where} is quantised by {config.quantization_config.quant_method}: bring the model as F16, BF16 or F32, "
            "or as .gguf"
        )
    if config.use_sliding_window or (config.model_type == "mistral" and config.sliding_window):
        raise ModelUnsupported(f"{where} attends to a sliding window, which is not converted here")
    if (config.hidden_act or "silu") not in {"silu", "swish"}:
        raise ModelUnsupported(
            f"{where}: a decoder with the activation {config.hidden_act!r} is not converted here"
        )
    architecture = ARCHITECTURES[config.model_type]
    scaling = config.rope_parameters or config.rope_scaling
    theta = config.rope_theta or (scaling.rope_theta if scaling else None) or THETA[architecture]
    return Shape(
        architecture=architecture,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        heads_kv=config.num_key_value_heads or config.num_attention_heads,
        head_dim=config.head_dim,
        theta=theta,
        interleave=False,
        epsilon=config.rms_norm_eps,
        context=config.max_position_embeddings,
        scaling=None if scaling is None or scaling.kind == "default" else scaling,
    )


def shape_of_gguf(weights: Gguf) -> Shape:
    """From the metadata of a .gguf file.

    Raises:
        ModelCorrupt: a number is missing.
        ModelUnsupported: it asks for something that is not done here.
    """
    kind = weights.text("general.architecture")
    heads = weights.integer(f"{kind}.attention.head_count")
    key_length = weights.metadata.get(f"{kind}.attention.key_length")
    head_dim = key_length if isinstance(key_length, int) else None
    theta = weights.number(f"{kind}.rope.freq_base", 10_000.0)
    width = head_dim or weights.integer(f"{kind}.embedding_length") // max(heads, 1)
    return Shape(
        architecture=ARCHITECTURES[kind],
        layers=weights.integer(f"{kind}.block_count"),
        heads=heads,
        heads_kv=weights.integer(f"{kind}.attention.head_count_kv", heads),
        head_dim=head_dim,
        theta=theta,
        interleave=ARCHITECTURES[kind] == "llama",
        epsilon=weights.number(f"{kind}.attention.layer_norm_rms_epsilon", 1e-6),
        context=weights.integer(f"{kind}.context_length", 0),
        scaling=rotary.of_gguf(weights, kind, theta, width),
    )


class _Names:
    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._gguf = GGUF_NAMES["embed_tokens.weight"] in weights.tensors
        self._prefix = "model." if "model.embed_tokens.weight" in weights.tensors else ""

    def outer(self, part: str, shape: tuple[int | None, ...]) -> Tensor:
        if self._gguf:
            return self._weights.get(GGUF_NAMES[part], shape)
        return self._weights.get(part if part == "lm_head.weight" else self._prefix + part, shape)

    def has_head(self) -> bool:
        return (GGUF_NAMES["lm_head.weight"] if self._gguf else "lm_head.weight") in self._weights.tensors

    def layer(self, number: int, part: str, shape: tuple[int | None, ...]) -> Tensor:
        return self._weights.get(self._stem(number, part) + ".weight", shape)

    def bias(self, number: int, part: str, length: int) -> Tensor | None:
        name = self._stem(number, part) + ".bias"
        return self._weights.get(name, (length,)) if name in self._weights.tensors else None

    def _stem(self, number: int, part: str) -> str:
        return f"blk.{number}.{GGUF_NAMES[part]}" if self._gguf else f"{self._prefix}layers.{number}.{part}"


def fill(weights: Weights, shape: Shape, fill: Fill) -> tuple[Any, dict[str, tuple[Any, str]]]:
    """The specification of a decoder with every weight promised, and its aliases.

    Raises:
        ModelCorrupt: tensors and configuration disagree.
        ModelUnsupported: the installed ctranslate2 cannot run it.
    """
    where = str(weights.where)
    if shape.layers < 1 or shape.heads < 1 or shape.heads_kv < 1 or shape.heads % shape.heads_kv:
        raise ModelCorrupt(
            f"{where}: {shape.layers} layers, {shape.heads} and {shape.heads_kv} heads are no decoder"
        )
    names = _Names(weights)
    words = names.outer("embed_tokens.weight", (None, None))
    hidden = words.shape[1]
    width = shape.head_dim or hidden // shape.heads
    spec = _empty(shape, hidden, width, where)
    decoder = spec.decoder
    decoder.scale_embeddings = False
    fill.matrix(decoder.embeddings, words)
    fill.norm(decoder.layer_norm, names.outer("norm.weight", (hidden,)))
    aliases: dict[str, tuple[Any, str]] = {}
    if names.has_head():
        fill.matrix(decoder.projection, names.outer("lm_head.weight", words.shape))
    else:
        aliases["weight"] = (decoder.projection, "decoder/embeddings/weight")
    for number, layer in enumerate(decoder.layer):
        rotary.finish(layer.self_attention, shape.scaling)
        _layer(names, number, layer, fill, (hidden, shape.heads * width, shape.heads_kv * width, width))
    spec.config.layer_norm_epsilon = shape.epsilon
    return spec, aliases


def _layer(names: _Names, number: int, layer: Any, fill: Fill, lengths: tuple[int, int, int, int]) -> None:
    hidden, queries, keys, width = lengths
    attention = layer.self_attention
    fill.norm(attention.layer_norm, names.layer(number, "input_layernorm", (hidden,)))
    fill.norm(layer.ffn.layer_norm, names.layer(number, "post_attention_layernorm", (hidden,)))
    rows = {"self_attn.q_proj": queries, "self_attn.k_proj": keys, "self_attn.v_proj": keys}
    biases = [names.bias(number, part, length) for part, length in rows.items()]
    present = [one for one in biases if one is not None]
    if len(present) not in {0, len(biases)}:
        raise ModelCorrupt(
            f"layer {number} has a bias for some of its queries, keys and values, but not for all"
        )
    weights = [names.layer(number, part, (length, hidden)) for part, length in rows.items()]
    fill.matrix(attention.linear[0], Stacked(weights), Stacked(present) if present else None)
    fill.matrix(
        attention.linear[1],
        names.layer(number, "self_attn.o_proj", (hidden, queries)),
        names.bias(number, "self_attn.o_proj", hidden),
    )
    if hasattr(attention, "q_norm"):
        fill.norm(attention.q_norm, names.layer(number, "self_attn.q_norm", (width,)))
        fill.norm(attention.k_norm, names.layer(number, "self_attn.k_norm", (width,)))
    gate = names.layer(number, "mlp.gate_proj", (None, hidden))
    inner = gate.shape[0]
    fill.matrix(layer.ffn.linear_0, gate, names.bias(number, "mlp.gate_proj", inner))
    fill.matrix(
        layer.ffn.linear_0_noact,
        names.layer(number, "mlp.up_proj", (inner, hidden)),
        names.bias(number, "mlp.up_proj", inner),
    )
    fill.matrix(
        layer.ffn.linear_1,
        names.layer(number, "mlp.down_proj", (hidden, inner)),
        names.bias(number, "mlp.down_proj", hidden),
    )


def _empty(shape: Shape, hidden: int, width: int, where: str) -> Any:
    """The specification without weights."""
    options: dict[str, Any] = {}
    if shape.architecture == "qwen3":
        options |= {"qk_norm": True}
    if width * shape.heads != hidden or shape.architecture == "qwen3":
        options |= {"head_dim": width}
    options |= rotary.options(shape.scaling, where)
    try:
        return transformer_spec.TransformerDecoderModelSpec.from_config(
            shape.layers,
            shape.heads,
            activation=common_spec.Activation.SWISH,
            pre_norm=True,
            ffn_glu=True,
            rms_norm=True,
            rotary_dim=width if shape.architecture == "qwen3" else 0,
            rotary_interleave=shape.interleave,
            rotary_base=shape.theta,
            num_heads_kv=None if shape.heads_kv == shape.heads else shape.heads_kv,
            **options,
        )
    except TypeError as error:
        raise ModelUnsupported(
            f"{where}: the installed ctranslate2 has no {shape.architecture} decoder; "
            "`pip install --upgrade ctranslate2`"
        ) from error
