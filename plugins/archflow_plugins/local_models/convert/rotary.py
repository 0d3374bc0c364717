"""How rotary positions are stretched for longer inputs, in the words of CTranslate2's attention.

`linear` slows every turn by one factor; `llama3` slows only those that are slow already, and blends between. GGUF
stores what llama3's rule comes to, one number for each pair of dimensions; the rule is found again from them, or the
file is refused.

Rule: a rule that is not known is refused; positions that are almost right answer almost sense.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from archflow_plugins.local_models.catalogue import RopeScaling
from archflow_plugins.local_models.convert.gguf import Gguf
from archflow_plugins.local_models.convert.specs import attention_spec
from archflow_plugins.local_models.convert.tensors import Floats
from archflow_plugins.local_models.errors import ModelUnsupported

FACTORS = "rope_freqs.weight"
KINDS = {
    "linear": attention_spec.RotaryScalingType.Linear,
    "llama3": attention_spec.RotaryScalingType.Llama3,
}


def of_gguf(weights: Gguf, kind: str, theta: float, width: int) -> RopeScaling | None:
    """How a .gguf file says that positions are stretched.

    Raises:
        ModelUnsupported: by a rule that is not known here.
    """
    named = weights.text(f"{kind}.rope.scaling.type", "none") or "none"
    if named == "linear":
        return RopeScaling(rope_type="linear", factor=weights.number(f"{kind}.rope.scaling.factor", 1.0))
    if named == "none" and FACTORS not in weights.tensors:
        return None
    if named == "none":
        factors = weights.get(FACTORS, (width // 2,)).all()
        found = RopeScaling(rope_type="llama3", factor=float(factors.max()))
        if np.allclose(factors, llama3(found, theta, width), rtol=1e-4):
            return found
    raise ModelUnsupported(
        f"{weights.where} stretches its positions by a rule that is not known here ({named}): bring its .safetensors"
    )


def llama3(scaling: RopeScaling, theta: float, width: int) -> Floats:
    """By how much llama3's rule slows each pair of dimensions down."""
    wavelength = 2 * np.pi * theta ** (np.arange(0, width, 2) / width)
    turns = scaling.original_max_position_embeddings / wavelength
    blend = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
    blend = np.clip(blend, 0, 1)
    slowed: Floats = (1 / ((1 - blend) / scaling.factor + blend)).astype(np.float32)
    return slowed


def options(scaling: RopeScaling | None, where: str) -> dict[str, Any]:
    """What a specification is made with.

    Raises:
        ModelUnsupported: a rule that is not known here.
    """
    if scaling is None:
        return {}
    if scaling.kind not in KINDS:
        raise ModelUnsupported(
            f"{where} stretches its positions by {scaling.kind!r}, and {' and '.join(KINDS)} are converted here"
        )
    found: dict[str, Any] = {
        "rotary_scaling_type": KINDS[scaling.kind],
        "rotary_scaling_factor": scaling.factor,
    }
    if scaling.kind == "llama3":
        found["original_max_position_embeddings"] = scaling.original_max_position_embeddings
    return found


def finish(attention: Any, scaling: RopeScaling | None) -> None:
    """Set what a specification is not made with."""
    if scaling is None or scaling.kind != "llama3":
        return
    attention.rotary_low_freq_factor = np.float32(scaling.low_freq_factor)
    attention.rotary_high_freq_factor = np.float32(scaling.high_freq_factor)
    # CTranslate2 reads a factor for this rule too, but its specification declares one only for `linear`
    vars(attention)["rotary_scaling_factor"] = np.float32(scaling.factor)
