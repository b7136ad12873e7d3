"""A tiny random model that speaks, with its codec, in a folder."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from safetensors.torch import save_file
from torch import Tensor

HIDDEN, WIDE, CODES, CHANNELS = 16, 24, 1028, 9


def write_speaking_model(folder: Path) -> None:
    """Dia with one layer of each kind, a DAC, and a voice."""
    attention = {"head_dim": 8, "num_attention_heads": 2, "num_key_value_heads": 2}
    sizes = {"hidden_size": HIDDEN, "intermediate_size": WIDE, "num_hidden_layers": 1}
    cross = {f"cross_{name}": value for name, value in attention.items()}
    config = {
        "architectures": ["DiaForConditionalGeneration"], "model_type": "dia",
        "encoder_config": attention | sizes,
        "decoder_config": attention | sizes | cross | {"cross_hidden_size": HIDDEN},
    }  # fmt: skip
    inside: dict[str, tuple[int, ...]] = {
        "mlp.gate_up_proj": (2 * WIDE, HIDDEN), "mlp.down_proj": (HIDDEN, WIDE)
    }  # fmt: skip
    both = {
        f"{a}.{m}_proj": (16, 16) for a in ("self_attention", "cross_attention") for m in "qkvo"
    }
    shapes = {
        "model.encoder.embedding": (256, HIDDEN), "model.encoder.norm": (HIDDEN,),
        "model.decoder.embeddings.embed": (CODES * CHANNELS, HIDDEN),
        "model.decoder.norm": (HIDDEN,), "logits_dense": (CODES * CHANNELS, HIDDEN),
    }  # fmt: skip
    for part, norms in (
        ("encoder", ("pre_sa", "post_sa")),
        ("decoder", ("pre_sa", "pre_ca", "pre_mlp")),
    ):
        layer = inside | {f"{name}_norm": (HIDDEN,) for name in norms}
        layer |= {k: v for k, v in both.items() if part == "decoder" or "self" in k}
        shapes |= {f"model.{part}.layers.0.{name}": shape for name, shape in layer.items()}
    random = torch.Generator().manual_seed(0)
    _write(folder, config, {f"{name}.weight": shape for name, shape in shapes.items()}, random)
    codec = {
        "architectures": ["DacModel"], "model_type": "dac", "encoder_hidden_size": 2,
        "decoder_hidden_size": 16, "sampling_rate": 44_100,
    }  # fmt: skip
    _write(folder / "dac", codec, dict(_codec(2, 16)), random)
    voices = folder / "voices"
    voices.mkdir()
    soundfile.write(voices / "ada.wav", np.sin(np.arange(4410) / 9), 44_100)
    (voices / "ada.txt").write_text("[S1] I am Ada.")


def _codec(first: int, last: int) -> Any:
    ratios, wide = (2, 4, 8, 8), first * 16

    def conv(name: str, *shape: int, up: bool = False) -> Any:
        yield f"{name}.weight", shape
        yield f"{name}.bias", (shape[1] if up else shape[0],)

    def units(name: str, size: int) -> Any:
        for unit in (1, 2, 3):
            inner = f"{name}.res_unit{unit}"
            yield f"{inner}.snake1.alpha", (1, size, 1)
            yield f"{inner}.snake2.alpha", (1, size, 1)
            yield from conv(f"{inner}.conv1", size, size, 7)
            yield from conv(f"{inner}.conv2", size, size, 1)

    yield from conv("encoder.conv1", first, 1, 7)
    yield from conv("encoder.conv2", wide, wide, 3)
    yield "encoder.snake1.alpha", (1, wide, 1)
    yield from conv("decoder.conv1", last, wide, 7)
    yield from conv("decoder.conv2", 1, last // 16, 7)
    yield "decoder.snake1.alpha", (1, last // 16, 1)
    for index, (down, up) in enumerate(zip(ratios, ratios[::-1], strict=True)):
        size = first << index
        yield from units(f"encoder.block.{index}", size)
        yield f"encoder.block.{index}.snake1.alpha", (1, size, 1)
        yield from conv(f"encoder.block.{index}.conv1", 2 * size, size, 2 * down)
        size = last >> index
        yield f"decoder.block.{index}.snake1.alpha", (1, size, 1)
        yield from conv(f"decoder.block.{index}.conv_t1", size, size // 2, 2 * up, up=True)
        yield from units(f"decoder.block.{index}", size // 2)
    for index in range(CHANNELS):
        yield from conv(f"quantizer.quantizers.{index}.in_proj", 8, wide, 1)
        yield from conv(f"quantizer.quantizers.{index}.out_proj", wide, 8, 1)
        yield f"quantizer.quantizers.{index}.codebook.weight", (1024, 8)


def _write(
    folder: Path,
    config: dict[str, Any],
    shapes: dict[str, tuple[int, ...]],
    random: torch.Generator,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file({name: _numbers(shape, random) for name, shape in shapes.items()},
              folder / "model.safetensors")  # fmt: skip


def _numbers(shape: tuple[int, ...], random: torch.Generator) -> Tensor:
    if len(shape) == 1 or shape[0] == 1 == shape[-1]:
        return torch.ones(shape)
    return torch.randn(shape, generator=random) / math.prod(shape[1:]) ** 0.5
