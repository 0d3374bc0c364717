"""What is said of a vendor's models."""

import pytest

from archflow_compiler.vendor_models import lines, models
from archflow_plugins.providers.catalogue import Known, catalogue
from archflow_schema.errors import ArchflowError


def test_a_table_for_people():
    found = (
        Known(
            vendor="openai", id="big", does="chat", context=1_050_000, output=128_000, input_price=2.5, output_price=15,
            cached_price=0.25, can=("vision", "tools"),
        ),
        Known(vendor="openai", id="embed-small", does="embeddings", context=8191, input_price=0.02),
    )  # fmt: skip
    assert list(lines(found))[:3] == [
        "openai/big          1.05M in, 128k out  $2.5 / $15 / $0.25  vision tools",
        "openai/embed-small  8.191k in           $0.02 / - / -       embeddings",
        "",
    ]
    assert list(lines(found))[-1] == f"taken {catalogue().taken} from {catalogue().source}"


def test_by_alias():
    assert models("google") == models("gemini")
    assert {model.vendor for model in models("Claude")} == {"anthropic"}


@pytest.mark.parametrize("provider", ["vllm", "opnai"])
def test_a_vendor_of_which_nothing_is_known(provider):
    with pytest.raises(
        ArchflowError, match=f"no models of '{provider}' are known: there are some of openai, "
    ):
        models(provider)
