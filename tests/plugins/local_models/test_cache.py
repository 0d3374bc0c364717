"""The cache: a model appears whole or not at all, and is the one that was recorded."""

import errno
import os
import subprocess
import sys

import ctranslate2
import msgspec
import numpy as np
import pytest
from msgspec import json
from tokenizers import Tokenizer

from archflow_plugins.local_models import cache as module
from archflow_plugins.local_models.cache import MANIFEST, Cache, default_folder
from archflow_plugins.local_models.catalogue import Entry, Local, find
from archflow_plugins.local_models.convert import folder
from archflow_plugins.local_models.errors import (
    ModelChanged,
    ModelCorrupt,
    ModelUnavailable,
    ModelUnsupported,
    UnknownModel,
)
from archflow_plugins.local_models.sources import digest
from house_tree import ROOT
from tiny_models import Decoder, Encoder

REFERENCE = ROOT / "tests" / "plugins" / "local_models" / "reference"


@pytest.fixture
def here(tmp_path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def brought(tmp_path) -> Local:
    return Local(path=str(Decoder("llama").gguf(tmp_path / "brought")))


def names(cache: Cache) -> list[str]:
    return sorted(path.name for path in (cache.folder / "models").iterdir() if path.suffix != ".lock")


@pytest.mark.parametrize(("quantization", "close"), [("int8", 0.98), ("float32", 0.995)])
def test_the_default_embedder_out_of_an_installed_package(quantization, close, here):
    """Against the official weights, run by a forward pass in numpy; ids against the official tokenizer."""
    told = []
    model = here.ensure(find("minilm"), told.append, quantization)
    assert {one.stage for one in told} == {"check", "convert"}
    assert all(one.done <= one.total for one in told)
    assert model.entry.limits.dimension == 384
    encoder = ctranslate2.Encoder(str(model.folder), intra_threads=1, compute_type="default")
    tokenizer = Tokenizer.from_file(str(model.folder / "tokenizer.json"))
    for known in json.decode((REFERENCE / "minilm.json").read_bytes()):
        ids = tokenizer.encode(known["text"]).ids
        assert ids == known["ids"]
        vector = np.array(encoder.forward_batch([ids]).last_hidden_state)[0].mean(0)
        assert (
            vector @ np.array(known["vector"]) / np.linalg.norm(vector) > close
        )  # the package's weights are int8
    assert here.verify(model) == ()
    assert here.load("local/minilm", model.digest, quantization).folder == model.folder


@pytest.mark.parametrize(("quantization", "close"), [("int8", 0.4), ("float32", 0.001)])
def test_the_default_language_model(quantization, close):
    """Against weights read by GGUF's own reader and run by a forward pass in numpy."""
    cache = Cache()
    model = cache.get(find("smollm2-135m-instruct"), quantization)
    if model is None:
        pytest.skip(f"not pulled: `archc models pull smollm2-135m-instruct --quantization {quantization}`")
    generator = ctranslate2.Generator(str(model.folder), intra_threads=1, compute_type="default")
    tokenizer = Tokenizer.from_file(str(model.folder / "tokenizer.json"))
    for known in json.decode((REFERENCE / "smollm2-135m-instruct.json").read_bytes()):
        encoded = tokenizer.encode(known["text"])
        assert encoded.ids == known["ids"]
        logits = np.array(generator.forward_batch([encoded.ids], return_log_probs=True))[0]
        scores = [logits[n, one] for n, one in enumerate(encoded.ids[1:])]
        assert np.abs(np.array(scores) - known["scores"]).mean() < close
        assert int(logits[-1].argmax()) in known["next"][: 1 if quantization == "float32" else 3]


def test_found_again_without_writing(here, brought):
    model = here.adopt(brought, "mine")
    assert model.manifest.architecture == "llama"
    assert model.entry.role == "language_model"
    assert model.entry.template == "chatml"
    assert model.entry.limits.max_tokens == 512
    assert names(here) == [model.folder.name]
    assert here.find("local/mine").name == "mine"
    (here.folder / "models").chmod(0o500)
    try:
        assert here.ensure(here.find("mine")) == model
    finally:
        (here.folder / "models").chmod(0o700)


def test_roles_are_guessed(here, tmp_path):
    model = Encoder("roberta", prefix="roberta.")
    assert here.adopt(Local(path=str(model.safetensors(tmp_path / "a"))), "a").entry.role == "embedder"
    model.tensors |= {"classifier.out_proj.weight": np.ones((2, 64), np.float32)}
    labelled = model.safetensors(tmp_path / "b", id2label={"0": "not_entailment", "1": "entailment"})
    found = here.adopt(Local(path=str(labelled)), "b").entry
    assert (found.role, found.limits.dimension) == ("entailment", 0)
    assert here.adopt(Local(path=str(labelled)), "c", "guard").entry.role == "guard"


def test_a_ready_folder(here, brought, tmp_path):
    made = here.adopt(brought, "mine")
    ready = here.adopt(Local(path=str(made.folder)), "ready")
    assert (ready.manifest.architecture, ready.manifest.quantization) == ("ready", "as it was")
    assert (ready.folder / "model.bin").read_bytes() == (made.folder / "model.bin").read_bytes()
    assert ready.entry.role == "language_model"


def test_both_quantisations_side_by_side(here, brought):
    small, exact = here.adopt(brought, "mine"), here.adopt(brought, "mine", quantization="float32")
    assert small.digest != exact.digest
    assert {model.manifest.asked for model in here.installed()} == {"int8", "float32"}


def test_a_changed_byte_is_found(here, brought):
    model = here.adopt(brought, "mine")
    path = model.folder / "model.bin"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert here.get(here.find("mine")) == model  # names and sizes are right
    assert here.verify(model) == (f"{path} was changed after it was made",)
    with pytest.raises(
        ModelChanged, match=r"model.bin was changed after it was made; `archc models pull mine --force`"
    ):
        here.load("mine", model.digest)


def test_another_model_than_the_recorded_one(here, brought):
    model = here.adopt(brought, "mine")
    with pytest.raises(ModelChanged, match="recorded when it was compiled in: compile again"):
        here.load("mine", "0" * 64)
    with pytest.raises(ModelUnavailable, match=r"is not in .*: `archc models pull minilm`"):
        here.load("minilm", model.digest)
    with pytest.raises(UnknownModel, match='did you mean "mine"'):
        here.load("mines", model.digest)


def test_a_changed_manifest_is_found(here, brought):
    model = here.adopt(brought, "mine")
    manifest = model.folder / MANIFEST
    manifest.write_bytes(manifest.read_bytes().replace(model.digest.encode(), b"0" * 64))
    (changed,) = here.installed()
    assert here.verify(changed) == (f"{manifest} was changed after it was made",)


def test_a_missing_file_is_made_again(here, brought):
    model = here.adopt(brought, "mine")
    (model.folder / "tokenizer.json").unlink()
    (model.folder / "config.json").write_text("{}")
    assert here.get(here.find("mine")) is None
    assert len(here.verify(model)) == 2
    assert here.ensure(here.find("mine")).digest == model.digest
    assert here.verify(model) == ()


def test_a_conversion_of_another_time_is_made_again(here, brought, monkeypatch):
    model = here.adopt(brought, "mine")
    monkeypatch.setattr(module, "CONVERSION", module.CONVERSION + 1)
    assert here.get(model.entry) is None
    assert here.ensure(model.entry).manifest.conversion == module.CONVERSION
    assert len(names(here)) == 1


def test_a_model_with_corrections_is_another_one_and_made_again_when_they_change(here, tmp_path, monkeypatch):
    """Beside a model of the same source without them, whose folder stays as it is."""
    model = Encoder("bert")
    source = Local(path=str(model.safetensors(tmp_path / "in")))
    plain = here.adopt(source, "plain")
    monkeypatch.setattr(module, "HERE", tmp_path)
    digests = []
    for scale in (1, 2):
        name = "encoder.layer.0.attention.self.query.weight"
        rows, columns = model.tensors[name].shape
        pair = {f"{name}.up": np.full((rows, 1), scale), f"{name}.down": np.ones((1, columns))}
        np.savez(tmp_path / "adapter.npz", **pair)
        entry = msgspec.structs.replace(
            plain.manifest.entry,
            name="tuned",
            adapter="adapter.npz",
            adapter_sha256=digest(tmp_path / "adapter.npz"),
        )
        assert here.get(entry) is None
        digests.append(here.ensure(entry).digest)
        assert here.get(entry).digest == digests[-1]
    assert len({plain.digest, *digests}) == 3
    assert len(names(here)) == 2
    assert here.get(here.find("plain")) == plain


def test_other_corrections_than_the_catalogue_knows_are_refused(here, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "HERE", tmp_path)
    (tmp_path / "adapter.npz").write_bytes(b"something else")
    source = Local(path=str(Encoder("bert").safetensors(tmp_path / "in")))
    entry = Entry(name="tuned", role="guard", source=source, adapter="adapter.npz", adapter_sha256="0" * 64)
    with pytest.raises(ModelChanged, match="another digest than the catalogue knows: install archflow again"):
        here.ensure(entry)
    assert names(here) == []


@pytest.mark.parametrize("cut", [10, 1000, -100])
def test_nothing_half_written_of_a_file_that_is_cut_short(cut, here, brought):
    with open(brought.path, "rb") as file:  # noqa: PTH123
        data = file.read()[:cut]
    with open(brought.path, "wb") as file:  # noqa: PTH123
        file.write(data)
    with pytest.raises(ModelCorrupt, match=r"is damaged: .*fetch it again"):
        here.adopt(brought, "mine")
    assert names(here) == []


def test_no_space(here, brought, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(folder, "save", full)
    with pytest.raises(
        ModelUnavailable, match=r"no space left in .*archc models remove NAME.*ARCHFLOW_CACHE"
    ):
        here.adopt(brought, "mine")
    assert names(here) == []


def test_a_folder_that_cannot_be_written(tmp_path, brought):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelUnavailable, match="not a directory; set ARCHFLOW_CACHE"):
        Cache(tmp_path / "file").adopt(brought, "mine")


def test_interrupted_and_taken_up_again(here, brought):
    class Stopped(BaseException):
        pass

    def stop(progress: object) -> None:
        if getattr(progress, "stage", "") == "convert":
            raise Stopped

    with pytest.raises(Stopped):
        here.adopt(brought, "mine", progress=stop)
    assert names(here) == []
    left = here.folder / "models" / ".mine--int8--0000.part"
    left.mkdir()
    assert here.adopt(brought, "mine").entry.name == "mine"
    assert [model.entry.name for model in here.installed()] == ["mine"]


def test_two_processes_make_it_once(here, brought):
    program = (
        "import sys; from pathlib import Path\n"
        "from archflow_plugins.local_models.cache import Cache\n"
        "from archflow_plugins.local_models.catalogue import Local\n"
        "seen = []\n"
        "Cache(Path(sys.argv[1])).adopt(Local(path=sys.argv[2]), 'mine', progress=seen.append)\n"
        "print(sum(one.stage == 'convert' for one in seen) > 0)"
    )
    command = [sys.executable, "-c", program, str(here.folder), brought.path]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = sorted(process.communicate()[0].strip() for process in running)
    assert said == ["False", "False", "True"]


def test_torch_is_not_imported_where_it_is_installed(here, brought, tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise SystemExit('torch was imported')")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from pathlib import Path\n"
        "from archflow_plugins.local_models.cache import Cache\n"
        "from archflow_plugins.local_models.catalogue import Local\n"
        "model = Cache(Path(sys.argv[1])).adopt(Local(path=sys.argv[2]), 'mine')\n"
        "import ctranslate2; ctranslate2.Generator(str(model.folder), intra_threads=1)\n"
        "assert 'torch' not in sys.modules; print(model.digest)"
    )
    command = [sys.executable, "-c", program, str(here.folder), brought.path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_names_of_users(here, brought, tmp_path):
    for name in ("", "Mine", "a/b", "..", "a--b", "a" * 65, "-a"):
        with pytest.raises(ModelUnsupported, match="is no name for a model"):
            here.adopt(brought, name)
    with pytest.raises(ModelUnsupported, match='"minilm" is a model of the catalogue'):
        here.adopt(brought, "minilm")
    here.adopt(brought, "mine")
    other = Local(path=str(Decoder("qwen2").gguf(tmp_path / "other")))
    with pytest.raises(ModelUnsupported, match='another model "mine" already'):
        here.adopt(other, "mine")
    assert here.adopt(other, "mine", force=True).manifest.architecture == "qwen2"
    assert len(names(here)) == 1


def test_a_file_that_was_replaced_is_converted_again(here, brought, tmp_path):
    before = here.adopt(brought, "mine")
    assert here.adopt(brought, "mine") == before
    Decoder("llama", tied=True).gguf(tmp_path / "brought")
    assert here.adopt(brought, "mine").digest != before.digest
    assert len(names(here)) == 1


def test_removing(here, brought):
    model = here.adopt(brought, "mine")
    here.adopt(brought, "mine", quantization="float32")
    assert here.remove("local/mine") > model.size
    assert here.installed() == ()
    assert os.path.exists(brought.path)  # noqa: PTH110 - what the user brought stays
    with pytest.raises(ModelUnavailable, match='no model "mine"'):
        here.remove("mine")


def test_carried_to_another_machine(here, brought, tmp_path):
    model = here.adopt(brought, "mine")
    bundle = Cache(tmp_path / "bundle")
    taken = bundle.take(model)
    assert bundle.take(model).folder == taken.folder
    assert bundle.load("mine", model.digest).folder == taken.folder
    assert bundle.verify(taken) == ()


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.delenv("ARCHFLOW_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert default_folder() == tmp_path / "x" / "archflow"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the specification says to ignore it
    assert default_folder() == tmp_path / ".cache" / "archflow"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert default_folder() == tmp_path / "Library" / "Caches" / "archflow"
    monkeypatch.setenv("ARCHFLOW_CACHE", str(tmp_path / "mine"))
    assert default_folder() == tmp_path / "mine"
    assert Cache().installed() == ()


def test_a_library_that_was_uninstalled_is_named(tmp_path):
    program = "import sys; sys.modules['ctranslate2'] = None; from archflow_compiler.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "models", "pull", "minilm"],
        env={**os.environ, "ARCHFLOW_CACHE": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "need the package ctranslate2, which is not installed: `pip install ctranslate2`" in done.stderr
    assert "Traceback" not in done.stderr
