"""Vectors that are kept: the same bytes with the file and without it, whatever became of the file."""

import os
import random
import sqlite3
import subprocess
import sys

import numpy as np
import pytest

from archflow_plugins.local_models import vectors as module
from archflow_plugins.local_models.embed import Embedder
from archflow_plugins.local_models.vectors import FILE, Vectors, embed
from choosing_world import embedder as minilm
from local_world import model

TEXTS = ["hello", "hello world !", "unbelievable words", "", " ".join(f"word{n}" for n in range(28)), "hello"]
WORDS = ["the", "rate", "of", "an", "unbelievable", "currency", "tomorrow,", "in", "3", "cities!"]
SAID = [" ".join(random.Random(n).choices(WORDS, k=n % 23)) for n in range(120)]


def embedded(folder, texts=TEXTS):
    told = []
    found = embed(model("tiny-embed"), texts, folder, lambda done, total: told.append((done, total)))
    return found, told


@pytest.fixture
def plain(tmp_path):
    """What comes out where nothing can be kept."""
    (tmp_path / "no folder").write_text("")
    return embedded(tmp_path / "no folder")[0]


def test_what_is_new_is_computed_and_what_is_known_is_not(tmp_path, plain, monkeypatch):
    cold, told = embedded(tmp_path)
    assert told[0] == (0, 5)
    assert told[-1] == (5, 5)
    more, told = embedded(tmp_path, [*TEXTS, "another"])
    assert told == [(5, 6), (6, 6)]
    monkeypatch.setattr(Embedder, "__init__", lambda *_: pytest.fail("the model was opened"))
    warm, told = embedded(tmp_path)
    assert told == [(5, 5)]
    for found in (cold, warm, more[:6]):
        assert found.tobytes() == plain.tobytes()
    assert cold.dtype == np.float32
    assert np.linalg.norm(cold, axis=1) == pytest.approx(1, abs=1e-5)
    assert embedded(tmp_path, [])[0].size == 0


@pytest.mark.parametrize("world", ["tiny", "minilm"])
def test_a_vector_is_decided_by_its_text_alone(world):
    found = Embedder(model("tiny-embed")) if world == "tiny" else minilm()
    together = found.encode_each(SAID)
    order = random.Random(1).sample(range(len(SAID)), 40)
    beside = found.encode_each([SAID[at] for at in order])
    alone = np.vstack([found.encode_each([SAID[at]]) for at in order[:10]])
    assert beside.tobytes() == together[order].tobytes()
    assert alone.tobytes() == together[order[:10]].tobytes()


def test_other_models_have_vectors_of_their_own(tmp_path):
    cold, _ = embedded(tmp_path)
    other = minilm().encode_each(["hello"])
    found = embed(model("tiny-embed"), ["hello"], tmp_path, lambda *_: None)
    assert found.shape != other.shape
    assert (found[0] == cold[0]).all()


def spoil_the_head(path):
    path.write_bytes(b"no database at all" * 100)


def cut_it(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty_it(path):
    path.write_bytes(b"")


def change_a_vector(path):
    with sqlite3.connect(path) as file:
        file.execute("UPDATE vector SET held = zeroblob(length(held)) WHERE at = 2")
    file.close()


def write_nonsense(path):
    with sqlite3.connect(path) as file:
        file.execute("UPDATE vector SET held = 'text' WHERE at = 1")
        file.execute("UPDATE vector SET held = x'00' WHERE at = 3")
    file.close()


def lose_the_table(path):
    with sqlite3.connect(path) as file:
        file.execute("DROP TABLE vector")
    file.close()


@pytest.mark.parametrize(
    "spoil", [spoil_the_head, cut_it, empty_it, change_a_vector, write_nonsense, lose_the_table]
)
def test_a_file_that_is_not_what_was_written_is_made_anew(tmp_path, plain, spoil):
    embedded(tmp_path)
    spoil(tmp_path / FILE)
    found, told = embedded(tmp_path)
    assert found.tobytes() == plain.tobytes()
    assert told[0][0] < 5
    again, told = embedded(tmp_path)
    assert told == [(5, 5)]
    assert again.tobytes() == plain.tobytes()


def test_flipped_bytes_change_no_vector(tmp_path, plain):
    embedded(tmp_path)
    good = (tmp_path / FILE).read_bytes()
    draw = random.Random(7)
    for _ in range(40):
        bad = bytearray(good)
        for _ in range(draw.choice([1, 3, 200])):
            bad[draw.randrange(len(bad))] ^= 1 << draw.randrange(8)
        (tmp_path / FILE).write_bytes(bad)
        assert embedded(tmp_path)[0].tobytes() == plain.tobytes()


def test_a_folder_that_can_only_be_read_serves(tmp_path, plain, monkeypatch):
    embedded(tmp_path)
    monkeypatch.setattr(os, "open", forbidden)
    found, told = embedded(tmp_path)
    assert told == [(5, 5)]
    assert found.tobytes() == plain.tobytes()
    found, told = embedded(tmp_path, ["new", *TEXTS])
    assert told == [(5, 6), (6, 6)]
    assert found[1:].tobytes() == plain.tobytes()


def forbidden(*_):
    raise PermissionError(13, "permission denied")


def test_something_else_in_its_place_is_left_alone(tmp_path, plain):
    (tmp_path / FILE).mkdir()
    assert embedded(tmp_path)[0].tobytes() == plain.tobytes()
    assert Vectors(tmp_path).kept() == (0, 0)


def test_it_is_the_owners_alone(tmp_path):
    embedded(tmp_path)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_full_lets_the_oldest_go(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 1_000_000)
    monkeypatch.setattr(module, "FORGOTTEN", 100)
    kept = Vectors(tmp_path)
    for start in range(0, 3000, 500):
        kept.put({number.to_bytes(16, "big"): bytes(1536) for number in range(start, start + 500)})
    there = kept.kept()
    assert 400 < there.vectors < 650
    assert there.size < 2_200_000
    assert kept.get([(2999).to_bytes(16, "big")])
    assert not kept.get([(0).to_bytes(16, "big")])


SHARED = """
import sys
from pathlib import Path
from archflow_plugins.local_models.vectors import Vectors
kept = Vectors(Path(sys.argv[1]))
for turn in range(20):
    for at in range(30):
        kept.put({at.to_bytes(16, "big"): at.to_bytes(16, "big") * 96})
    assert len(kept.get([at.to_bytes(16, "big") for at in range(30)])) == 30
"""


def test_two_processes_may_write_at_once(tmp_path):
    running = [subprocess.Popen([sys.executable, "-c", SHARED, str(tmp_path)]) for _ in range(2)]
    assert [one.wait(120) for one in running] == [0, 0]
    kept = Vectors(tmp_path)
    assert kept.kept().vectors == 30
    found = kept.get([at.to_bytes(16, "big") for at in range(30)])
    assert all(row == key * 96 for key, row in found.items())
