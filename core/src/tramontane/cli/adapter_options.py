"""--lora and --adapter: adapters to load, and which of them answer."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from tramontane.errors import UsageError

FILES = (
    "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin", "xlora_config.json",
    "xlora_classifier.safetensors",
)  # fmt: skip
"""Files whose folder is what has a name."""


def add_adapters(parser: argparse.ArgumentParser, *, chosen: bool = True) -> None:
    """chosen: whether the command itself answers, so that it can say with which."""
    group = parser.add_argument_group("adapters")
    group.add_argument(
        "--lora", action="append", default=[], metavar="NAME=SOURCE[:WEIGHT]",
        help="an adapter to load: a folder, a file or org/name, and what it is called; repeatable",
    )  # fmt: skip
    group.add_argument(
        "--lora-merge", action="store_true",
        help="merge all of --lora into the weights while they are read: as fast as without",
    )  # fmt: skip
    group.add_argument(
        "--xlora-order", type=Path, metavar="FILE",
        help="which adapters and layers an X-LoRA's classifier knows by which numbers",
    )  # fmt: skip
    group.add_argument(
        "--tgt-non-granular-index", type=int, metavar="N",
        help="after N tokens of an answer, an X-LoRA's scalings stay as they are",
    )  # fmt: skip
    if chosen:
        group.add_argument(
            "--adapter", metavar="NAME[:WEIGHT],...",
            help="the adapters to answer with; all of --lora without it; none: the model alone",
        )  # fmt: skip


def adapters(options: argparse.Namespace) -> dict[str, Any]:
    """The keyword of `LLM` for what `--lora` names. Raises UsageError."""
    found: dict[str, tuple[str, float]] = {}
    for given in options.lora:
        name, source = named(given)
        if name in found:
            raise UsageError(
                f"--lora {given!r}: there is a {name!r} already: give it another name, NAME=SOURCE"
            )
        found[name] = source
    more = mixture_options(options)
    if options.lora_merge:
        if more:
            raise UsageError("--lora-merge merges no X-LoRA, so there are no options for one")
        if not found:
            raise UsageError("--lora-merge merges what --lora names: give --lora NAME=SOURCE")
        return {"adapters": found, "merge_adapters": True}
    return {"adapters": found, **more} if found or more else {}


def mixture_options(options: argparse.Namespace) -> dict[str, Any]:
    """The keywords of `LLM` for what is said about an X-LoRA."""
    given = {
        "xlora_order": options.xlora_order,
        "tgt_non_granular_index": options.tgt_non_granular_index,
    }
    return {name: value for name, value in given.items() if value is not None}


def chosen_adapters(options: argparse.Namespace) -> str | None:
    """What a request is to say. Raises UsageError."""
    if options.adapter == "":
        raise UsageError("--adapter '' should be NAME or NAME:WEIGHT; none: the model alone")
    if options.lora_merge:
        if options.adapter is not None:
            raise UsageError(
                f"--adapter {options.adapter} has nothing to choose: --lora-merge makes all of "
                "--lora part of the weights"
            )
        return None
    if options.adapter is not None:
        return None if options.adapter == "none" else str(options.adapter)
    return ",".join(adapters(options).get("adapters", ())) or None


def named(given: str) -> tuple[str, tuple[str, float]]:
    """NAME=SOURCE[:WEIGHT] as the name, the source and the weight. Raises UsageError."""
    name, equals, source = given.partition("=")
    if not equals:  # its last part is its name
        parts = weighed(given)[0].rstrip("/").split("/")
        if len(parts) > 1 and parts[-1] in FILES:
            parts.pop()  # it means its folder
        name, source = parts[-1].partition(":")[0], given
    source, weight = weighed(source)
    if not name or not source:
        raise UsageError(f"--lora {given!r} should be NAME=SOURCE, or NAME=SOURCE:WEIGHT")
    return name, (source, weight)


def weighed(source: str) -> tuple[str, float]:
    """A source and the weight behind its last colon, 1 without."""
    before, colon, last = source.rpartition(":")
    try:
        weight = float(last) if colon and before else math.nan
    except ValueError:
        weight = math.nan
    return (before, weight) if math.isfinite(weight) else (source, 1.0)
