"""Writes small models in the formats that users bring: safetensors, GGUF, ONNX.

Nothing here is shared with the readers under test.
"""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from msgspec import json

# safetensors


def write_safetensors(path: Path, tensors: Mapping[str, np.ndarray], dtype: str = "F32") -> Path:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, values in tensors.items():
        if dtype == "BF16":
            stored = (np.ascontiguousarray(values, np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
        else:
            stored = np.ascontiguousarray(values, {"F32": "<f4", "F16": "<f2", "F64": "<f8"}[dtype]).tobytes()
        header[name] = {
            "dtype": dtype,
            "shape": list(values.shape),
            "data_offsets": [len(data), len(data) + len(stored)],
        }
        data += stored
    text = json.encode(header)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


# GGUF

U32, F32, BOOL, STRING, ARRAY = 4, 6, 7, 8, 9
TYPES = {
    "F32": 0,
    "F16": 1,
    "Q4_0": 2,
    "Q4_1": 3,
    "Q5_0": 6,
    "Q5_1": 7,
    "Q8_0": 8,
    "Q2_K": 10,
    "Q3_K": 11,
    "Q4_K": 12,
    "Q5_K": 13,
    "Q6_K": 14,
    "IQ4_NL": 20,
    "IQ4_XS": 23,
    "F64": 28,
    "BF16": 30,
}
BLOCKS = {
    "Q4_0": (32, 18),
    "Q4_1": (32, 20),
    "Q5_0": (32, 22),
    "Q5_1": (32, 24),
    "Q8_0": (32, 34),
    "Q2_K": (256, 84),
    "Q3_K": (256, 110),
    "Q4_K": (256, 144),
    "Q5_K": (256, 176),
    "Q6_K": (256, 210),
    "IQ4_NL": (32, 18),
    "IQ4_XS": (256, 136),
}
CURVE = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
"""ggml's `kvalues_iq4nl`."""
"""Block formats: values and bytes of a block."""


def string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def value(one: object) -> bytes:
    match one:
        case bool():
            return struct.pack("<I?", BOOL, one)
        case int():
            return struct.pack("<II", U32, one)
        case float():
            return struct.pack("<If", F32, one)
        case str():
            return struct.pack("<I", STRING) + string(one)
        case list() if one and isinstance(one[0], str):
            return struct.pack("<IIQ", ARRAY, STRING, len(one)) + b"".join(map(string, one))
        case list() if one and isinstance(one[0], float):
            return struct.pack(f"<IIQ{len(one)}f", ARRAY, F32, len(one), *one)
        case list():
            return struct.pack(f"<IIQ{len(one)}I", ARRAY, U32, len(one), *one)
    raise TypeError(one)


def write_gguf(
    path: Path,
    metadata: Mapping[str, object],
    tensors: Mapping[str, tuple[tuple[int, ...], str, bytes]],
    version: int = 3,
) -> Path:
    """Write a .gguf file; a tensor is its shape (outermost first), the name of its format, and its bytes."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    head += b"".join(string(key) + value(one) for key, one in metadata.items())
    data = b""
    for name, (shape, kind, stored) in tensors.items():
        head += string(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        head += struct.pack("<IQ", TYPES[kind], len(data))
        data += stored + b"\0" * (-len(stored) % 32)
    path.write_bytes(head + b"\0" * (-len(head) % 32) + data)
    return path


def plain(values: np.ndarray, kind: str = "F32") -> tuple[tuple[int, ...], str, bytes]:
    """A tensor in one of the formats without blocks."""
    if kind == "BF16":
        return (
            values.shape,
            kind,
            (np.ascontiguousarray(values, np.float32).view(np.uint32) >> 16).astype("<u2").tobytes(),
        )
    return (
        values.shape,
        kind,
        np.ascontiguousarray(values, {"F32": "<f4", "F16": "<f2", "F64": "<f8"}[kind]).tobytes(),
    )


def random_blocks(kind: str, count: int, seed: int = 0) -> bytes:
    """Blocks with any bits where integers are, and sane halves where scales are."""
    rng = np.random.default_rng(seed)
    values, size = BLOCKS[kind]
    blocks = rng.integers(0, 256, (count, size), np.uint8)
    halves = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82],
              "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0],
              "IQ4_XS": [0]}[kind]  # fmt: skip
    step = {32: 0.02, 256: 0.002}[values] / {
        "Q8_0": 16,
        "Q6_K": 24,
        "Q3_K": 4,
        "IQ4_NL": 16,
        "IQ4_XS": 32,
    }.get(kind, 1)
    for at in halves:
        scale = rng.uniform(step / 4, step, count).astype("<f2")
        blocks[:, at : at + 2] = scale.view(np.uint8).reshape(count, 2)
    return blocks.tobytes()


def half(data: bytes) -> float:
    return float(struct.unpack("<e", data)[0])


def one_block(kind: str, b: bytes) -> list[float]:
    """The values of one block, computed one by one as ggml's reference functions describe them."""
    found = [0.0] * BLOCKS[kind][0]
    if kind in {"Q4_0", "Q4_1", "Q5_0", "Q5_1"}:
        d = half(b[:2])
        m = half(b[2:4]) if kind.endswith("1") else 0.0
        at = 4 if kind.endswith("1") else 2
        high = 0
        if kind.startswith("Q5"):
            high = struct.unpack("<I", b[at : at + 4])[0]
            at += 4
        middle = {"Q4_0": 8, "Q5_0": 16}.get(kind, 0)
        for j in range(16):
            low, top = b[at + j] & 15, b[at + j] >> 4
            if kind.startswith("Q5"):
                low |= ((high >> j) & 1) << 4
                top |= ((high >> (j + 16)) & 1) << 4
            found[j], found[j + 16] = (low - middle) * d + m, (top - middle) * d + m
    elif kind == "Q8_0":
        d = half(b[:2])
        found = [one * d for one in struct.unpack("<32b", b[2:34])]
    elif kind == "Q2_K":
        d, least = half(b[80:82]), half(b[82:84])
        at, scale = 0, 0
        for n in (0, 128):
            for j in range(4):
                for part in (0, 16):
                    byte = b[scale]
                    scale += 1
                    for i in range(16):
                        q = (b[16 + n // 4 + part + i] >> (2 * j)) & 3
                        found[at] = d * (byte & 15) * q - least * (byte >> 4)
                        at += 1
    elif kind == "Q3_K":
        d = half(b[108:110])
        packed = list(struct.unpack("<3I", b[96:108]))
        mask1, mask2 = 0x03030303, 0x0F0F0F0F
        words = [
            (packed[0] & mask2) | ((packed[2] & mask1) << 4),
            (packed[1] & mask2) | (((packed[2] >> 2) & mask1) << 4),
            ((packed[0] >> 4) & mask2) | (((packed[2] >> 4) & mask1) << 4),
            ((packed[1] >> 4) & mask2) | (((packed[2] >> 6) & mask1) << 4),
        ]
        scales = struct.unpack("<16b", struct.pack("<4I", *words))
        at, scale, bit = 0, 0, 1
        for n in (0, 128):
            for j in range(4):
                for part in (0, 16):
                    step = d * (scales[scale] - 32)
                    scale += 1
                    for i in range(16):
                        q = (b[32 + n // 4 + part + i] >> (2 * j)) & 3
                        found[at] = step * (q - (0 if b[part + i] & bit else 4))
                        at += 1
                bit <<= 1
    elif kind in {"Q4_K", "Q5_K"}:
        d, least = half(b[:2]), half(b[2:4])
        s = b[4:16]

        def scale_min(j: int) -> tuple[int, int]:
            if j < 4:
                return s[j] & 63, s[j + 4] & 63
            return (s[j + 4] & 15) | ((s[j - 4] >> 6) << 4), (s[j + 4] >> 4) | ((s[j] >> 6) << 4)

        quants = 16 if kind == "Q4_K" else 48
        for j in range(8):
            scale, floor = scale_min(j)
            for i in range(32):
                q = (b[quants + (j // 2) * 32 + i] >> (4 * (j % 2))) & 15
                if kind == "Q5_K":
                    q |= ((b[16 + i] >> j) & 1) << 4
                found[32 * j + i] = d * scale * q - least * floor
    elif kind == "IQ4_NL":
        for j in range(16):
            found[j], found[j + 16] = (half(b[:2]) * CURVE[q] for q in (b[2 + j] & 15, b[2 + j] >> 4))
    elif kind == "IQ4_XS":
        (high,) = struct.unpack("<H", b[2:4])
        for k in range(8):
            low = (b[4 + k // 2] >> (4 * (k % 2))) & 15
            scale = half(b[:2]) * ((low | (((high >> (2 * k)) & 3) << 4)) - 32)
            for j in range(16):
                q = b[8 + 16 * k + j]
                found[32 * k + j], found[32 * k + j + 16] = scale * CURVE[q & 15], scale * CURVE[q >> 4]
    else:
        d = half(b[208:210])
        scales = struct.unpack("<16b", b[192:208])
        for n in (0, 1):
            for i in range(32):
                top = b[128 + 32 * n + i]
                low, more = b[64 * n + i], b[64 * n + 32 + i]
                for k, four in enumerate((low & 15, more & 15, low >> 4, more >> 4)):
                    q = (four | (((top >> (2 * k)) & 3) << 4)) - 32
                    found[128 * n + 32 * k + i] = d * scales[8 * n + i // 16 + 2 * k] * q
    return found


def reference(kind: str, data: bytes) -> np.ndarray:
    size = BLOCKS[kind][1]
    return np.array([one_block(kind, data[at : at + size]) for at in range(0, len(data), size)])


# ONNX, as far as weights go


def varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def field(number: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def initializer(name: str, values: np.ndarray) -> bytes:
    kind = {"float32": 1, "uint8": 2, "int8": 3, "int64": 7, "float16": 10}[values.dtype.name]
    dims = b"".join(field(1, length) for length in values.shape)
    return dims + field(2, kind) + field(8, name.encode()) + field(9, np.ascontiguousarray(values).tobytes())


def node(operator: str, inputs: list[str], outputs: list[str], **numbers: int) -> bytes:
    ends = b"".join(field(1, one.encode()) for one in inputs) + b"".join(
        field(2, one.encode()) for one in outputs
    )
    named = b"".join(field(5, field(1, name.encode()) + field(3, one)) for name, one in numbers.items())
    return ends + field(4, operator.encode()) + named


def write_onnx(path: Path, initializers: Mapping[str, np.ndarray], nodes: list[bytes]) -> Path:
    graph = b"".join(field(1, one) for one in nodes)
    graph += b"".join(field(5, initializer(name, one)) for name, one in initializers.items())
    path.write_bytes(field(1, 10) + field(2, b"a test") + field(7, graph))
    return path
