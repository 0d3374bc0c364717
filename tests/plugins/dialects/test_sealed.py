"""A foreign proof comes back as it was, and nothing that a provider makes is mistaken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archflow_plugins.dialects.sealed import PREFIX, Proof, unwrap, wrap


@given(st.text(), st.text(), st.text(), st.text(), st.text())
def test_round_trip(origin, signature, sealed, name, text):
    proof = Proof(signature=signature, sealed=sealed, id=name, text=text)
    assert unwrap(wrap(origin, proof)) == (origin, proof)


@pytest.mark.parametrize(
    "value", ["", "EqQBCgIYAhIkMWJj", PREFIX, PREFIX + "!", PREFIX + "AAAA", PREFIX + "W10"]
)
def test_what_was_not_wrapped(value):
    assert unwrap(value) is None
