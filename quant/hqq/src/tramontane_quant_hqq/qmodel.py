"""hqq's own file, `qmodel.pt` beside a `config.json`: a pickled dict of modules.

    {"model.layers.0.self_attn.q_proj": {"W_q": ..., "scale": ..., "nbits": 4, "axis": 1, ...},
     "model.norm": {"weight": ...}}

Only tensors, numbers, words and types are read from it (`weights_only`): nothing in it runs. Files
of hqq before 0.2 keep a layer's numbers under "meta", and may have the zeros and scales quantized
themselves (`zero_q` with `meta_zero`), whose weights are computed here as the library does.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from tramontane.checkpoint.checkpoint import Header, TensorInfo
from tramontane.errors import CheckpointError
from tramontane.layouts import Dense, Layout, nbytes
from tramontane.sanitize import one_line
from tramontane.tokenizer.json_file import read_if_there, read_object
from tramontane.tokenizer.tokenizer import Tokenizer

from .layers import whole_or
from .matrix import Matrix, arrangement
from .packing import PACKINGS, WORDS, codes_of


class Qmodel:
    """An opened `qmodel.pt`. Implements `Checkpoint`. Raises CheckpointError for a file that is
    damaged or holds anything else."""

    names: Mapping[str, str] = MappingProxyType({})

    def __init__(self, path: Path) -> None:
        self.path = path
        config = read_object(path.parent / "config.json")
        names = config.get("architectures")
        if not (isinstance(names, list) and names and isinstance(names[0], str)):
            raise CheckpointError(
                f"{path.parent / 'config.json'}: 'architectures' must name a class; it is "
                f"{one_line(repr(names), 60)}"
            )
        self._layers: dict[str, Mapping[str, Any]] = {}
        self._tensors: dict[str, Tensor] = {}
        infos = {}
        for module, held in _loaded(path).items():
            for name, value in _parts(module, held, path).items():
                if isinstance(value, Tensor):
                    self._tensors[name] = value
                    infos[name] = _info(value)
                else:
                    self._layers[name] = value
                    infos[name] = _layer_info(value, f"{path}: {module}")
        self.header = Header(path, "qmodel", "hf", names[0], config, infos)

    def read(self, name: str) -> Layout:
        """One tensor or layer. Raises CheckpointError that names it."""
        if (layer := self._layers.get(name)) is not None:
            return layout_of(layer, f"{self.path}: {name.removesuffix('.weight')}")
        if name not in self._tensors:
            raise CheckpointError(f"{self.path}: there is no tensor {one_line(name, 120)}")
        tensor = self._tensors[name]
        if not tensor.is_floating_point():
            raise CheckpointError(
                f"{self.path}: {one_line(name, 120)} is {tensor.dtype}, no weight"
            )
        return Dense(tensor)

    def tokenizer(self) -> Tokenizer:
        from tramontane.tokenizer.files import from_folder

        return from_folder(self.path.parent)

    def chat_template(self) -> str | None:
        from tramontane.chat.choose import choose_template

        return choose_template(self.path.parent, None, None)

    def tool_template(self) -> str | None:
        """Implements `HasToolTemplate`."""
        from tramontane.chat.choose import choose_template

        return choose_template(self.path.parent, None, None, tools=True)

    def generation_defaults(self) -> Mapping[str, Any]:
        return read_if_there(self.path.parent / "generation_config.json")

    def close(self) -> None:
        self._layers, self._tensors = {}, {}


def _loaded(path: Path) -> dict[str, dict[str, Any]]:
    try:
        with path.open("rb"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except (PermissionError, FileNotFoundError):
        raise
    except Exception as error:
        # a damaged pickle can raise any exception; it is chained
        detail = one_line(str(error).partition("\n")[0].partition(". ")[0] or type(error).__name__)
        raise CheckpointError(
            f"{path} is not a whole qmodel.pt: {detail}; if it was downloaded, download it again"
        ) from error
    if not isinstance(found, dict) or not all(
        isinstance(name, str) and isinstance(held, dict) for name, held in found.items()
    ):
        raise CheckpointError(f"{path} must hold a dict of each module's dict, as hqq saves it")
    if not found:
        raise CheckpointError(f"{path} holds no modules")
    return found


def _parts(module: str, held: Mapping[str, Any], path: Path) -> dict[str, Tensor | dict[str, Any]]:
    """A module's tensors, and its layer if it is one, by the names that they have if dense."""
    if "W_q" not in held:
        parts: dict[str, Any] = {f"{module}.{name}": value for name, value in held.items()}
    else:
        own = {key: value for key, value in held.items() if key not in ("bias", "meta")}
        meta = held.get("meta", {})
        if not isinstance(meta, dict):
            raise CheckpointError(f"{path}: {one_line(module, 120)}: meta is no dict")
        parts = {f"{module}.weight": {**own, **meta}}
        if held.get("bias") is not None:
            parts[f"{module}.bias"] = held["bias"]
    for name, value in parts.items():
        if isinstance(value, dict):
            continue
        if not isinstance(value, Tensor) or value.layout != torch.strided or not value.numel():
            raise CheckpointError(f"{path}: {one_line(name, 120)} is no dense tensor")
    return {k: v.detach() if isinstance(v, Tensor) else v for k, v in parts.items()}


