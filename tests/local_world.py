"""A cache with two tiny models of random weights: `tiny-chat` writes, `tiny-embed` embeds. Made once a test run."""

from __future__ import annotations

import atexit
import functools
import tempfile
from pathlib import Path

from archflow_plugins.local_models.cache import Cache, Model
from archflow_plugins.local_models.catalogue import Local
from archflow_plugins.local_models.generate import LanguageModel
from archflow_plugins.local_models.tokens import Vocabulary
from tiny_models import Decoder, Encoder

CONTEXT = 2048
"""Tokens that `tiny-chat` takes, each of which is a character mostly."""


@functools.cache
def cache() -> Cache:
    kept = tempfile.TemporaryDirectory(prefix="archflow-models-")
    atexit.register(kept.cleanup)
    folder = Path(kept.name)
    found = Cache(folder / "cache")
    chat = Decoder("llama").safetensors(folder / "chat", max_position_embeddings=CONTEXT)
    found.adopt(Local(path=str(chat)), "tiny-chat", "language_model", quantization="int8")
    found.adopt(Local(path=str(Encoder("bert").safetensors(folder / "embed"))), "tiny-embed", "embedder")
    return found


def model(name: str) -> Model:
    found = cache().get(cache().find(name))
    assert found is not None
    return found


@functools.cache
def words() -> Vocabulary:
    return Vocabulary(model("tiny-chat").folder)


@functools.cache
def chat() -> LanguageModel:
    return LanguageModel(model("tiny-chat"))
