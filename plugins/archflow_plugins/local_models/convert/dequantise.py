"""The block formats of GGUF, as float32.

Each format stores a row as blocks of 32 or 256 values that share scales; a block is a fixed number of bytes. The
layouts are those of ggml's `block_q4_0`, `block_q4_K`, ...; the tests compute each value one by one, from the same
description, and compare.

Rule: whole blocks in, whole blocks out; it knows no files and no tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


class Format(Struct, frozen=True, kw_only=True):
    """A way to store values.

    Attributes:
        name: as GGUF's makers call it.
        values: how many values a block holds.
        size: how many bytes a block takes.
        decode: blocks, one a row, to values, one block a row.
    """

    name: str
    values: int
    size: int
    decode: Callable[[Bytes], Floats]


def _half(blocks: Bytes) -> Floats:
    return np.ascontiguousarray(blocks).view("<f2").astype(np.float32)


def _f32(b: Bytes) -> Floats:
    return b.view("<f4").astype(np.float32)


def _f64(b: Bytes) -> Floats:
    return b.view("<f8").astype(np.float32)


def _bf16(b: Bytes) -> Floats:
    return (b.view("<u2").astype(np.uint32) << 16).view(np.float32)


def _nibbles(quants: Bytes) -> Bytes:
    """Low halves of all bytes, then high halves."""
    return np.concatenate([quants & 15, quants >> 4], axis=1)


def _fifth(high: Bytes) -> Bytes:
    """32 bits per block, each as the fifth bit of a value."""
    bits = np.ascontiguousarray(high).view("<u4") >> np.arange(32, dtype=np.uint32)[None, :]
    return ((bits & 1) << 4).astype(np.uint8)


def _q4_0(b: Bytes) -> Floats:
    return (_nibbles(b[:, 2:]).astype(np.float32) - 8) * _half(b[:, :2])


def _q4_1(b: Bytes) -> Floats:
    return _nibbles(b[:, 4:]).astype(np.float32) * _half(b[:, :2]) + _half(b[:, 2:4])


def _q5_0(b: Bytes) -> Floats:
    return ((_nibbles(b[:, 6:]) | _fifth(b[:, 2:6])).astype(np.float32) - 16) * _half(b[:, :2])


def _q5_1(b: Bytes) -> Floats:
    return (_nibbles(b[:, 8:]) | _fifth(b[:, 4:8])).astype(np.float32) * _half(b[:, :2]) + _half(b[:, 2:4])


def _q8_0(b: Bytes) -> Floats:
    return b[:, 2:].view(np.int8).astype(np.float32) * _half(b[:, :2])


def _q2_k(b: Bytes) -> Floats:
    scales, quants = b[:, :16], b[:, 16:80]
    d, lowest = _half(b[:, 80:82]), _half(b[:, 82:84])
    shifts = np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1)
    q = ((quants.reshape(-1, 2, 1, 32) >> shifts) & 3).reshape(-1, 16, 16).astype(np.float32)
    scale = (scales & 15).astype(np.float32) * d
    floor = (scales >> 4).astype(np.float32) * lowest
    values: Floats = q * scale[:, :, None] - floor[:, :, None]
    return values.reshape(-1, 256)


def _q3_k(b: Bytes) -> Floats:
    masks, quants, packed, d = b[:, :32], b[:, 32:96], b[:, 96:108], _half(b[:, 108:110])
    low = np.concatenate([packed[:, :8] & 15, packed[:, :8] >> 4], axis=1)
    high = (packed[:, 8:12, None] >> np.array([0, 2, 4, 6], np.uint8)) & 3  # byte, part of it
    scale = (low | (high.transpose(0, 2, 1).reshape(-1, 16) << 4)).astype(np.float32) - 32
    shifts = np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1)
    q = ((quants.reshape(-1, 2, 1, 32) >> shifts) & 3).reshape(-1, 8, 32)
    third = (masks[:, None, :] >> np.arange(8, dtype=np.uint8)[None, :, None]) & 1
    value = (q | (third << 2)).reshape(-1, 16, 16).astype(np.float32) - 4
    values: Floats = value * (scale * d)[:, :, None]
    return values.reshape(-1, 256)


def _six_bits(s: Bytes) -> tuple[Floats, Floats]:
    """Eight scales and eight floors of six bits each, in twelve bytes."""
    first, second, rest = s[:, :4], s[:, 4:8], s[:, 8:12]
    scale = np.concatenate([first & 63, (rest & 15) | ((first >> 6) << 4)], axis=1)
    floor = np.concatenate([second & 63, (rest >> 4) | ((second >> 6) << 4)], axis=1)
    return scale.astype(np.float32), floor.astype(np.float32)


def _scaled(b: Bytes, q: NDArray[np.integer[Any]]) -> Floats:
    scale, floor = _six_bits(b[:, 4:16])
    scale, floor = scale * _half(b[:, :2]), floor * _half(b[:, 2:4])
    values: Floats = q.astype(np.float32) * scale[:, :, None] - floor[:, :, None]
    return values.reshape(-1, 256)


def _pairs(quants: Bytes) -> Bytes:
    """Four runs of 32 bytes: the low halves of each, then its high halves."""
    runs = quants.reshape(-1, 4, 1, 32)
    return np.concatenate([runs & 15, runs >> 4], axis=2).reshape(-1, 8, 32)


def _q4_k(b: Bytes) -> Floats:
    return _scaled(b, _pairs(b[:, 16:]))


def _q5_k(b: Bytes) -> Floats:
    fifth = (b[:, None, 16:48] >> np.arange(8, dtype=np.uint8)[None, :, None]) & 1
    return _scaled(b, _pairs(b[:, 48:]) | (fifth << 4))


def _q6_k(b: Bytes) -> Floats:
    low, high = b[:, :128].reshape(-1, 2, 1, 64), b[:, 128:192].reshape(-1, 2, 1, 32)
    scale = b[:, 192:208].view(np.int8).astype(np.float32) * _half(b[:, 208:210])
    four = np.concatenate([low & 15, low >> 4], axis=2).reshape(-1, 2, 4, 32)
    two = (high >> np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1)) & 3
    value = (four | (two << 4)).astype(np.float32).reshape(-1, 16, 16) - 32
    values: Floats = value * scale[:, :, None]
    return values.reshape(-1, 256)


_CURVE = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32)
"""What the sixteen nibbles of the IQ4 formats stand for."""


def _iq4_nl(b: Bytes) -> Floats:
    values: Floats = _CURVE[_nibbles(b[:, 2:])] * _half(b[:, :2])
    return values


def _iq4_xs(b: Bytes) -> Floats:
    low = np.stack([b[:, 4:8] & 15, b[:, 4:8] >> 4], axis=2).reshape(-1, 8)
    high = (np.ascontiguousarray(b[:, 2:4]).view("<u2") >> np.arange(0, 16, 2, dtype=np.uint16)) & 3
    scale = ((low | (high << 4)).astype(np.float32) - 32) * _half(b[:, :2])
    runs = b[:, 8:].reshape(-1, 8, 16)
    values: Floats = _CURVE[np.concatenate([runs & 15, runs >> 4], axis=2)] * scale[:, :, None]
    return values.reshape(-1, 256)


FORMATS: dict[int, Format] = {
    0: Format(name="F32", values=1, size=4, decode=_f32),
    1: Format(name="F16", values=1, size=2, decode=_half),
    2: Format(name="Q4_0", values=32, size=18, decode=_q4_0),
    3: Format(name="Q4_1", values=32, size=20, decode=_q4_1),
    6: Format(name="Q5_0", values=32, size=22, decode=_q5_0),
    7: Format(name="Q5_1", values=32, size=24, decode=_q5_1),
    8: Format(name="Q8_0", values=32, size=34, decode=_q8_0),
    10: Format(name="Q2_K", values=256, size=84, decode=_q2_k),
    11: Format(name="Q3_K", values=256, size=110, decode=_q3_k),
    12: Format(name="Q4_K", values=256, size=144, decode=_q4_k),
    13: Format(name="Q5_K", values=256, size=176, decode=_q5_k),
    14: Format(name="Q6_K", values=256, size=210, decode=_q6_k),
    20: Format(name="IQ4_NL", values=32, size=18, decode=_iq4_nl),
    23: Format(name="IQ4_XS", values=256, size=136, decode=_iq4_xs),
    28: Format(name="F64", values=1, size=8, decode=_f64),
    30: Format(name="BF16", values=1, size=2, decode=_bf16),
}
"""ggml's number of a type -> its format."""

UNREAD = {
    9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 21: "IQ3_S",
    22: "IQ2_S", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0",
    39: "MXFP4",
}  # fmt: skip
"""Types that have a name but no decoder here."""