def _info(tensor: Tensor) -> TensorInfo:
    return TensorInfo(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), tensor.nbytes)


def _layer_info(layer: Mapping[str, Any], path: str) -> TensorInfo:
    shape = _shape(layer, path)
    group, axis = layer.get("group_size"), layer.get("axis")
    size = sum(value.nbytes for value in layer.values() if isinstance(value, Tensor))
    if isinstance(group, int) and group > 0 and arrangement(shape, group, axis) == "dense":
        size = 2 * shape[0] * shape[1]
    return TensorInfo(shape, f"hqq{_said(layer, 'nbits', int | float, path):g}", size)


def layout_of(layer: Mapping[str, Any], path: str) -> Layout:
    """A layer with its settings as Python's values. Raises CheckpointError."""
    dtype = layer.get("compute_dtype", torch.float16)
    if dtype not in (torch.float16, torch.bfloat16, torch.float32):
        raise CheckpointError(f"{path}: compute_dtype={one_line(repr(dtype), 60)} is not supported")
    shape = _shape(layer, path)
    scale, zero = (_numbers(layer, name, dtype, path) for name in ("scale", "zero"))
    packing = _said(layer, "packing", str, path)
    words = _said(layer, "W_q", Tensor, path).detach()
    if layer.get("view_as_float") and packing in WORDS:
        words = words.view(WORDS[packing][0])
    group = layer.get("group_size")
    axis = _said(layer, "axis", int, path)
    if not isinstance(group, int):
        group = shape[axis] if axis in (0, 1) else 0
    bits = _said(layer, "nbits", int | float, path)
    whole = whole_or(group, scale, shape)
    made = Matrix(path, shape, words, scale, zero, bits, whole, axis, packing, dtype).layout()
    if any(t.is_floating_point() and not t.isfinite().all() for t in made.tensors().values()):
        raise CheckpointError(f"{path}: its scales or zeros are infinite or not numbers")
    assert nbytes(made)
    return made


def _numbers(layer: Mapping[str, Any], name: str, dtype: torch.dtype, path: str) -> Tensor:
    """Scales or zeros, which may lie in `zero_scale` together, or be quantized themselves."""
    index = ("zero", "scale").index(name)
    both = layer.get("zero_scale")
    if isinstance(both, Tensor) and len(both) == 2:
        layer = {**layer, f"{name}_q" if both.dtype == torch.uint8 else name: both[index]}
    if f"{name}_q" not in layer:
        plain: Tensor = _said(layer, name, Tensor, path).detach()
        return plain.to(dtype)
    meta = layer.get(f"meta_{name}")
    if not isinstance(meta, dict):
        raise CheckpointError(f"{path}: {name}_q has no meta_{name}")
    # such a small matrix is computed at once: (code - zero) * scale in the type of computing
    packing, inner = _said(meta, "packing", str, path), f"{path}: meta_{name}"
    words, shape = _said(layer, f"{name}_q", Tensor, path).detach(), meta.get("shape")
    if packing not in ("8bit_u8", *PACKINGS.values()) or not isinstance(shape, tuple):
        raise CheckpointError(f"{inner}: packing={packing!r} or shape={shape!r} is not known")
    rows = words.shape[0] * WORDS[packing][1]
    if packing == "3bit_32" or words.ndim != 2:
        raise CheckpointError(f"{inner}: {packing} {tuple(words.shape)} is not supported")
    codes = codes_of(words, packing, rows, words.shape[1], inner).to(dtype)
    zero, scale = (
        _said(meta, part, Tensor, inner).detach().to(dtype) for part in ("zero", "scale")
    )
    try:
        found: Tensor = ((codes - zero) * scale).reshape(shape)
        return found
    except RuntimeError as error:
        raise CheckpointError(f"{inner}: its parts do not belong together: {error}") from error


def _shape(layer: Mapping[str, Any], path: str) -> tuple[int, int]:
    shape = layer.get("shape")
    sizes = tuple(shape) if isinstance(shape, tuple | list) else ()
    if len(sizes) != 2 or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise CheckpointError(f"{path}: shape={one_line(repr(shape), 60)} is not rows and columns")
    return sizes[0], sizes[1]


def _said(layer: Mapping[str, Any], name: str, kind: Any, path: str) -> Any:
    value = layer.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise CheckpointError(f"{path}: {name}={one_line(repr(value), 60)} is missing or no {kind}")
    return value
