"""Encoders of texts on the device against the reference, and norms for rows on the processor."""

from __future__ import annotations

import pytest
import torch
from tramontane.backend import Device
from tramontane.blocks import TokenTexts
from tramontane.plugin import Architecture
from tramontane.registry import Registry
from tramontane.tasks.text_vectors import here
from tramontane.testing.forward_passes import whole
from tramontane.testing.random_model import random_model
from tramontane.testing.rounding import relative
from tramontane_backend_opencl.prepare import prepare

TEXTS = [[3, 1, 4, 1, 5], [9, 2], list(range(20))]


def rows_of(model: object) -> torch.Tensor:
    """(rows, hidden) of all texts."""
    work = model.rows(TokenTexts.of(TEXTS))  # type: ignore[attr-defined]
    with torch.inference_mode():
        while True:
            try:
                next(work)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["BertModel", "MPNetModel", "ModernBertModel"])
def test_rows(described: Device, name: str) -> None:
    offer = Registry().get(Architecture, name)
    model, plain = random_model(offer), random_model(offer)
    prepare(model, described, None)
    found = rows_of(model)
    assert found.device == torch.device(described.torch_device)
    assert relative(found.cpu(), rows_of(plain)) < 1e-5


def test_a_norm_for_rows_on_the_processor(described: Device) -> None:
    offer = Registry().get(Architecture, "LlamaForCausalLM")
    model, plain = random_model(offer), random_model(offer)
    prepare(model, described, None)
    x = torch.randn(3, plain.model.norm.weight.shape[0])
    norm = here(model.model.norm)
    assert torch.equal(norm(x), plain.model.norm(x))
    assert here(plain.model.norm) is plain.model.norm
    # the model's own is as it was
    assert whole(model, [1, 2, 3], torch.device(described.torch_device)).shape[0] == 3
