"""Train the head of the jailbreak guard, and write it beside the guard.

    python bench/quality/train_jailbreak.py TUNED HELD [--out FOLDER] [--nets 3] [--hidden 256] [--epochs 20]

`tune_encoder.py` and `mean_encoder.py` come first. TUNED is the folder of the mean of all runs, whose adapter has to
lie where the catalogue's `minilm-guard` looks for it, with its digest there; its network stands beside the others, over
what the tuned encoder makes of a window. HELD is the folder of the mean of the runs that held an eighth of the texts
out.

Everything in the splits `train` and `calibrate` is learned from. How windows become a document, and which threshold
gives which rate of false positives is fitted on scores by cross-fitting: each text is scored by a head that saw neither
it nor any text that begins with the same three words. Of these scores only those of texts count that HELD's encoder did
not see either.

The table of n-grams is the sum of two logistic regressions, one over the n-grams as they are and one over n-grams that
weigh as much as they tell the classes apart (Wang and Manning, "Baselines and Bigrams", 2012).

Texts of one, a few and many windows have bars of their own, above which known shares of first turns of ShareGPT lie.
These turns are no part of its test, and nothing else is learned from them.

A disputed text (`sets.py`) is learned as its kind is held to be (`BELIEVED`), and not by heart which of its texts bears
which label. Mix, pool and thresholds do without them.

Rule: no text of a test split is read here, but to remove what is near it.
Rule: the same data, versions and seed give the same weights, up to the order of additions in the linear algebra.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import hashlib
import io
import sys
import time
import warnings
from pathlib import Path

import msgspec
import numpy as np
import sets
from guard import judged
from packages import PACKAGES
from pieces_bar import bar
from rows import MOST, is_held, spaced
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from vectors import Encoders

from archflow_plugins.guards.jailbreak import RATE, JailbreakConfig, threshold_for
from archflow_plugins.guards.windows import windows
from archflow_plugins.local_models.catalogue import Entry, find
from archflow_plugins.local_models.classifier import TOP, Classifier, logit
from archflow_plugins.local_models.ngrams import BUCKETS, buckets
from archflow_plugins.local_models.sources import digest

HEAD = Path(__file__).parents[2] / "plugins/archflow_plugins/guards/jailbreak_head"
FOLDS = 4
BELIEVED = {"HarmBench": 0.0, "JudgeComparison": 0.1}
"""How much a disputed text counts as an attack, by its origin. A harmful wish that is asked plainly talks no model out
of its instructions. Of JudgeComparison 0.36 are labelled attacks, by whether some model gave in: little is believed."""
WEIGHTS = {"neuralchemy": 3.0, "prompts.chat": 0.6, "ai-personas": 0.6}
"""How much a source counts, by the beginning of its name: the hardest thrice, roles that people play less."""
BESIDE = 0.5
"""How much the second regression of the table counts beside the first."""
NETS, TUNED = 0.4, 0.7
"""How much the networks count beside the table, and that of the tuned encoder."""
PLAIN, GUARD = "minilm", "minilm-guard"
WIDTH = 384
LENGTHS = (1, 2, 6)
"""Windows from which on texts have a bar of their own."""
TURNS, SHARES = 1900, (0.018, 0.12, 0.04)
"""First turns of ShareGPT that are counted for it, and of each length the share that lies above. What people ask is
short 17 times of 20, and jailbreaks in the wild mostly are not: where turns are few, a bar that denies more of them
finds more."""
SLACK = 2.0
"""How much further from the threshold than of any text held out on the other side of it what the n-grams say must lie
for encoders not to be asked."""
RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)


class Rows(msgspec.Struct):
    """The windows of the training texts: which text each is of, its features; and of the texts label, fold, source.

    Attributes:
        targets: the label to learn; of a disputed text how much it counts as an attack.
        sure: which texts are not disputed.
        held: which were held out when the encoder was tuned.
    """

    text: np.ndarray
    embeddings: np.ndarray
    ngrams: sparse.csr_matrix
    labels: np.ndarray
    targets: np.ndarray
    sure: np.ndarray
    folds: np.ndarray
    held: np.ndarray
    sources: list[str]

    @property
    def weights(self) -> np.ndarray:
        """A long text counts more than a short one, and each of its windows less; sources by `WEIGHTS`."""
        named, sources = np.ones(len(self.sources)), np.array(self.sources)
        for name, weight in WEIGHTS.items():
            named[np.char.startswith(sources, name)] = weight
        return named[self.text] / np.sqrt(np.bincount(self.text)[self.text])


class Tuned(msgspec.Struct):
    """The network that was learned with the tuned encoder."""

    first: np.ndarray
    first_bias: np.ndarray
    second: np.ndarray
    second_bias: float

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        return np.maximum(embeddings @ self.first + self.first_bias, 0) @ self.second + self.second_bias


class Fitted(msgspec.Struct):
    """A trained head: the weight of each bucket and the bias, the networks, and that of the tuned encoder."""

    table: np.ndarray
    bias: float
    nets: list[MLPClassifier]
    tuned: Tuned

    def logits(self, rows: Rows, where: np.ndarray) -> np.ndarray:
        """What all three say of some windows, one column each."""
        table = rows.ngrams[where] @ self.table + self.bias
        plain, tuned = np.hsplit(rows.embeddings[where], [WIDTH])
        nets = np.mean([_outputs(net, plain) for net in self.nets], 0)
        return np.stack([table, nets, self.tuned(tuned)], 1)


def _outputs(net: MLPClassifier, embeddings: np.ndarray) -> np.ndarray:
    hidden = np.maximum(embeddings @ net.coefs_[0] + net.intercepts_[0], 0)
    return (hidden @ net.coefs_[1] + net.intercepts_[1])[:, 0]


def rows_of(learned: list[sets.Set], vectors: Encoders) -> Rows:
    """The features of every window of the training texts; what the tuned encoder makes of them, of those held out."""
    pieces: list[str] = []
    text, labels, targets, sure, folds, away, sources = [], [], [], [], [], [], []
    for one in learned:
        believed = BELIEVED[one.name.rpartition(" ")[2]] if one.disputed else 0.0
        for content, label in zip(one.texts, one.labels, strict=True):
            found = spaced(windows(content), MOST)
            if not found:
                continue
            text += [len(labels)] * len(found)
            pieces += found
            labels.append(label)
            targets.append(believed if one.disputed else label)
            sure.append(not one.disputed)
            away.append(is_held(content))
            folds.append(int(sets.share(" ".join(content.lower().split()[:3])) * FOLDS))
            sources.append(one.name)
    held = [buckets(piece) for piece in pieces]
    values = [np.full(len(one), 1 / np.sqrt(max(1, len(one))), np.float32) for one in held]
    starts = np.concatenate([[0], np.cumsum([len(one) for one in held])])
    ngrams = sparse.csr_matrix(
        (np.concatenate(values), np.concatenate(held), starts), shape=(len(held), BUCKETS)
    )
    plain, tuned = vectors.all
    some = np.flatnonzero(np.array(away)[np.array(text)])
    embeddings = np.zeros((len(pieces), 2 * WIDTH), np.float32)
    embeddings[:, :WIDTH] = plain(pieces)
    embeddings[some, WIDTH:] = tuned([pieces[at] for at in some])
    return Rows(
        np.array(text),
        embeddings,
        ngrams,
        np.array(labels),
        np.array(targets),
        np.array(sure),
        np.array(folds),
        np.array(away),
        sources,
    )


def fit(rows: Rows, where: np.ndarray, tuned: Tuned, nets: int, hidden: int, epochs: int) -> Fitted:
    """Train on some of the windows."""
    where, labels, weights = _both(rows, where)
    table, bias = _table(rows.ngrams[where], labels, weights)
    trained = []
    for seed in range(nets):
        net = MLPClassifier((hidden,), alpha=1e-3, batch_size=256, max_iter=epochs, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is meant to stop before it has converged
            trained.append(net.fit(rows.embeddings[where, :WIDTH], labels, sample_weight=weights))
    return Fitted(table, bias, trained, tuned)


def _table(ngrams: sparse.csr_matrix, labels: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """The weight of each bucket, and the bias."""
    there = ngrams.astype(bool).astype(np.float32)
    attack, innocent = (there[labels == one].T @ weights[labels == one] + 1 for one in (1, 0))
    telling = 0.1 + np.abs(np.log(attack / attack.sum()) - np.log(innocent / innocent.sum()))
    plain = _regression(1000).fit(ngrams, labels, sample_weight=weights)
    scaled = _regression(20).fit(
        ngrams @ sparse.diags(telling.astype(np.float32)), labels, sample_weight=weights
    )
    return (
        plain.coef_[0] + BESIDE * telling * scaled.coef_[0],
        float(plain.intercept_[0] + BESIDE * scaled.intercept_[0]),
    )


def _regression(freedom: float) -> LogisticRegression:
    return LogisticRegression(C=freedom, max_iter=300, solver="liblinear", random_state=0)


def _both(rows: Rows, where: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows, labels and weights to learn: what is disputed is there twice, once with each label."""
    targets, weights = rows.targets[rows.text[where]], rows.weights[where]
    attack, innocent = targets > 0, targets < 1
    return (
        np.concatenate([where[attack], where[innocent]]),
        np.repeat([1, 0], [attack.sum(), innocent.sum()]),
        np.concatenate([(weights * targets)[attack], (weights * (1 - targets))[innocent]]),
    )


