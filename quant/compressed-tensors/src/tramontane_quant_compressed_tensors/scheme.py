"""Which way of storing a layer has, by the configuration's groups.

A group has targets: a module's whole name, "re:" and a regular expression that its name begins
with, or a class, "Linear" or "Embedding". A name goes before an expression, and that before a
class. `ignore` names layers of the same kinds that are left as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tramontane.errors import CheckpointError

FORMATS = {
    "pack-quantized", "int-quantized", "float-quantized", "naive-quantized",
    "nvfp4-pack-quantized", "mxfp4-pack-quantized", "mxfp6-pack-quantized", "mxfp8-quantized",
}  # fmt: skip
SPARSE = {"marlin-24", "sparse-24-bitmask", "sparse-bitmask"}
EMBEDDINGS = {"embed_tokens", "word_embeddings", "embed_in", "wte", "embedding", "embeddings"}
ONLINE = {"input", "output", "q_attn", "k_cache"}
"""Places where a transform changes activations, so that weights alone do not have it."""
DENSE_SINCE = (0, 18)
"""The version since which 3, 5, 6 and 7 bits are packed without unused bits."""


@dataclass(frozen=True)
class Scheme:
    """How a layer's weight is stored. strategy: "tensor", "channel", "group", "block" or
    "tensor_group"; group: columns of a scale, 0 where it has another strategy; padded: whether
    packed words have unused bits where the bits do not divide 32."""

    format: str
    bits: int
    floats: bool
    symmetric: bool
    strategy: str
    group: int
    block: tuple[int, int] | None
    padded: bool


def scheme_of(config: Mapping[str, Any], path: str) -> Scheme:
    """The scheme of a layer. Raises CheckpointError."""
    _refuse_what_changes_numbers(config, path)
    if matched([path], config.get("ignore") or []):
        raise CheckpointError(f"{path}: it is stored quantized, but `ignore` says that it is not")
    group = _group(config, path)
    form = group.get("format") or config.get("format")
    weights = group.get("weights")
    if form in SPARSE:
        raise CheckpointError(
            f"{path}: format {form!r}, for sparse weights, is not supported; use a model without "
            "sparsity"
        )
    if form not in FORMATS:
        raise CheckpointError(f"{path}: format {form!r} is not one of {', '.join(sorted(FORMATS))}")
    if not isinstance(weights, Mapping):
        raise CheckpointError(f"{path}: its group says nothing of weights")
    return _scheme(str(form), weights, config, path)


def _scheme(form: str, said: Mapping[str, Any], config: Mapping[str, Any], path: str) -> Scheme:
    bits, size = said.get("num_bits", 8), said.get("group_size")
    if not isinstance(bits, int) or not 1 <= bits <= 8:
        raise CheckpointError(f"{path}: num_bits={bits!r} is not a number from 1 to 8")
    if size is not None and not (isinstance(size, int) and (size > 0 or size == -1)):
        raise CheckpointError(f"{path}: group_size={size!r} is not a number of columns")
    block = said.get("block_structure")
    if isinstance(block, str):
        block = [int(part) if part.isdecimal() else 0 for part in block.split("x")]
    if block is not None and not (
        isinstance(block, list | tuple)
        and len(block) == 2
        and all(isinstance(part, int) and part > 0 for part in block)
    ):
        raise CheckpointError(f"{path}: block_structure={block!r} is not two numbers")
    strategy = said.get("strategy")
    if strategy is None:
        strategy = "tensor" if size is None else "channel" if size == -1 else "group"
    known = {"tensor", "channel", "group", "block", "tensor_group"}
    if strategy not in known or (strategy == "block") > (block is not None):
        raise CheckpointError(f"{path}: strategy {strategy!r} with {size=} and {block=}")
    if strategy in ("group", "tensor_group") and (size is None or size < 1):
        raise CheckpointError(f"{path}: strategy {strategy!r} needs a group_size, not {size!r}")
    return Scheme(
        format=form,
        bits=bits,
        floats=said.get("type", "int") == "float",
        symmetric=said.get("symmetric", True) is not False,
        strategy=str(strategy),
        group=size if size is not None and strategy in ("group", "tensor_group") else 0,
        block=(block[0], block[1]) if block is not None and strategy == "block" else None,
        padded=_version(config) < DENSE_SINCE,
    )


def _version(config: Mapping[str, Any]) -> tuple[int, ...]:
    """Of the library that wrote the files; those that do not say are taken as new."""
    parts = re.match(r"(\d+)\.(\d+)", str(config.get("version") or ""))
    return (int(parts[1]), int(parts[2])) if parts else DENSE_SINCE


def _refuse_what_changes_numbers(config: Mapping[str, Any], path: str) -> None:
    sparsity = config.get("sparsity_config")
    if isinstance(sparsity, Mapping) and (form := sparsity.get("format", "dense")) != "dense":
        raise CheckpointError(f"{path}: sparsity_config with format {form!r} is not supported")
    transforms = config.get("transform_config")
    groups = transforms.get("config_groups") if isinstance(transforms, Mapping) else None
    for name, group in groups.items() if isinstance(groups, Mapping) else ():
        applied = group.get("apply", ()) if isinstance(group, Mapping) else ()
        places = {each.get("location") for each in applied if isinstance(each, Mapping)}
        if online := sorted(map(str, places & ONLINE)):
            raise CheckpointError(
                f"{path}: the transform {name!r} changes activations ({', '.join(online)}), which "
                "is not supported"
            )


def _group(config: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    groups = config.get("config_groups")
    if not isinstance(groups, Mapping) or not groups:
        raise CheckpointError(f"{path}: config_groups={groups!r} must have groups of layers")
    for name, group in groups.items():
        if not isinstance(group, Mapping) or not isinstance(group.get("targets"), list):
            raise CheckpointError(f"{path}: the group {name!r} has no list of targets")
    found: list[Mapping[str, Any]] = list(groups.values())
    if len(found) == 1:
        return found[0]
    exact = [group for group in found if path in group["targets"]]
    by_name = [group for group in found if matched([path], group["targets"])]
    kind = "Embedding" if path.rpartition(".")[2] in EMBEDDINGS else "Linear"
    by_class = [group for group in found if kind in group["targets"]]
    for candidates in (exact, by_name, by_class):
        if candidates:
            return candidates[0]
    raise CheckpointError(f"{path}: none of the groups {', '.join(groups)} has it as a target")


def matched(names: Iterable[str], patterns: Iterable[Any]) -> bool:
    """Whether one of the names is among the patterns. Raises CheckpointError for a pattern that is
    no regular expression."""
    for pattern in patterns:
        for name in names:
            if not isinstance(pattern, str):
                continue
            if pattern.startswith("re:"):
                try:
                    if re.match(pattern[3:], name):
                        return True
                except re.error as error:
                    raise CheckpointError(
                        f"{name}: {pattern!r} is no regular expression: {error}"
                    ) from error
            elif pattern == name:
                return True
    return False
