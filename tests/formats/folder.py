"""Models in safetensors, each layer's tensors below its path, as most formats have them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from .models import EXPERT, OTHER_NAMES
from .record import Matrix, Source, Tensors, Write, Written

Make = Callable[[str, Tensor], Matrix]
"""(the layer's path, its matrix) -> the matrix in a format. What is drawn at random has the shape
of the matrix, and about the size of its numbers."""
Arrange = Callable[[dict[str, Tensors]], Tensors]
"""Parts by their layers' paths -> a file's tensors."""
LEFT = ("lm_head", "embed_tokens", ".gate.weight")
"""What most tools leave as it is: the head, embeddings and routers."""


def usual(name: str, tensor: Tensor) -> bool:
    """Whether most tools quantize a tensor."""
    return tensor.ndim == 2 and not any(part in name for part in LEFT)


def whole(name: str, tensor: Tensor) -> bool:
    """The same of tools that take embeddings and heads, too."""
    return tensor.ndim == 2 and not name.endswith(".gate.weight")


def experts_only(name: str, tensor: Tensor) -> bool:
    return ".experts." in name


def as_folder(
    make: Make,
    settings: Mapping[str, Any] | Callable[[list[str]], Mapping[str, Any]],
    *,
    takes: Callable[[str, Tensor], bool] = usual,
    arrange: Arrange | None = None,
    dtype: str = "float32",
    key: str = "quantization_config",
) -> Write:
    """settings: the quantization, or made of the paths of the layers that are quantized. dtype:
    what config.json says that the model computes in."""

    def write(made: Source, folder: Path) -> Written:
        layers, plain = quantized(made, make, takes)
        parts = {path: matrix.parts for path, matrix in layers.items()}
        said = settings(list(parts)) if callable(settings) else settings
        config = {**config_of(made), "dtype": dtype, key: dict(said)}
        save(folder, config, {**plain, **(arrange or below)(parts)})
        return written(folder, layers, plain)

    return write


def quantized(
    made: Source, make: Make, takes: Callable[[str, Tensor], bool] = usual
) -> tuple[dict[str, Matrix], Tensors]:
    """The layers of a model by their paths, and the tensors that stay."""
    torch.manual_seed(0)
    paths = {
        name: name.removesuffix(".weight") for name, data in made.tensors.items()
        if takes(name, data)
    }  # fmt: skip
    layers = {path: make(path, made.tensors[name]) for name, path in paths.items()}
    return layers, {name: data for name, data in made.tensors.items() if name not in paths}


def written(path: Path, layers: Mapping[str, Matrix], plain: Tensors) -> Written:
    numbers = {f"{layer}.weight": matrix.numbers for layer, matrix in layers.items()}
    exact = {
        f"{layer}.weight": matrix.numbers if matrix.exact is None else matrix.exact
        for layer, matrix in layers.items()
    }
    return Written(path, {**plain, **numbers}, {**plain, **exact})


def config_of(made: Source) -> dict[str, Any]:
    """config.json's object."""
    config: dict[str, Any] = made.config.to_dict()
    return config


def save(folder: Path, config: Mapping[str, Any], tensors: Tensors) -> None:
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    held = {name: tensor.clone().contiguous() for name, tensor in tensors.items()}
    save_file(held, folder / "model.safetensors", {"format": "pt"})


def below(layers: dict[str, Tensors]) -> Tensors:
    """Each part under its layer's path."""
    return {f"{path}.{part}" if part else path: tensor
            for path, parts in layers.items() for part, tensor in parts.items()}  # fmt: skip


def by_expert(layers: Mapping[str, Tensors]) -> tuple[dict[tuple[str, str], list[Tensors]], Any]:
    """(mixture's path, "gate_proj") -> the parts of all experts in order; and the other layers."""
    found: dict[tuple[str, str], dict[int, Tensors]] = {}
    rest = {}
    for path, parts in layers.items():
        if (expert := EXPERT.fullmatch(path)) is None:
            rest[path] = parts
            continue
        name = OTHER_NAMES.get(expert["name"], expert["name"])
        found.setdefault((expert["mixture"], name), {})[int(expert["number"])] = parts
    ordered = {key: [experts[i] for i in sorted(experts)] for key, experts in found.items()}
    return ordered, rest


def stack(experts: list[Tensors]) -> Tensors:
    """Each part of all experts in one tensor."""
    return {part: torch.stack([each[part] for each in experts]) for part in experts[0]}


def fused(name: Callable[[str, str], str], *, rows: int = 0) -> Arrange:
    """Experts as transformers 5 has them in memory, gate above up and all experts in one tensor;
    rows: the dimension along which gate and up follow each other.

    name: (path of `gate_up_proj` or `down_proj`, part) -> the tensor's name.
    """

    def arrange(layers: dict[str, Tensors]) -> Tensors:
        experts, rest = by_expert(layers)
        out = below(rest)
        for mixture in dict.fromkeys(mixture for mixture, _ in experts):
            pairs = zip(experts[mixture, "gate_proj"], experts[mixture, "up_proj"], strict=True)
            both = [
                {
                    part: torch.cat((gate[part], up[part]), rows) if gate[part].ndim else gate[part]
                    for part in gate
                }
                for gate, up in pairs
            ]
            path = f"{mixture.replace('block_sparse_moe', 'mlp')}.experts"
            for own, parts in (
                ("gate_up_proj", both),
                ("down_proj", experts[mixture, "down_proj"]),
            ):
                out |= {name(f"{path}.{own}", part): data for part, data in stack(parts).items()}
        return out

    return arrange
