"""Options of quantizing while a model is read, and what they become."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tramontane.hub.options import HubOptions
from tramontane.registry import Registry


def add_quantizing(parser: argparse.ArgumentParser, *, loads: bool = True) -> None:
    """After the model's own options. loads: whether the command quantizes while it loads."""
    group = parser.add_argument_group("quantizing")
    if loads:
        group.add_argument(
            "--quant", metavar="KIND",
            help="of a repository or folder choose the file of 2 to 8 bits or of a kind, or "
            "quantize to it while loading; auto: the most bits that fit into memory",
        )  # fmt: skip
        group.add_argument(
            "--isq", metavar="KIND",
            help="quantize every matrix while it is read: 2 to 8 bits, or a kind such as q4_k",
        )  # fmt: skip
    group.add_argument(
        "--isq-organization", default="default", choices=["default", "moqe"],
        help="moqe: quantize experts only",
    )  # fmt: skip
    group.add_argument(
        "--topology",
        type=Path,
        metavar="FILE",
        help="YAML with kinds and devices of single layers or weights",
    )
    measured = group.add_mutually_exclusive_group()
    measured.add_argument(
        "--imatrix", type=Path, metavar="FILE",
        help="how much each column of a matrix matters, from `tramontane imatrix` or llama.cpp",
    )  # fmt: skip
    measured.add_argument(
        "--calibration-file", type=Path, metavar="FILE",
        help="a text on which to measure that first, which takes the memory of the whole model",
    )  # fmt: skip


def quantizing(options: argparse.Namespace) -> dict[str, Any]:
    """Arguments of `LLM`."""
    names = ("quant", "isq", "isq_organization", "topology", "imatrix", "calibration_file")
    return {name: getattr(options, name) for name in names}


def fitted_name(options: argparse.Namespace, hub: HubOptions, registry: Registry) -> str:
    """The name of the model that --quant chooses, for commands that load none; sets --isq if that
    is what it means. Raises as `LLM`."""
    if options.quant is None:
        return str(options.model)
    from tramontane.model.fit import fit
    from tramontane.system.devices import choose_device

    device, _ = choose_device(options.device, registry)
    fitted = fit(options.model, options.quant, registry, hub, device.memory_free)
    options.isq = fitted.isq if options.isq is None else options.isq
    return fitted.name
