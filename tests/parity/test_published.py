"""Configurations of well-known checkpoints are accepted, and read as transformers reads them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tramontane.config import read_config
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from . import published, published_later
from .test_defaults import classes, different, layers_that_slide, theirs_of

CLASSES = classes()
PUBLISHED = published.PUBLISHED | published_later.PUBLISHED


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_configurations(name: str) -> None:
    family, said = PUBLISHED[name]
    theirs = theirs_of(family, **said)
    ours = read_config(CLASSES[family], said)
    assert different(family, theirs, ours, sizes=True) == {}
    if hasattr(ours, "window"):
        assert layers_that_slide(ours) == layers_that_slide(theirs)
    if ours.rope_scaling is not None:
        assert_same_rotation(theirs, ours)


def assert_same_rotation(theirs: Any, ours: Any) -> None:
    """Frequencies within and beyond the trained length, and the factor on cos and sin."""
    told = theirs.rope_parameters
    nested = {"layer_type": "full_attention"} if "full_attention" in told else {}
    told = told.get("full_attention", told)
    compute = ROPE_INIT_FUNCTIONS[told["rope_type"]]
    dim = int(ours.head_dim * ours.partial_rotary_factor)
    for length in (1, ours.max_position_embeddings):
        frequencies, factor = compute(theirs, torch.device("cpu"), length, **nested)
        mine = ours.rope_scaling.inverse_frequencies(ours.rope_theta, dim, length)
        torch.testing.assert_close(mine, frequencies)
        if "short_mscale" not in told:
            assert ours.rope_scaling.magnitude(length) == pytest.approx(factor)
