"""Every way from a file to a family's weights, and how far its logits are from transformers'."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from gguf import GGMLQuantizationType as Type
from safetensors.torch import load_file, save_file
from torch import Tensor
from tramontane.checkpoint.load import Loaded, load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.registry import Registry

from . import gguf_file, reference
from .dialects import OTHERS, other
from .families import FAMILIES
from .families.odd import SETS, odd
from .forward import logits

DEVICES = ("reference", "cpu")
TOLERANCE = 1e-4
TOKENS = torch.randint(3, 99, (40,), generator=torch.Generator().manual_seed(1)).tolist()
PROMPT = 25
PLAIN = ("F32", "F16", "BF16")
PACKED = ("Q4_0", "Q8_0", "Q4_K", "Q6_K")
COLUMNS = ("safetensors", ".bin", "other names", "GGUF, plain", "GGUF, packed")


def folders(family: str, settings: dict[str, Any], at: Path) -> Iterator[tuple[str, Any, Path]]:
    """A column's name, transformers' model, and a folder that holds it so; one by one."""
    theirs = reference.random(FAMILIES[family], settings, sum(map(ord, family)))
    reference.save(FAMILIES[family], theirs, at / "safetensors")
    yield "safetensors", theirs, at / "safetensors"
    config = json.loads((at / "safetensors" / "config.json").read_text("utf-8"))
    tensors = load_file(at / "safetensors" / "model.safetensors")
    (at / "bin").mkdir()
    (at / "bin" / "config.json").write_text(json.dumps(config), "utf-8")
    torch.save(strided(tensors), at / "bin" / "pytorch_model.bin")
    yield ".bin", theirs, at / "bin"
    if family in OTHERS:
        (at / "other").mkdir()
        named, told = other(family, tensors, config)
        (at / "other" / "config.json").write_text(json.dumps(told), "utf-8")
        save_file(named, at / "other" / "model.safetensors")
        yield "other names", theirs, at / "other"


def strided(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same numbers, every matrix lying the other way round, as `torch.save` leaves them."""
    return {name: data.mT.contiguous().mT if data.dim() > 1 else data
            for name, data in tensors.items()}  # fmt: skip


def written(
    family: str, kinds: tuple[str, ...], at: Path, **settings: Any
) -> Iterator[tuple[str, Any, Path]]:
    """The same of GGUF files."""
    if FAMILIES[family].gguf is None:
        return
    for kind in kinds:
        (at / kind).mkdir(parents=True)
        theirs = gguf_file.pair(family, Type[kind], at / kind / "model.gguf", **settings)
        column = "GGUF, plain" if kind in PLAIN else "GGUF, packed"
        yield column, theirs, at / kind / "model.gguf"


def everything(family: str, at: Path) -> Iterator[tuple[str, Any, Path]]:
    """All that the table tells of a family: its configurations and odd sizes; one of either from
    every kind of file."""
    record = FAMILIES[family]
    settings = [{**record.shared, **variant} for variant in record.variants.values()]
    settings = [odd(family, name) for name in SETS] + settings
    for index, each in enumerate(settings):
        ways = folders(family, each, at / str(index))
        yield from ways if index in (0, len(SETS)) else islice(ways, 1)
    if record.gguf is not None:
        yield from written(family, PLAIN[:1], at / "even")
        yield from written(family, PLAIN, at / "odd", **odd(family, "shared", gguf=True))
        yield from written(family, PACKED, at / "packed")


def opened(path: Path, device: str, **options: Any) -> Loaded:
    registry = Registry()
    chosen: dict[str, Any] = {"dtype": "f32"} if path.is_dir() else {"activations": "f32"}
    # models this small gain nothing from threads
    chosen |= {"num_ctx": 64, "threads": 1}
    settings = LoadOptions(device=device, **{**chosen, **options})
    return load_model(open_checkpoint(path, registry), registry, settings)


def expected(theirs: Any) -> tuple[Tensor, Tensor]:
    """transformers' logits of a prompt at once, and of one with tokens behind it one by one."""
    return reference.prefill(theirs, TOKENS), reference.decode(theirs, TOKENS, PROMPT)


def difference(theirs: tuple[Tensor, Tensor], path: Path, device: str) -> float:
    """The largest difference of logits from what was expected, as a share of the largest logit."""
    ours = opened(path, device)
    (whole,), (chunked,) = logits(ours, [TOKENS]), logits(ours, [TOKENS], chunk=7, prompts=[PROMPT])
    found = zip((whole, chunked), theirs, strict=True)
    return max(float((mine - other).abs().max() / other.abs().max()) for mine, other in found)
