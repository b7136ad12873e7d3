"""Writes a model in UQFF 1.2, as mistral.rs 0.9.5 does and reads.

    <stem>-0.uqff, <stem>-1.uqff, ...   packed matrices, up to 10 GiB a part
    residual.safetensors                what is dense: norms and biases
    config.json                         with rope_theta at its top, which mistral.rs looks for
    uqff_report.json                    what each layer was made to
    and the tokenizer's files

A part is written under another name and renamed when it is whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from tramontane.tokenizer.json_file import read_object

from .container import GGML_NAMES, RESIDUAL
from .formats import one
from .parts import AFQ, GGML, HQQ, VERSION, check_parts, label

LIMIT = 10 << 30
"""Bytes of a part, beyond which the next is begun."""
WRITTEN = (1, 2, 0)
REPORT = "uqff_report.json"
BESIDE = (
    "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
    "vocab.json", "merges.txt", "added_tokens.json", "generation_config.json",
    "chat_template.jinja", "chat_template.json", "preprocessor_config.json",
    "processor_config.json",
)  # fmt: skip


def write(
    folder: Path,
    layers: Iterable[tuple[str, Mapping[str, Tensor]]],
    residual: Mapping[str, Tensor],
    source: Path,
    *,
    stem: str = "model",
    target: str = "",
    limit: int = LIMIT,
) -> list[Path]:
    """Write a model, and return its parts.

    layers: each matrix's name, "model.layers.0.mlp.up_proj.weight", and its parts as `encode` makes
    them; they are taken one after the other, so that a generator needs memory for one part only.
    residual: all other tensors. source: the folder whose config.json and tokenizer are copied.
    target: the kind that was asked for, for the report. Raises ValueError and OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    held: dict[str, Tensor] = {}
    details: list[dict[str, Any]] = []
    for name, parts in layers:
        if not name.endswith(".weight"):
            raise ValueError(f"{name}: a layer's name ends in .weight")
        kind = one(parts, "format", name)
        check_parts(name, kind, parts)
        size = _size(held)
        if held and size + _size(parts) > limit:
            paths.append(_saved(folder / f"{stem}-{len(paths)}.uqff", held))
            held = {}
        held |= {f"{name}.{part}" if part else name: each for part, each in parts.items()}
        details.append(_detail(name, kind, parts, target))
    if not details:
        raise ValueError("there is no layer to write")
    paths.append(_saved(folder / f"{stem}-{len(paths)}.uqff", held))
    _saved(folder / RESIDUAL, dict(residual))
    _config(source, folder)
    _report(folder / REPORT, details, [path.name for path in paths], target)
    return paths


def _size(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors.values())


def _saved(path: Path, tensors: dict[str, Tensor]) -> Path:
    from tramontane.version import __version__

    version = dict(zip(VERSION, WRITTEN, strict=True))
    numbers = {name: torch.tensor(value, dtype=torch.uint32) for name, value in version.items()}
    metadata = {
        "uqff.version": ".".join(map(str, WRITTEN)), "uqff.producer": "tramontane",
        "uqff.producer.tramontane.version": __version__,
    }  # fmt: skip
    unfinished = path.with_name(f".{path.name}.part")
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    if path.suffix == ".uqff":
        whole |= numbers
    try:
        save_file(whole, unfinished, metadata)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def _detail(name: str, kind: int, parts: Mapping[str, Tensor], target: str) -> dict[str, Any]:
    said = {part: one(parts, part, name) for part in
            {AFQ: ("bits",), HQQ: ("bits",), GGML: ("dtype",)}.get(kind, ())}  # fmt: skip
    stored = label(kind, said, GGML_NAMES)
    shape = list(parts[""].shape)
    return {
        "module": name.removesuffix(".weight"), "default_target": target or stored,
        "resolved_target": stored, "stored": stored, "shape": shape,
    }  # fmt: skip


def _report(path: Path, details: list[dict[str, Any]], shards: list[str], target: str) -> None:
    from tramontane.version import __version__

    counts = dict(sorted(Counter(each["stored"] for each in details).items()))
    output = {
        "quant": target or max(counts, key=lambda kind: counts[kind]), "shards": shards,
        "layers": len(details), "actual_counts": counts,
        "fallback_count": 0, "layer_details": details,
    }  # fmt: skip
    said = {
        "schema": 1,
        "generated_by": {"tool": "tramontane", "tramontane_version": __version__},
        "uqff_version": ".".join(map(str, WRITTEN)),
        "outputs": [output],
    }
    path.write_text(json.dumps(said, indent=2) + "\n", "utf-8")


def _config(source: Path, folder: Path) -> None:
    config = dict(read_object(source / "config.json"))
    for key in ("quantization", "quantization_config"):
        config.pop(key, None)
    rope = config.get("rope_parameters")
    if isinstance(rope, Mapping) and isinstance(rope.get("rope_theta"), int | float):
        config.setdefault("rope_theta", rope["rope_theta"])
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    for name in BESIDE:
        if (source / name).exists() and source.resolve() != folder.resolve():
            shutil.copyfile(source / name, folder / name)
