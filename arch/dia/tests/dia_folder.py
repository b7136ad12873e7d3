"""Tiny Dia and DAC with random weights, as transformers writes and computes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

TEXT = "[S1] Hello there. [S2] Hi!"
ENCODER = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 4, "head_dim": 8,
}  # fmt: skip
DECODER = {
    "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "cross_num_attention_heads": 4, "cross_head_dim": 8,
    "cross_num_key_value_heads": 4, "cross_hidden_size": 32,
}  # fmt: skip


def random_dia(seed: int = 0) -> Any:
    """transformers' model."""
    config = transformers.DiaConfig(encoder_config=ENCODER, decoder_config=DECODER)
    return _random(transformers.DiaForConditionalGeneration(config), seed)


def random_dac(seed: int = 0) -> Any:
    """transformers' codec, of 44.1 kHz."""
    config = transformers.DacConfig(
        encoder_hidden_size=8, decoder_hidden_size=32, sampling_rate=44_100
    )
    return _random(transformers.DacModel(config), seed)


def _random(model: Any, seed: int) -> Any:
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, each in model.named_parameters():
            noise = torch.randn(each.shape, generator=random)
            if each.dim() > 1 and "alpha" not in name:
                each.copy_(noise / each[0].numel() ** 0.5 / (2 if "block" in name else 1))
            else:
                each.add_(noise / 10)
    return model.eval()


def write_folder(folder: Path, dia: Any, dac: Any) -> Path:
    """A model with its codec inside."""
    dia.save_pretrained(folder)
    dac.save_pretrained(folder / "dac")
    return folder


def processor(dac: Any) -> Any:
    """transformers' own."""
    extractor = transformers.DiaFeatureExtractor(sampling_rate=44_100, hop_length=512)
    return transformers.DiaProcessor(extractor, transformers.DiaTokenizer(), dac)
