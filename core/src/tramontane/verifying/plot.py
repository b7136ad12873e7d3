"""The error per layer as a picture, drawn by matplotlib."""

from __future__ import annotations

from pathlib import Path

from tramontane.errors import NoReference, RequestError

from .result import Verification


def check_plot(path: Path) -> None:
    """Raises RequestError where no picture can be made: it is asked before anything is computed."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise RequestError(f"--plot {path}: matplotlib is not installed; pip install matplotlib")
    if not path.parent.is_dir():
        raise RequestError(f"--plot {path}: there is no folder {path.parent}")


def plot(found: Verification, path: Path) -> None:
    """Write it. Raises RequestError where that cannot be, NoReference without layers."""
    if not found.layers:
        raise NoReference(f"--plot {path}: {found.against} shows no hidden states to plot")
    check_plot(path)
    from importlib import import_module

    figure = import_module("matplotlib.figure").Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    names = [layer.name for layer in found.layers]
    places = range(len(names))
    least = 1e-9  # a logarithm has no zero
    axes.plot(places, [max(x.error, least) for x in found.layers], "o-", label="error")
    axes.plot(
        places, [max(x.own or 0, least) for x in found.layers], "s--", label="of the layer itself"
    )
    axes.plot(places, [x.allowed for x in found.layers], ":", color="gray", label="allowed")
    jumps = [place for place, layer in enumerate(found.layers) if layer.jump]
    if jumps:
        axes.axvline(jumps[0], color="tab:red", alpha=0.4, label="first jump")
    axes.set_yscale("log")
    axes.set_xticks(list(places), names, rotation=90 if len(names) > 12 else 0)
    axes.set_xlabel("layer")
    axes.set_ylabel("largest relative error")
    axes.set_title(
        f"{Path(found.model).name} compared with {found.against}: {found.verdict}", fontsize=10
    )
    axes.legend()
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise RequestError(f"--plot {path}: cannot write it: {error}") from error
