"""xIELU by its formula, by tensors and by a file's keys; rotation where nothing is told."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_apertus.model import XIELU, ApertusConfig, fields
from tramontane_arch_apertus.plugin import TINY

NUMBERS = (0.3, -0.4, 0.5)


def test_the_formula() -> None:
    x = torch.linspace(-4, 4, 17)
    p, n, beta = torch.tensor(NUMBERS)
    above = F.softplus(p) * x * x + beta * x
    below = (torch.expm1(x.clamp(max=-1e-6)) - x) * (beta + F.softplus(n)) + beta * x
    torch.testing.assert_close(XIELU(NUMBERS)(x), torch.where(x > 0, above, below))
    by_tensors = XIELU(None)
    for name, value in zip(("alpha_p", "alpha_n", "beta"), NUMBERS, strict=True):
        getattr(by_tensors, name).data = torch.tensor([value])
    torch.testing.assert_close(by_tensors(x), XIELU(NUMBERS)(x))


def test_numbers_of_a_gguf_file() -> None:
    told = {
        "xielu.alpha_p": [0.1, 0.2],
        "xielu.beta": 0.5,
        "xielu.eps": 0.0,
    }
    found = fields(told, {"num_hidden_layers": 2})
    assert found == {"xielu_alpha_p": (0.1, 0.2), "xielu_beta": (0.5, 0.5)}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, ("llama3", 12e6)),
        ({"rope_theta": 5e5}, ("llama3", 12e6)),
        ({"rope_theta": 5e5, "rope_scaling": {"rope_type": "default"}}, (None, 5e5)),
    ],
)
def test_rotation(told: dict[str, Any], expected: tuple[Any, float]) -> None:
    """As transformers has it, where a base alone counts for nothing."""
    config = read_config(ApertusConfig, {**TINY, **told})
    assert (getattr(config.rope_scaling, "rope_type", None), config.rope_theta) == expected


ALL = {f"xielu_{name}": (0.5, 0.5) for name in ("alpha_p", "alpha_n", "beta")}


@pytest.mark.parametrize(
    "change", [{"hidden_act": "silu"}, {"xielu_beta": None}, {"xielu_alpha_n": (0.5,)}]
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        read_config(ApertusConfig, {**TINY, **ALL, **change})
