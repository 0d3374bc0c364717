"""Foreign proofs in Google's signatures."""

import base64

import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from archflow_plugins.dialects.gemini.signatures import pack, unpack
from archflow_plugins.dialects.sealed import Proof

PROOF = Proof(signature="sig~~~", sealed="ÿÿ", id="rs_1", text="I look.")


@given(origin=st.text(max_size=9), signature=st.text(max_size=40))
def test_what_is_packed_comes_back(origin, signature):
    packed = pack(origin, Proof(signature=signature))
    assert unpack(packed) == (origin, Proof(signature=signature))
    assert unpack(packed.replace("+", "-").replace("/", "_").rstrip("=")) == (
        origin,
        Proof(signature=signature),
    )


def test_googles_client_gives_it_back():
    part = types.Part.model_validate({"text": "", "thought": True, "thoughtSignature": pack("a", PROOF)})
    assert unpack(part.model_dump(mode="json", by_alias=True)["thoughtSignature"]) == ("a", PROOF)


@pytest.mark.parametrize(
    "other",
    [
        "",
        "c2lnbmVk",
        "skip_thought_signature_validator",
        base64.b64encode(b"archflow1.").decode(),
        base64.b64encode(b"archflow1.\xff").decode(),
        "YXJjaGZsb3cx!",
        "YXJjaGZsb3cxä",
    ],
)
def test_what_is_not_ours_is_left_alone(other):
    assert unpack(other) is None


@given(st.text(max_size=30))
def test_nothing_makes_it_raise(text):
    unpack("YXJjaGZsb3cx" + text)
