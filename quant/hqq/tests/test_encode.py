"""Quantizing, held to hqq 0.2.8.post1 on a CPU."""

from __future__ import annotations

import hashlib

import pytest
import torch
from torch import Tensor
from tramontane_quant_hqq.encode import encode, settings
from tramontane_quant_hqq.layers import translate
from tramontane_quant_hqq.plugin import KINDS

HQQ = {
    "hqq8": ("e31fe7af69729b02", "1679c1edc91c231d"),
    "hqq6": ("1cac4a6b67926535", "906607f721e4d022"),
    "hqq5": ("2f5687413debf600", "ee500ffa954c9219"),
    "hqq4": ("67dc1e6a3ab9a4da", "f0b05c897002ebcc"),
    "hqq3": ("d6a271ab71fbaf0f", "9c54155153564806"),
    "hqq2": ("a4f89047e09443db", "fc45339a1090e5b4"),
}
"""Digests of its W_q, scale and zero, floats as float32, and of what it decodes them to."""


def weights() -> Tensor:
    """The matrix (16, 128) that hqq was given."""
    return (((torch.arange(2048) * 7919 + 104729) % 10007 - 5003).float() / 8192).view(16, 128)


def short(*tensors: Tensor) -> str:
    held = (t.float() if t.is_floating_point() else t for t in tensors)
    return hashlib.sha256(b"".join(t.numpy().tobytes() for t in held)).hexdigest()[:16]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_hqq_makes(kind: str) -> None:
    made = encode(weights(), kind)
    layout = translate(dict(made), settings({"p": kind}), "p", (16, 128))
    assert layout is not None
    assert short(made["W_q"], made["scale"], made["zero"]) == HQQ[kind][0]
    assert short(layout.decode()) == HQQ[kind][1]


def test_settings_name_what_differs() -> None:
    said = settings({"a": "hqq4", "b": "hqq8", "c": "hqq4"})
    assert said["quant_method"] == "hqq"
    assert said["quant_config"]["weight_quant_params"]["nbits"] == 4
    assert said["quant_config"]["b"]["weight_quant_params"]["nbits"] == 8


@pytest.mark.parametrize("weight", [torch.ones(2, 48), torch.full((2, 64), torch.inf)])
def test_what_cannot_be_quantized_is_refused(weight: Tensor) -> None:
    with pytest.raises(ValueError, match="hqq4"):
        encode(weight, "hqq4")
