"""Models that came converted: whole, or refused before they are loaded."""

import pytest

from archflow_plugins.local_models.convert.folder import convert
from archflow_plugins.local_models.convert.ready import specification
from archflow_plugins.local_models.errors import ModelCorrupt, ModelError, ModelUnsupported
from tiny_models import Decoder, Encoder


@pytest.fixture(params=["int8", "float32"])
def made(request, tmp_path):
    (tmp_path / "made").mkdir()
    convert(Decoder("qwen2", tied=True).gguf(tmp_path / "in"), tmp_path / "made", quantization=request.param)
    return tmp_path / "made"


def test_taken_over(made, tmp_path):
    (tmp_path / "out").mkdir()
    found = convert(made, tmp_path / "out")
    assert (found.architecture, found.template) == ("ready", "chatml")
    assert {one.name for one in (tmp_path / "out").iterdir()} == {one.name for one in made.iterdir()}
    for one in made.iterdir():
        assert (tmp_path / "out" / one.name).read_bytes() == one.read_bytes()


def test_an_encoder_is_known_by_its_specification(tmp_path):
    (tmp_path / "made").mkdir()
    convert(Encoder("bert").safetensors(tmp_path / "in"), tmp_path / "made")
    assert specification(tmp_path / "made" / "model.bin") == "TransformerEncoderSpec"


def test_cut_short_anywhere(made):
    path = made / "model.bin"
    data = path.read_bytes()
    assert specification(path) == "TransformerDecoderSpec"
    for length in [*range(0, 300, 7), *range(300, len(data), len(data) // 50), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(ModelError):
            specification(path)


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"", ModelCorrupt, "reach to byte 4"),
        (b"\x04\0\0\0", ModelUnsupported, "no CTranslate2 model of version 5 to 6"),
        (b"\x06\0\0\0\x08\0Whisper\0", ModelUnsupported, "is a 'Whisper'"),
        (b"\x06\0\0\0\xff\xff", ModelCorrupt, "reach to byte 65541"),
        (b"\x06\0\0\0\x0c\0Transformer\0\1\0\0\0\1\0\0\0\2\0a\0\xff", ModelCorrupt, "has 255 dimensions"),
        (
            b"\x06\0\0\0\x0c\0Transformer\0\1\0\0\0\1\0\0\0\2\0a\0\1\4\0\0\0\0\7\0\0\0",
            ModelCorrupt,
            "4 values of type 0 in 7 bytes",
        ),
    ],
)
def test_damage(data, error, words, tmp_path):
    (tmp_path / "model.bin").write_bytes(data)
    with pytest.raises(error, match=words):
        specification(tmp_path / "model.bin")


def test_without_a_tokenizer(made, tmp_path):
    (made / "tokenizer.json").unlink()
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelUnsupported, match=r"has no tokenizer.json: put the model's there"):
        convert(made, tmp_path / "out")
