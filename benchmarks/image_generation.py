"""Steps of FLUX.1's transformer, against diffusers on the same processor.

    python benchmarks/image_generation.py FOLDER [--size 512] [--steps 4] [--rounds 3] [--threads 2]

A transformer of random weights with all of FLUX.1's layers at 1/20 of its width (5 heads of 32) is
written to FOLDER in float32 and bfloat16, unless it is there. Needs diffusers. Prints seconds of an
image's steps with 512 tokens of text, without encoders and decoder: medians of rounds that take
turns, and how many times the better of diffusers' two is ours.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from tramontane.blocks.vision import at_once
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.load_parts import load_parts
from tramontane.checkpoint.open import open_checkpoint
from tramontane.registry import Registry
from tramontane_arch_flux.config import ScheduleConfig
from tramontane_arch_flux.schedule import sigmas

TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
TOKENS, WIDE, POOLED, CHANNELS = 512, 208, 48, 64
Image = Callable[[], torch.Tensor]


def written(folder: Path, layers: tuple[int, int]) -> None:
    from diffusers import FluxTransformer2DModel

    for name, dtype in TYPES.items():
        if not (folder / name).exists():
            torch.manual_seed(0)
            made = FluxTransformer2DModel(
                num_layers=layers[0], num_single_layers=layers[1], attention_head_dim=32,
                num_attention_heads=5, joint_attention_dim=WIDE, pooled_projection_dim=POOLED,
                axes_dims_rope=(4, 14, 14),
            )  # fmt: skip
            made.to(dtype).save_pretrained(folder / name)


def given(size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    rows = (size // 16) ** 2
    return torch.randn(rows, CHANNELS), torch.randn(TOKENS, WIDE), torch.randn(1, POOLED)


def theirs(folder: Path, size: int, steps: int) -> Image:
    from diffusers import FluxPipeline, FluxTransformer2DModel

    dtype = TYPES[folder.name]
    model: Any = FluxTransformer2DModel.from_pretrained(folder, torch_dtype=dtype)
    noise, text, pooled = (each.to(dtype) for each in given(size))
    side = size // 16
    ids = FluxPipeline._prepare_latent_image_ids(1, side, side, "cpu", dtype)
    text_ids = torch.zeros(TOKENS, 3, dtype=dtype)
    left = sigmas(ScheduleConfig(), steps, side * side)

    def image() -> torch.Tensor:
        x = noise[None]
        for now, later in pairwise(left):
            way = model(
                hidden_states=x, encoder_hidden_states=text[None], pooled_projections=pooled,
                timestep=now[None].to(dtype), img_ids=ids, txt_ids=text_ids, return_dict=False,
            )[0]  # fmt: skip
            x = (x.float() + (later - now) * way).to(dtype)
        return x[0].float()

    return image


def ours(folder: Path, size: int, steps: int, threads: int) -> Image:
    registry = Registry()
    options = LoadOptions(threads=threads)
    part = load_parts({"": open_checkpoint(folder, registry)}, registry, options)[""]
    noise, text, pooled = given(size)
    side = size // 16
    left = sigmas(ScheduleConfig(), steps, side * side)

    def image() -> torch.Tensor:
        x = noise
        with part.around():
            for now, later in pairwise(left):
                way = part.model.parts(x, (side, side), text, pooled, float(now), 0.0)
                x = x + (later - now) * at_once(way)
        return x

    return image


def main() -> None:
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("folder", type=Path)
    cli.add_argument("--size", type=int, default=512)
    cli.add_argument("--steps", type=int, default=4)
    cli.add_argument("--rounds", type=int, default=3)
    cli.add_argument("--threads", type=int, default=2)
    cli.add_argument("--layers", type=int, nargs=2, default=(19, 38))
    options = cli.parse_args()
    torch.set_num_threads(options.threads)
    written(options.folder, tuple(options.layers))
    size, steps = options.size, options.steps
    images = {}
    for name in TYPES:
        images[f"diffusers {name}"] = theirs(options.folder / name, size, steps)
        images[f"tramontane {name}"] = ours(options.folder / name, size, steps, options.threads)
    seconds: dict[str, list[float]] = {name: [] for name in images}
    with torch.inference_mode():
        made = {name: image() for name, image in images.items()}  # and warm
        for _ in range(options.rounds):
            for name, image in images.items():
                torch.set_num_threads(options.threads)
                started = time.perf_counter()
                image()
                seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    exact = made["diffusers f32"]
    for name, each in medians.items():
        off = float((made[name] - exact).norm() / exact.norm())
        print(f"{name:16} {each:7.2f} s, {off:.1e} from diffusers f32")
    best = min(each for name, each in medians.items() if name.startswith("diffusers"))
    for name, each in medians.items():
        if name.startswith("tramontane"):
            print(f"{name}: {best / each:.2f} times the better of diffusers")


if __name__ == "__main__":
    main()