def _spans(text: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(text)) + 1
    return list(zip([0, *edges.tolist()], [*edges.tolist(), len(text)], strict=True))


def mixed(rows: Rows, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mix of the halves, the pool of the windows, and each text's logit."""
    (bias, slope), pool, documents = pooled(rows, logits @ np.array([1, NETS, TUNED]), rows.sure & rows.held)
    return np.array([bias, slope, slope * NETS]), pool, documents


def pooled(
    rows: Rows, summed: np.ndarray, some: np.ndarray
) -> tuple[tuple[float, float], np.ndarray, np.ndarray]:
    """Bias and slope of the windows' logits, their pool, and each text's logit, fitted on some of the texts."""
    spans, labels = _spans(rows.text), rows.labels
    long = np.array([end - start > 1 for start, end in spans])
    top = np.array([start + int(summed[start:end].argmax()) for start, end in spans])
    first = LogisticRegression(C=10).fit(summed[top][some][:, None], labels[some])
    bias, slope = float(first.intercept_[0]), float(first.coef_[0][0])
    single = bias + slope * summed
    features = np.array([_features(single[start:end]) for start, end in spans])
    weights = np.zeros(len(spans))
    for kind in (False, True):
        for label in (0, 1):
            of = some & (long == kind) & (labels == label)
            weights[of] = (0.5 if not kind else 0.25) * len(spans) / of.sum()
    second = LogisticRegression(C=10).fit(features, labels, sample_weight=weights)
    pool = np.array([second.intercept_[0], *second.coef_[0]])
    return (bias, slope), pool, pool[0] + features @ pool[1:]


def _features(single: np.ndarray) -> tuple[float, float, float]:
    top = np.sort(single)[::-1][:TOP]
    return float(top[0]), float(top.mean()), float(np.log(len(single)))


def thresholds(rows: Rows, scores: np.ndarray) -> dict[float, float]:
    """For each rate the score from which on so many innocent and undisputed texts lie, sources from 20 on equal."""
    sources, kept = np.array(rows.sources), (rows.labels == 0) & rows.sure & rows.held
    groups = [scores[(sources == name) & kept] for name in sorted(set(rows.sources))]
    groups = [group for group in groups if len(group) >= 20]
    out = {}
    for rate in RATES:
        low, high = 0.0, 1.0
        for _ in range(50):
            middle = (low + high) / 2
            above = np.mean([(group >= middle).mean() for group in groups])
            low, high = (middle, high) if above > rate else (low, middle)
        out[rate] = round(high, 6)
    return out


def levelled(turns: list[tuple[int, float]]) -> np.ndarray:
    """What is added to a text's logit from a number of windows on, so that one bar denies `SHARES` of each length.

    Args:
        turns: of first turns of ShareGPT the windows and the logit.
    """
    counts, logits = np.array(turns).T
    bars = [
        float(np.quantile(logits[(least <= counts) & (counts < beyond)], 1 - share))
        for least, beyond, share in zip(LENGTHS, [*LENGTHS[1:], np.inf], SHARES, strict=True)
    ]
    return np.array([[least, bars[0] - one] for least, one in zip(LENGTHS, bars, strict=True)])


def pack(fitted: Fitted, mix: np.ndarray, pool: np.ndarray, alone: np.ndarray, steps: np.ndarray) -> bytes:
    """The weights as an npz: the table in 8 bits, the networks in 16.

    A network sees what both encoders make of a window, and knows nothing of the other's. The mean of all is what counts
    `NETS`, so each is as much larger as there are more of them, and the tuned one as `TUNED` is to `NETS`.
    """
    scale = float(np.abs(fitted.table).max() / 127)
    number = len(fitted.nets) + 1
    hidden = len(fitted.nets[0].intercepts_[0])
    first, second = np.zeros((number, 2 * WIDTH, hidden)), np.zeros((number, hidden))
    first_bias, second_bias = np.zeros((number, hidden)), np.zeros(number)
    for place, net in enumerate(fitted.nets):
        first[place, :WIDTH], first_bias[place] = net.coefs_[0], net.intercepts_[0]
        share = number / len(fitted.nets)
        second[place], second_bias[place] = net.coefs_[1][:, 0] * share, net.intercepts_[1][0] * share
    tuned, width, share = fitted.tuned, len(fitted.tuned.first_bias), number * TUNED / NETS
    first[-1, WIDTH:, :width], first_bias[-1, :width] = tuned.first, tuned.first_bias
    second[-1, :width], second_bias[-1] = tuned.second * share, tuned.second_bias * share
    out = io.BytesIO()
    np.savez_compressed(
        out,
        ngrams=np.round(fitted.table / scale).astype(np.int8),
        ngrams_scale=np.float32(scale),
        ngrams_bias=np.float32(fitted.bias),
        first=first.astype(np.float16),
        first_bias=first_bias.astype(np.float16),
        second=second.astype(np.float16),
        second_bias=second_bias.astype(np.float32),
        mix=mix.astype(np.float32),
        pool=pool.astype(np.float32),
        alone=alone.astype(np.float32),
        steps=steps.astype(np.float32),
    )
    return out.getvalue()


def tuned_of(folder: Path) -> Tuned:
    """The network that was learned with an encoder."""
    with np.load(folder / "network.npz", allow_pickle=False) as arrays:
        first, first_bias, second, second_bias = (
            arrays[name].astype(np.float32)[0] for name in ("first", "first_bias", "second", "second_bias")
        )
    return Tuned(first, first_bias, second, float(second_bias))


def encoder_of(folder: Path) -> Entry:
    """An encoder that is not in the catalogue: as the guard's, with other corrections."""
    adapter = (folder / "adapter.npz").resolve()
    return msgspec.structs.replace(
        find(GUARD), name=f"{GUARD}-held", adapter=str(adapter), adapter_sha256=digest(adapter)
    )


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(description="Train the head of the jailbreak guard.")
    parser.add_argument("tuned", type=Path, help="folder of the encoder that ships")
    parser.add_argument("held", type=Path, help="folder of one that did not see what is held out")
    parser.add_argument("--out", type=Path, default=HEAD)
    parser.add_argument("--nets", type=int, default=3)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    began = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {what}", file=sys.stderr)

    data, lost = sets.apart([*sets.load(), sets.sharegpt()])
    learned = [one for one in data if one.split != "test"]
    tell(
        f"{sum(len(one.texts) for one in learned)} texts to learn from, {sum(lost.values())} near others removed"
    )
    vectors, tuned, held = Encoders(PLAIN, GUARD), tuned_of(options.tuned), tuned_of(options.held)
    if find(GUARD).adapter_sha256 != digest(options.tuned / "adapter.npz"):
        sys.exit(
            f"{options.tuned} is not the encoder that the catalogue has as {GUARD}: copy its adapter there"
        )
    rows = rows_of(learned, Encoders(PLAIN, encoder_of(options.held)))
    tell(f"{len(rows.text)} windows of {len(rows.labels)} texts, {rows.labels.mean():.1%} attacks")
    logits = np.zeros((len(rows.text), 3))
    for fold in range(FOLDS):
        away = rows.folds[rows.text] == fold
        fitted = fit(rows, np.flatnonzero(~away), held, 1, options.hidden, options.epochs)
        logits[away] = fitted.logits(rows, np.flatnonzero(away))
        tell(f"fold {fold + 1} of {FOLDS}")
    mix, pool, documents = mixed(rows, logits)
    line, alone_pool, by_ngrams = pooled(rows, logits[:, 0], rows.sure)
    alone = np.array([*line, *alone_pool])
    fitted = fit(rows, np.arange(len(rows.text)), tuned, options.nets, options.hidden, options.epochs)
    tell("trained on all")
    level = Classifier(pack(fitted, mix, pool, alone, np.zeros((1, 2))))
    turns = judged(sets.sharegpt_rest(TURNS), windows, JailbreakConfig().windows, level, vectors)
    chat = [(number, logit(level.judge(table, found, number))) for number, table, found in turns]
    steps = levelled(chat)
    counts = np.bincount(rows.text)
    documents = documents + steps[np.searchsorted(steps[:, 0], counts, side="right") - 1, 1]
    scores = 1 / (1 + np.exp(-documents))
    weights = pack(fitted, mix, pool, alone, steps)
    rates = {f"{rate:g}": score for rate, score in thresholds(rows, scores).items()}
    usual = threshold_for(RATE, rates)
    held_out, above = rows.sure & rows.held, scores >= usual
    denied, passing = held_out & (rows.labels == 1) & above, held_out & (rows.labels == 0) & ~above
    margin = max(logit(usual) - by_ngrams[denied].min(), by_ngrams[passing].max() - logit(usual)) + SLACK
    tell(
        f"n-grams tell enough {margin:.3f} from the threshold, by {denied.sum()} attacks and {passing.sum()} innocents"
    )
    card = {
        "sha256": hashlib.sha256(weights).hexdigest(),
        "encoders": [
            {"name": one.name, "sha256": one.sha256, "adapter_sha256": one.adapter_sha256}
            for one in (each.model.entry for each in vectors.all)
        ],
        "thresholds": rates,
        "pieces": bar(Classifier(weights), vectors, usual),
        "margin": round(float(margin), 6),
        "cross_fitted": _cross_fitted(rows, scores),
        "data": [
            {
                "set": one.name,
                "package": _named(one.package),
                "split": one.split,
                "texts": len(one.texts),
                "attacks": sum(one.labels),
                "removed": lost[one.name],
                "sha256": hashlib.sha256("\0".join(one.texts).encode("utf-8", "surrogatepass")).hexdigest(),
            }
            for one in data
        ],
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "weights.npz").write_bytes(weights)
    text = msgspec.json.format(msgspec.json.encode(card), indent=2)
    (options.out / "head.json").write_bytes(text + b"\n")
    tell(f"wrote {options.out}: {len(weights):,} bytes")


def _named(package: str) -> str:
    known = PACKAGES.get(package)
    return f"{known.name} {known.version} ({known.licence})" if known else f"{package} (this project)"


def _cross_fitted(rows: Rows, scores: np.ndarray) -> dict[str, float]:
    """What the cross-fitted scores say of the two largest sources, for choosing settings without the tests."""
    sources, out = np.array(rows.sources), {}
    for name in ("s-labs", "neuralchemy"):
        of = np.char.startswith(sources, name) & rows.held
        for what, some in ((name, of), (f"{name} without what is disputed", of & rows.sure)):
            own, labels = scores[some], rows.labels[some]
            out[f"{what}, accuracy at 0.5"] = round(float(((own >= 0.5) == labels).mean()), 4)
            bar = np.sort(own[labels == 0])[int(np.ceil(0.99 * (labels == 0).sum())) - 1]
            out[f"{what}, recall at 1 %"] = round(float((own[labels == 1] > bar).mean()), 4)
    return out


if __name__ == "__main__":
    main()
