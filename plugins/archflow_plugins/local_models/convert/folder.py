"""A path with weights in some form -> a CTranslate2 folder with its tokenizer: what is found decides what is done.

| found | needs beside it |
|---|---|
| a ready CTranslate2 folder (model.bin, config.json) | tokenizer.json |
| model.safetensors, or its index and parts | config.json; tokenizer.json, vocab.txt, or vocab.json and merges.txt |
| a .gguf file | nothing: hyper-parameters and tokenizer are in it; a tokenizer.json beside it is believed first |
| a .onnx file of a BERT encoder, weights float or integer times scale | the same as safetensors |

Rule: it writes into a folder that it is given, and into no other; whoever calls makes that atomic.
Rule: pickles (pytorch_model.bin, .pt) are never read: they can run code.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from archflow_plugins.local_models.catalogue import Config, Pooling, Quantization
from archflow_plugins.local_models.convert import decoder, encoder, ready, tokenizer
from archflow_plugins.local_models.convert.adapter import Adapted
from archflow_plugins.local_models.convert.gguf import Gguf
from archflow_plugins.local_models.convert.onnx import Onnx
from archflow_plugins.local_models.convert.safetensors import Safetensors, dump
from archflow_plugins.local_models.convert.tensors import Weights
from archflow_plugins.local_models.convert.vocabulary import tokens
from archflow_plugins.local_models.convert.write import Fill, save
from archflow_plugins.local_models.errors import ModelCorrupt, ModelUnsupported

Tell = Callable[[int, int], None]
WEIGHTS = ("model.safetensors.index.json", "model.safetensors", "model.onnx", "onnx/model.onnx")
POOLING_OF_GGUF: dict[int, Pooling] = {0: "mean", 1: "mean", 2: "cls"}
TEMPLATES = {"<|im_start|>": "chatml", "<|start_header_id|>": "llama3", "[INST]": "mistral"}
"""What a chat template writes -> its name in the catalogue."""
LARGEST_JSON = 1 << 28


class Converted(Struct, frozen=True, kw_only=True):
    """What came out of a conversion.

    Attributes:
        architecture: `bert`, `roberta`, `xlm_roberta`, `llama`, `qwen2`, `qwen3`, or `ready` for what came converted.
        quantization: `int8` or `float32`; `as it was` for what was converted before.
        hidden: the width of the model, which is the length of an embedding; 0 where it is not known.
        context: the longest input that it was trained on; 0 where nobody says.
        template: the name of its chat template; empty where it has none.
        pooling: how an encoder's makers make one vector of its tokens'.
        labels: the classes of its classification head, in order.
    """

    architecture: str
    quantization: str
    hidden: int = 0
    context: int = 0
    template: str = ""
    pooling: Pooling = "mean"
    labels: tuple[str, ...] = ()


def convert(
    path: Path,
    into: Path,
    *,
    quantization: Quantization = "int8",
    config: Config | None = None,
    vocabulary: Path | None = None,
    adapter: Path | None = None,
    tell: Tell | None = None,
) -> Converted:
    """Convert what lies at a path.

    Args:
        path: a file or folder, see the table above.
        into: an empty folder for the outcome.
        quantization: how matrices are stored.
        config: hyper-parameters, where no config.json has them.
        vocabulary: a vocab.txt, where no other tokenizer is there.
        adapter: corrections to add to an encoder's weights.
        tell: is told values done and values in all.

    Raises:
        ModelCorrupt: the files are cut short or disagree.
        ModelUnsupported: they are of a kind that is not converted here.
    """
    weights_at = locate(path)
    if weights_at.name == ready.READY[0]:
        return _ready(weights_at.parent, into)
    with _open(weights_at, adapter) as weights:
        progress = _Progress(tell)
        fill = Fill(quantization, progress.step)
        if isinstance(weights, Gguf):
            return _gguf(weights, into, quantization, fill, progress)
        config = config or _config(weights_at)
        home = _home(weights_at)
        if config.model_type in encoder.ARCHITECTURES:
            return _encoder(
                weights, config, _tokenizer(home, config, vocabulary), into, fill, progress, quantization
            )
        if config.model_type in decoder.ARCHITECTURES:
            shape = decoder.shape_of_config(config, str(home))
            found = _tokenizer(home, config, vocabulary)
            template = _template(home)
            return _decoder(
                weights, shape, found, _ends(config), template, into, fill, progress, quantization
            )
        raise _unknown(path, config.model_type)


class _Progress:
    def __init__(self, tell: Tell | None) -> None:
        self._tell = tell
        self._done = 0
        self.total = 0

    def step(self, elements: int) -> None:
        self._done += elements
        if self._tell is not None:
            self._tell(self._done, max(self.total, self._done))


def locate(path: Path) -> Path:
    """The file that holds the weights of a file or folder.

    Raises:
        ModelUnsupported: nothing there can be converted.
    """
    if path.is_file():
        if path.suffix not in {".gguf", ".safetensors", ".onnx"} and path.name != WEIGHTS[0]:
            raise ModelUnsupported(
                f"{path} is no .gguf, .safetensors or .onnx file: name one of those, or a folder with one"
            )
        return path
    if not path.is_dir():
        raise ModelUnsupported(
            f"{path} is not there: name a .gguf, .safetensors or .onnx file, or a folder with one"
        )
    if ready.is_ready(path) and not (path / WEIGHTS[1]).is_file():
        return path / ready.READY[0]
    for name in WEIGHTS:
        if (path / name).is_file():
            return path / name
    for suffix in (".gguf", ".safetensors", ".onnx"):
        found = sorted(path.glob(f"*{suffix}"))
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(one.name for one in found[:4])
            raise ModelUnsupported(
                f"{path} holds {len(found)} {suffix} files ({listed}): name the one that is meant"
            )
    pickles = [one.name for one in sorted(path.iterdir()) if one.suffix in {".bin", ".pt", ".pth", ".ckpt"}]
    if pickles:
        raise ModelUnsupported(
            f"{path} holds its weights as a pickle ({pickles[0]}), which can run code and is never read: bring the "
            "model as .safetensors or .gguf"
        )
    raise ModelUnsupported(f"{path} holds no .safetensors, .gguf or .onnx file and no CTranslate2 model")


def _open(path: Path, adapter: Path | None) -> Weights:
    if path.suffix == ".gguf":
        if adapter is not None:
            raise ModelUnsupported(
                f"{path} is quantised already: corrections can be added to ONNX and safetensors"
            )
        return Gguf(path)
    weights = Onnx(path) if path.suffix == ".onnx" else Safetensors(path)
    if adapter is None:
        return weights
    try:
        return Adapted(weights, _read(adapter), str(adapter))
    except BaseException:
        weights.close()
        raise


def _home(weights_at: Path) -> Path:
    """The folder of the model: exporters put model.onnx one deeper than the rest."""
    folder = weights_at.parent
    return folder.parent if folder.name == "onnx" and not (folder / "config.json").is_file() else folder


def _read(path: Path) -> bytes:
    if path.stat().st_size > LARGEST_JSON:
        raise ModelCorrupt(f"{path} is {path.stat().st_size} bytes, more than any model needs")
    return path.read_bytes()


def _config(weights_at: Path) -> Config:
    path = _home(weights_at) / "config.json"
    try:
        config = msgspec.json.decode(_read(path), type=Config)
    except FileNotFoundError as error:
        raise ModelUnsupported(
            f"{path} is not there, and without it nobody knows how the weights belong together: put the model's "
            "config.json beside them"
        ) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelCorrupt(f"{path} cannot be read ({error}): fetch it again") from error
    if not config.model_type:
        raise ModelUnsupported(f"{path} says nothing of a model_type: it is no configuration of a model")
    return config


def _unknown(path: Path, kind: str) -> ModelUnsupported:
    known = ", ".join((*encoder.ARCHITECTURES, *decoder.ARCHITECTURES))
    return ModelUnsupported(f"{path} is a {kind!r} model; these can be converted: {known}")


def _tokenizer(home: Path, config: Config, vocabulary: Path | None) -> bytes:
    """The tokenizer.json of a folder, rebuilt from what it has."""
    if (home / "tokenizer.json").is_file():
        return tokenizer.without_limits(_read(home / "tokenizer.json"), str(home))
    lines = vocabulary or home / "vocab.txt"
    try:
        if lines.is_file():
            lowercase = vocabulary is not None or _lowercase(home)
            return tokenizer.wordpiece(_read(lines).decode().splitlines(), lowercase=lowercase)
        if (home / "vocab.json").is_file() and (home / "merges.txt").is_file():
            vocab = msgspec.json.decode(_read(home / "vocab.json"), type=dict[str, int])
            merges = _read(home / "merges.txt").decode().split("\n")
            roberta = config.model_type == "roberta"
            if roberta or config.model_type in {"qwen2", "qwen3"}:
                return tokenizer.byte_level(vocab, merges, roberta=roberta, added=_added_tokens(home))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelCorrupt(f"{home}: its vocabulary cannot be read ({error}): fetch it again") from error
    raise ModelUnsupported(
        f"{home} has no tokenizer.json, and none can be made of what is there: put the model's tokenizer.json there"
    )


class _TokenizerConfig(Struct, frozen=True):
    """tokenizer_config.json, as far as it matters here."""

    do_lower_case: bool = True
    chat_template: str | msgspec.Raw | None = None
    added_tokens_decoder: dict[str, dict[str, Any]] = {}


def _tokenizer_config(home: Path) -> _TokenizerConfig:
    try:
        return msgspec.json.decode(_read(home / "tokenizer_config.json"), type=_TokenizerConfig)
    except FileNotFoundError:
        return _TokenizerConfig()
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelCorrupt(
            f"{home}: tokenizer_config.json cannot be read ({error}): fetch it again"
        ) from error


def _lowercase(home: Path) -> bool:
    return _tokenizer_config(home).do_lower_case


def _added_tokens(home: Path) -> list[dict[str, Any]]:
    listed = _tokenizer_config(home).added_tokens_decoder
    return [
        {"id": int(number), **one} for number, one in sorted(listed.items(), key=lambda item: int(item[0]))
    ]


def _template(home: Path) -> str:
    """The chat template of a folder, as its makers wrote it."""
    path = home / "chat_template.jinja"
    if path.is_file():
        return _read(path).decode("utf-8", "replace")
    found = _tokenizer_config(home).chat_template
    return found if isinstance(found, str) else ""


def template_name(template: str) -> str:
    """The name of a chat template by what it writes; empty for none, `plain` for one that is not known."""
    known = (name for mark, name in TEMPLATES.items() if mark in template)
    return next(known, "plain" if template else "")


def _ends(config: Config) -> tuple[int | None, int | None]:
    last = config.eos_token_id
    return config.bos_token_id, last if isinstance(last, int | None) else last[0] if last else None


def _encoder(
    weights: Weights, config: Config, tokenizer_json: bytes, into: Path, fill: Fill, progress: _Progress,
    quantization: Quantization,
) -> Converted:  # fmt: skip
    _pooling(weights)  # refuses what the embedder does not do, before anything is written
    spec = encoder.fill(weights, config, fill)
    weights.used_up()
    progress.total = fill.elements
    rows, hidden = spec.encoder.embeddings[0].weight.shape
    vocabulary = tokens(tokenizer_json, rows, str(weights.where))
    spec.config.unk_token = next((one for one in ("[UNK]", "<unk>") if one in vocabulary), vocabulary[0])
    save(spec, vocabulary, into, {})
    (into / "tokenizer.json").write_bytes(tokenizer_json)
    found = encoder.head(weights)
    if found:
        (into / "head.safetensors").write_bytes(dump(found))
    labels = sorted(config.id2label.items(), key=lambda item: int(item[0]) if item[0].isdigit() else 0)
    return Converted(
        architecture=encoder.ARCHITECTURES[config.model_type],
        quantization=quantization,
        hidden=hidden,
        context=spec.encoder.position_encodings.encodings.shape[0],
        pooling=_pooling(weights),
        labels=tuple(label for _, label in labels) if found else (),
    )


class _PoolingConfig(Struct, frozen=True):
    """1_Pooling/config.json of sentence-transformers."""

    pooling_mode_cls_token: bool = False
    pooling_mode_mean_tokens: bool = False
    pooling_mode_mean_sqrt_len_tokens: bool = False


def _pooling(weights: Weights) -> Pooling:
    """How the makers of an encoder make one vector of its tokens'; the mean where nobody says.

    Raises:
        ModelUnsupported: in a way that is not done here.
    """
    if isinstance(weights, Gguf):
        found = POOLING_OF_GGUF.get(weights.integer("bert.pooling_type", 1))
    else:
        path = _home(weights.where) / "1_Pooling" / "config.json"
        try:
            read = msgspec.json.decode(_read(path), type=_PoolingConfig)
        except FileNotFoundError:
            return "mean"
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ModelCorrupt(f"{path} cannot be read ({error}): fetch it again") from error
        mean = (
            read.pooling_mode_mean_tokens or read.pooling_mode_mean_sqrt_len_tokens
        )  # the same, once of length 1
        found = None if mean == read.pooling_mode_cls_token else "mean" if mean else "cls"
    if found is None:
        raise ModelUnsupported(
            f"{weights.where} makes its vectors neither of the mean nor of the first token, which is not done "
            "here"
        )
    return found


def _gguf(
    weights: Gguf, into: Path, quantization: Quantization, fill: Fill, progress: _Progress
) -> Converted:
    kind = weights.text("general.architecture")
    if (parts := weights.integer("split.count", 1)) > 1:
        raise ModelUnsupported(
            f"{weights.where} is one of {parts} files: make one of them with llama.cpp's `llama-gguf-split --merge`"
        )
    beside = weights.where.parent / "tokenizer.json"
    found = (
        tokenizer.without_limits(_read(beside), str(beside.parent))
        if beside.is_file()
        else tokenizer.of_gguf(weights)
    )
    if kind == "bert":
        config = Config(
            model_type="bert",
            num_hidden_layers=weights.integer("bert.block_count"),
            num_attention_heads=weights.integer("bert.attention.head_count"),
            layer_norm_eps=weights.number("bert.attention.layer_norm_epsilon", 1e-12),
            hidden_act="gelu",
        )
        return _encoder(weights, config, found, into, fill, progress, quantization)
    if kind not in decoder.ARCHITECTURES:
        raise _unknown(weights.where, kind)
    ends = [weights.metadata.get(f"tokenizer.ggml.{one}_token_id") for one in ("bos", "eos")]
    first, last = (one if isinstance(one, int) else None for one in ends)
    template = weights.text("tokenizer.chat_template")
    shape = decoder.shape_of_gguf(weights)
    return _decoder(weights, shape, found, (first, last), template, into, fill, progress, quantization)


def _decoder(
    weights: Weights, shape: decoder.Shape, tokenizer_json: bytes, ends: tuple[int | None, int | None], template: str,
    into: Path, fill: Fill, progress: _Progress, quantization: Quantization,
) -> Converted:  # fmt: skip
    spec, aliases = decoder.fill(weights, shape, fill)
    weights.used_up()
    progress.total = fill.elements
    rows, hidden = spec.decoder.embeddings.weight.shape
    vocabulary = tokens(tokenizer_json, rows, str(weights.where))
    first, last = ends
    if last is None or not 0 <= last < rows or (first is not None and not 0 <= first < rows):
        raise ModelCorrupt(
            f"{weights.where}: its end token {last} or its first token {first} is none of its {rows}"
        )
    spec.config.eos_token = vocabulary[last]
    spec.config.bos_token = vocabulary[last if first is None else first]
    spec.config.unk_token = next((one for one in ("<unk>", "<|endoftext|>") if one in vocabulary), "")
    save(spec, vocabulary, into, aliases)
    (into / "tokenizer.json").write_bytes(tokenizer_json)
    if template:
        (into / "chat_template.jinja").write_text(template, encoding="utf-8")
    return Converted(
        architecture=shape.architecture,
        quantization=quantization,
        hidden=hidden,
        context=shape.context,
        template=template_name(template) or "plain",
    )


def _ready(folder: Path, into: Path) -> Converted:
    """Take a CTranslate2 folder over as it is."""
    name = ready.take_over(folder, into, tokenizer.without_limits)
    return Converted(
        architecture="ready",
        quantization="as it was",
        template=template_name(_template(folder)) or ("plain" if name == "TransformerDecoderSpec" else ""),
    )
