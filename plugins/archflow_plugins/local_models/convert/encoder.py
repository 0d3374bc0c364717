"""BERT, RoBERTa and XLM-RoBERTa as a CTranslate2 encoder.

The three are one architecture: what differs is that RoBERTa's positions begin after its padding token, and what their
classification heads are called. CTranslate2 runs the layers and the pooler; a head is kept beside them for numpy.

Rule: it knows names and shapes, never files or bytes.
"""

from __future__ import annotations

from typing import Any

from archflow_plugins.local_models.catalogue import Config
from archflow_plugins.local_models.convert.specs import common_spec, transformer_spec
from archflow_plugins.local_models.convert.tensors import Floats, Stacked, Tail, Tensor, Weights
from archflow_plugins.local_models.convert.write import Fill
from archflow_plugins.local_models.errors import ModelCorrupt, ModelUnsupported

ARCHITECTURES = {"bert": "bert", "roberta": "roberta", "xlm-roberta": "xlm_roberta", "camembert": "roberta"}
"""model_type -> architecture."""
ACTIVATIONS = {
    "gelu": common_spec.Activation.GELU,
    "gelu_new": common_spec.Activation.GELUTanh,
    "gelu_fast": common_spec.Activation.GELUTanh,
    "gelu_pytorch_tanh": common_spec.Activation.GELUTanh,
    "relu": common_spec.Activation.RELU,
    "silu": common_spec.Activation.SWISH,
    "swish": common_spec.Activation.SWISH,
}
ANCHOR = "embeddings.word_embeddings.weight"
HEADS = (
    "classifier.weight", "classifier.bias", "classifier.dense.weight", "classifier.dense.bias",
    "classifier.out_proj.weight", "classifier.out_proj.bias",
)  # fmt: skip
GGUF_NAMES = {
    ANCHOR: "token_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.LayerNorm": "token_embd_norm",
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}


class Names:
    """What the tensors of a model are called: as transformers calls them, or as GGUF does."""

    def __init__(self, weights: Weights, where: str) -> None:
        self._weights = weights
        self.gguf = GGUF_NAMES[ANCHOR] in weights.tensors
        anchors = [name for name in weights.tensors if name.endswith(ANCHOR)]
        if not anchors and not self.gguf:
            raise ModelUnsupported(f"{where} has no tensor {ANCHOR}: it is no BERT or RoBERTa encoder")
        self.prefix = min(anchors, key=len).removesuffix(ANCHOR) if anchors else ""

    def name(self, part: str) -> str:
        """The name of something outside the layers."""
        if self.gguf:
            stem, dot, last = part.rpartition(".")
            return GGUF_NAMES.get(part) or GGUF_NAMES[stem] + dot + last
        return self.prefix + part

    def pair(self, layer: int | None, part: str, shape: tuple[int | None, ...]) -> tuple[Tensor, Tensor]:
        """Weight and bias of a part of a layer."""
        stem = part if layer is None else f"encoder.layer.{layer}.{part}"
        if self.gguf:
            stem = GGUF_NAMES[part] if layer is None else f"blk.{layer}.{GGUF_NAMES[part]}"
        else:
            stem = self.prefix + stem
        weight, bias = "weight", "bias"
        if f"{stem}.gamma" in self._weights.tensors:  # norms in files of the first BERT
            weight, bias = "gamma", "beta"
        return self._weights.get(f"{stem}.{weight}", shape), self._weights.get(f"{stem}.{bias}", shape[:1])


def fill(
    weights: Weights, config: Config, fill: Fill
) -> Any:  # a specification of ctranslate2, which has no types
    """The specification of an encoder, with every weight promised.

    Raises:
        ModelUnsupported: the configuration asks for something that CTranslate2's encoder does not do.
        ModelCorrupt: tensors and configuration disagree.
    """
    where = str(weights.where)
    _check(config, where)
    names = Names(weights, where)
    words = weights.get(names.name(ANCHOR), (None, None))
    hidden = words.shape[1]
    if hidden % config.num_attention_heads:
        raise ModelCorrupt(
            f"{where}: {config.num_attention_heads} heads do not share {hidden} dimensions evenly"
        )
    encoder = transformer_spec.TransformerEncoderSpec(
        config.num_hidden_layers,
        config.num_attention_heads,
        pre_norm=False,
        activation=ACTIVATIONS[config.hidden_act or "gelu"],
        layernorm_embedding=True,
        num_source_embeddings=2,
        embeddings_merge=common_spec.EmbeddingsMerge.ADD,
    )
    pooler = f"{names.prefix}pooler.dense.weight"
    pooled = pooler in weights.tensors
    spec = transformer_spec.TransformerEncoderModelSpec(
        encoder, pooling_layer=pooled, pooling_activation=common_spec.Activation.Tanh
    )
    encoder.scale_embeddings = False
    fill.matrix(encoder.embeddings[0], words)
    fill.matrix(
        encoder.embeddings[1],
        weights.get(names.name("embeddings.token_type_embeddings.weight"), (None, hidden)),
    )
    positions = weights.get(names.name("embeddings.position_embeddings.weight"), (None, hidden))
    encoder.position_encodings.encodings = fill.plain(Tail(positions, first_position(config)))
    fill.norm(encoder.layernorm_embedding, *names.pair(None, "embeddings.LayerNorm", (hidden,)))
    if pooled:
        fill.matrix(spec.pooler_dense, weights.get(pooler), weights.get(f"{names.prefix}pooler.dense.bias"))
    square = (hidden, hidden)
    inner = config.intermediate_size or None
    for number, layer in enumerate(encoder.layer):
        parts = [names.pair(number, f"attention.self.{one}", square) for one in ("query", "key", "value")]
        attention = layer.self_attention
        fill.matrix(
            attention.linear[0],
            Stacked([weight for weight, _ in parts]),
            Stacked([bias for _, bias in parts]),
        )
        fill.matrix(attention.linear[1], *names.pair(number, "attention.output.dense", square))
        fill.norm(attention.layer_norm, *names.pair(number, "attention.output.LayerNorm", (hidden,)))
        fill.matrix(layer.ffn.linear_0, *names.pair(number, "intermediate.dense", (inner, hidden)))
        fill.matrix(layer.ffn.linear_1, *names.pair(number, "output.dense", (hidden, inner)))
        fill.norm(layer.ffn.layer_norm, *names.pair(number, "output.LayerNorm", (hidden,)))
    spec.config.layer_norm_epsilon = config.layer_norm_eps
    return spec


def first_position(config: Config) -> int:
    """The row of the first token's position: RoBERTa counts from behind its padding token."""
    if ARCHITECTURES[config.model_type] == "bert":
        return 0
    return (1 if config.pad_token_id is None else config.pad_token_id) + 1


def head(weights: Weights) -> dict[str, Floats]:
    """The tensors of a classification head, for numpy; empty if there is none."""
    return {name: weights.get(name).all() for name in HEADS if name in weights.tensors}


def _check(config: Config, where: str) -> None:
    if config.num_hidden_layers < 1 or config.num_attention_heads < 1:
        raise ModelCorrupt(
            f"{where}: its configuration says neither how many layers nor how many heads it has"
        )
    if config.position_embedding_type not in {"absolute", None}:
        raise ModelUnsupported(
            f"{where} has {config.position_embedding_type} positions, and an encoder with absolute ones can be run here"
        )
    if (config.hidden_act or "gelu") not in ACTIVATIONS:
        raise ModelUnsupported(
            f"{where}: there is no activation {config.hidden_act!r} in CTranslate2's encoder"
        )
