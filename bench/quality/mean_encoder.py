"""The mean of several runs of `tune_encoder.py`, which is better than each: their corrections and networks, averaged.

    python bench/quality/mean_encoder.py FOLDER... --out FOLDER [--rank 32]

The mean of corrections of rank 32 has a higher one; of each it keeps the part of a rank that is nearest to it.

Source: Wortsman et al., "Model soups" (2022).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from archflow_plugins.local_models.convert.adapter import pack, unpack


def main() -> None:
    """Write the mean."""
    parser = argparse.ArgumentParser(description="Average encoders of the jailbreak guard.")
    parser.add_argument("runs", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rank", type=int, default=32)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    adapters = [unpack((run / "adapter.npz").read_bytes(), str(run)) for run in options.runs]
    pairs, lost, whole = {}, 0.0, 0.0
    for name in adapters[0]:
        mean = sum(up.astype(np.float64) @ down for up, down in (one[name] for one in adapters)) / len(
            adapters
        )
        left, values, right = np.linalg.svd(mean, full_matrices=False)
        root = np.sqrt(values[: options.rank])
        pairs[name] = (left[:, : options.rank] * root, root[:, None] * right[: options.rank])
        lost, whole = lost + float((values[options.rank :] ** 2).sum()), whole + float((values**2).sum())
    (options.out / "adapter.npz").write_bytes(pack(pairs))
    networks = [np.load(run / "network.npz") for run in options.runs]
    np.savez(
        options.out / "network.npz",
        **{
            name: np.mean([one[name].astype(np.float64) for one in networks], 0).astype(
                networks[0][name].dtype
            )
            for name in networks[0].files
        },
    )
    size = (options.out / "adapter.npz").stat().st_size
    print(
        f"{len(adapters)} runs; {lost / whole:.1%} of the squares lost at rank {options.rank}; {size:,} bytes"
    )


if __name__ == "__main__":
    main()
