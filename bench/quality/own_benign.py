"""Benign prompts that resemble attacks, and ordinary requests to assistants, written for this project as templates.

What a jailbreak and an innocent request share is words: ignore, forget, act as, pretend, reveal, system, override,
developer, base64. These templates use them innocently. Licence: this project's own.

Rule: nothing here is copied from a set that is tested on; what comes near one is removed before training all the same.
Rule: the same seed gives the same prompts.
"""

from __future__ import annotations

import base64
import codecs
import hashlib
import json
import random
import re
from pathlib import Path
from urllib.parse import quote

import msgspec


class Templates(msgspec.Struct, frozen=True):
    """own_benign.toml: sentences with slots, sentences around an encoded text, and what fills the slots."""

    templates: tuple[str, ...]
    carriers: tuple[str, ...]
    slots: dict[str, tuple[str, ...]]


OWN = msgspec.toml.decode((Path(__file__).parent / "own_benign.toml").read_bytes(), type=Templates)
LEET = str.maketrans("aeiost", "431057")
MORSE = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        [
            ".-",
            "-...",
            "-.-.",
            "-..",
            ".",
            "..-.",
            "--.",
            "....",
            "..",
            ".---",
            "-.-",
            ".-..",
            "--",
            "-.",
            "---",
            ".--.",
            "--.-",
            ".-.",
            "...",
            "-",
            "..-",
            "...-",
            ".--",
            "-..-",
            "-.--",
            "--..",
        ],
        strict=True,
    )
)


def _fill(template: str, rng: random.Random) -> str:
    def pick(match: re.Match[str]) -> str:
        return rng.choice(OWN.slots[match[1]]) if match[1] in OWN.slots else match[0]

    return re.sub(r"\{(\w+)\}", pick, template).replace("\\n", "\n")


def _encoded(text: str, rng: random.Random) -> str:
    data = text.encode()
    ways = (
        lambda: base64.b64encode(data).decode(),
        lambda: base64.b32encode(data).decode(),
        data.hex,
        lambda: hashlib.sha256(data).hexdigest(),
        lambda: hashlib.sha1(data).hexdigest(),
        lambda: codecs.encode(text, "rot13"),
        lambda: text.translate(LEET),
        lambda: quote(text),
        lambda: " ".join(f"{byte:08b}" for byte in data[:12]),
        lambda: " ".join(MORSE.get(letter, "/") for letter in text.lower()[:30]),
        lambda: text[::-1],
        lambda: base64.b64encode(rng.randbytes(rng.randint(24, 90))).decode(),
        lambda: "#" + rng.randbytes(3).hex() + " and #" + rng.randbytes(3).hex(),
        lambda: ".".join(
            base64.urlsafe_b64encode(part).decode().rstrip("=")
            for part in (
                b'{"alg":"HS256","typ":"JWT"}',
                json.dumps({"sub": text[:12]}).encode(),
                rng.randbytes(32),
            )
        ),
    )
    return rng.choice(ways)()


def own_benign(each: int = 16, encoded: int = 600, seed: int = 7) -> dict[str, str]:
    """Prompts, each with the template that it was made of; no two the same.

    Args:
        each: how many prompts of a template.
        encoded: how many innocent encodings.
        seed: of the choices.
    """
    rng = random.Random(seed)
    found = {_fill(template, rng): template for template in OWN.templates for _ in range(each)}
    plain = [text for text in found if len(text) < 70]
    for _ in range(encoded):
        carrier = rng.choice(OWN.carriers)
        found[_fill(carrier, rng).replace("{x}", _encoded(rng.choice(plain), rng))] = carrier
    return found
