"""Options of loading that depend on the model: what `quant` chooses, what is measured on a text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tramontane import memory
from tramontane.checkpoint.load_options import LoadOptions, Progress
from tramontane.errors import UsageError
from tramontane.hub.options import HubOptions
from tramontane.quantizing.calibrate import calibrate
from tramontane.registry import Registry
from tramontane.system.devices import choose_device

from .fit import fit


def fitted(
    name: str, hub: HubOptions, options: LoadOptions, registry: Registry, beside: int
) -> tuple[str, LoadOptions, str]:
    """The name of what `quant` chooses, the options for it, and why. beside: bytes that a draft
    model takes. Raises UsageError."""
    if options.isq is not None:
        raise UsageError("--quant and --isq exclude each other; give one")
    device, _ = choose_device(options.device, registry)
    free = max(0, device.memory_free - beside)
    found = fit(name, str(options.quant), registry, hub, free)
    return found.name, replace(options, quant=None, isq=found.isq), found.why


def calibrated(
    open_model: Callable[..., Any], options: LoadOptions, file: Path, progress: Progress | None
) -> LoadOptions:
    """The options, with importances measured on a text. Raises UsageError."""
    if options.isq is None and options.topology is None:
        raise UsageError("--calibration-file says how to quantize: give --isq too")
    importance = calibrate(open_model, options, file, progress)
    memory.give_back()
    return replace(options, importance=importance)
