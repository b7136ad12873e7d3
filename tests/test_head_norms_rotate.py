"""Norms of each head with adjacent pairs, as the guide describes: Cohere's, in transformers.

No family of the repository has both, so the model is here: what an author would write.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from tramontane.backend import Device
from tramontane.blocks import (
    Attention,
    CausalLM,
    GatedMLP,
    HeadNorm,
    LayerNorm,
    ParallelLayer,
    rope_for,
)
from tramontane.checkpoint.build import build
from tramontane.checkpoint.fill import fill
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.checkpoint.rules import Deinterleave
from tramontane.config import LayerNormConfig, read_config
from tramontane.plugin import Architecture, Backend, load
from tramontane.registry import Registry
from tramontane.testing.forward_passes import in_pieces, whole

IDS = [(7 * i + 3) % 60 for i in range(37)]


class Config(LayerNormConfig):
    logit_scale: float = 0.0625
    tie_word_embeddings: bool = True


def norm(cfg: Config) -> LayerNorm:
    return LayerNorm(cfg.hidden_size, cfg.layer_norm_eps, bias=False)


class CohereLayer(ParallelLayer):
    def __init__(self, cfg: Config, index: int) -> None:
        q_norm, k_norm = (
            HeadNorm(cfg.head_dim, cfg.layer_norm_eps, heads=heads, center=True)
            for heads in (cfg.num_attention_heads, cfg.num_key_value_heads)
        )
        attention = Attention(cfg, index, rope=rope_for(cfg), q_norm=q_norm, k_norm=k_norm)
        super().__init__(cfg, attention, GatedMLP(cfg), norm=norm)


class Cohere(CausalLM):
    Layer = CohereLayer
    Norm = staticmethod(norm)
    cfg: Config

    def logits(self, x: Tensor) -> Tensor:
        return super().logits(x) * self.cfg.logit_scale


ROWS = [Deinterleave("*.q_proj"), Deinterleave("*.k_proj")]
NORMS = [Deinterleave("*.q_norm"), Deinterleave("*.k_norm")]
WEIGHTS = {"hf": ROWS + NORMS}
ROWS_ALONE = {"hf": ROWS}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tensor]:
    transformers = pytest.importorskip("transformers")
    config = transformers.CohereConfig(
        vocab_size=60, hidden_size=48, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, use_qk_norm=True, initializer_range=0.3,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    torch.manual_seed(4)
    model = transformers.CohereForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.normal_(1.0, 0.5)
    path = tmp_path_factory.mktemp("cohere")
    model.save_pretrained(path)
    with torch.inference_mode():
        return path, model(torch.tensor([IDS])).logits[0]


def loaded(path: Path, weights: str) -> CausalLM:
    checkpoint = open_checkpoint(path, Registry())
    architecture = Architecture(
        name="CohereForCausalLM", config=f"{__name__}:Config", model=f"{__name__}:Cohere",
        weights=f"{__name__}:{weights}",
    )  # fmt: skip
    config = read_config(Config, checkpoint.header.config)
    model = build(architecture, config)
    fill(checkpoint, model, config, architecture, torch.float32, LoadOptions())
    return model


def difference(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).abs().max() / expected.abs().max())


def test_norm_weights_move_with_the_rows(theirs: tuple[Path, Tensor]) -> None:
    path, expected = theirs
    assert difference(whole(loaded(path, "WEIGHTS"), IDS), expected) < 1e-5


def test_norm_weights_left_behind_are_wrong(theirs: tuple[Path, Tensor]) -> None:
    path, expected = theirs
    got = whole(loaded(path, "ROWS_ALONE"), IDS)
    assert difference(got, expected) > 1e-2


def test_the_cpu_backend_records_it(theirs: tuple[Path, Tensor]) -> None:
    path, expected = theirs
    model = loaded(path, "WEIGHTS")
    backend = Registry().get(Backend, "cpu")
    device: Device = load(backend.probe)()[0]
    chosen: Any = load(backend.prepare)(model, device, 2, "f32")
    assert chosen["step"] == "recorded"
    got = whole(model, IDS)
    assert difference(got, expected) < 1e-5
    assert torch.equal(in_pieces(model, IDS, [9, 1, 27]), got)
