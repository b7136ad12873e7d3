"""A quantized folder: what `encode` makes of each matrix, and everything else as it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tramontane.checkpoint.load_options import Progress
from tramontane.checkpoint.prefetch import read_ahead
from tramontane.errors import CheckpointError, RequestError
from tramontane.hub.choose import SIDE_FILES
from tramontane.plugin import load

from .kinds import Kind
from .make_layer import encode, settings
from .shard_writer import SHARD, ShardWriter
from .source import QuantizeSource

OLD = {"config.json", "quantize_config.json", "quant_config.json"}
"""Small files that are written anew, or say how the source was quantized."""
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def write_folder(
    source: QuantizeSource, folder: Path, progress: Progress | None = None, shard: int = SHARD
) -> None:
    """Write a model into a folder that is empty, or that `source.partial` tells of. shard: bytes of
    a file of several.

    Raises RequestError, CheckpointError, PluginBroken, OSError.
    """
    if source.folder is None or source.header.dialect != "hf":
        raise RequestError(
            f"{source.header.path} is no folder of safetensors, whose names and tokenizer a "
            "quantized folder needs; quantize the original model, or name a container to write"
        )
    (kind, *others) = source.kinds.values()
    if strange := next((other for other in others if other.offer is not kind.offer), None):
        raise RequestError(
            f"a folder has one format: {kind.name} is {kind.offer.name}'s, and {strange.name} "
            f"{strange.offer.name}'s"
        )
    config = json.loads((source.folder / "config.json").read_text("utf-8"))
    named = config.get("torch_dtype") or config.get("dtype")
    dtype = DTYPES.get(str(named), torch.float16)
    writer = ShardWriter(folder, 4 * len(source.header.tensors), shard)
    names, begun, partial = list(source.header.tensors), 0, source.partial
    if partial is not None and partial.state:
        if writer.resume(partial.state["writer"]):
            begun = int(partial.state["done"])
        else:
            partial.anew("files of what had been written are gone")
            folder.mkdir()
    done = sum(source.header.tensors[name].nbytes for name in names[:begun])

    def made(name: str) -> dict[str, Tensor]:
        each = source.kinds.get(name)
        return {name: source.stored(name, dtype)} if each is None else _layer(source, name, each)

    try:
        for index, (name, tensors) in enumerate(read_ahead(made, names[begun:]), begun + 1):
            for path, tensor in tensors.items():
                writer.add(path, tensor)
            size = source.header.tensors[name].nbytes
            done += size
            if partial is not None and partial.due(size):
                writer.sync()
                partial.record(index, writer=writer.state())
            if progress is not None:
                progress(done, source.nbytes)
    except BaseException:
        writer.leave()
        raise
    writer.close({"format": "pt"})
    paths = {name.removesuffix(".weight"): each.name for name, each in source.kinds.items()}
    _write_config(folder, config, settings(kind, paths))
    for name in SIDE_FILES:
        if name not in OLD and (source.folder / name).exists():
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(source.folder / name, folder / name)


def _layer(source: QuantizeSource, name: str, kind: Kind) -> dict[str, Tensor]:
    path = name.removesuffix(".weight")
    weight = source.read(name)
    if not weight.isfinite().all():
        raise CheckpointError(f"{name}: some of its weights are infinite or not numbers")
    try:
        tensors = encode(kind, weight, source.importance.get(name))
    except ValueError as error:
        raise CheckpointError(f"{name}: {error}") from error
    return {f"{path}.{part}" if part else path: tensor for part, tensor in tensors.items()}


def _write_config(folder: Path, config: dict[str, Any], quantization: dict[str, Any]) -> None:
    for key in ("quantization_config", "quantization"):
        config.pop(key, None)
    config["quantization_config"] = quantization
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")


def write_container(
    source: QuantizeSource, path: Path, target: str, kind: str, progress: Progress
) -> None:
    """Let a container's quantizer write its file. Raises what it raises."""
    load(target)(source, path, kind, progress)
