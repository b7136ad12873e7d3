"""How to load a model, and the report of what was loaded: known without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tramontane.backend import eager_reason
from tramontane.memory import readable
from tramontane.option_checks import (
    FLAG,
    Check,
    a_path,
    a_text,
    above_zero,
    bits,
    by_name,
    check_options,
    count_or,
    one_of,
    whole,
)

if TYPE_CHECKING:
    from torch import Tensor

Progress = Callable[[int, int], None]
"""(bytes done, bytes in all)"""
_PATH = a_path(none=True)
CHECKS = {
    "device": a_text("auto, reference or a backend's name"),
    "gpu_layers": count_or("auto", "all"),
    "device_map": a_text("layers on devices, such as 'cuda:0=0-15,cpu=16-31'", none=True),
    "n_cpu_moe": count_or("all"),
    "dtype": one_of("auto", "f32", "bf16", "f16"),
    "threads": whole(1, 4096, none=True),
    "activations": one_of("auto", "f32"),
    "kv_type": one_of("auto", "f32", "bf16", "f16", "int8", "int4", "f8e4m3", "f8e5m2"),
    "num_ctx": whole(none=True),
    "media_cache": whole(0),
    "mmap": FLAG,
    "force": FLAG,
    "mmproj": Check("a path, org/name:file or False", lambda v: v is False or _PATH.fits(v), True),
    "overrides": by_name("values of config.json by their names"),
    "quant": bits(),
    "isq": bits(),
    "isq_organization": one_of("default", "moqe"),
    "topology": _PATH,
    "imatrix": _PATH,
    "calibration_file": _PATH,
    "merge": by_name("adapters by their names"),
    "parts": _PATH,
    "tp": count_or("auto"),
    "tp_nodes": a_text("MACHINE/MACHINES@HOST:PORT", none=True),
    "tp_timeout": above_zero(),
    "interconnect": a_text("NAME", none=True),
    "tp_local": whole(1, 64),
    "importance": by_name("tensors by the paths of matrices"),
}


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How to load, whatever the model. dtype: auto, f32, bf16 or f16, of activations and dense
    weights; auto computes in what the device does best and leaves weights as they are stored.

    Raises RequestError for values that cannot be."""

    device: str = "auto"
    gpu_layers: int | str | None = None
    """How many of the last layers are on the device, the rest on the processor; what is outside
    layers counts as one and comes first. "all"; "auto", the default without a device: as many as
    fit, experts last."""
    device_map: str | None = None
    """Layers on devices: "cuda:0=0-15,cpu=16-31", or "0:16;1:16" for accelerators by number."""
    n_cpu_moe: int | str | None = None
    """Of how many of the first layers the experts are on the processor; "all"."""
    dtype: str = "auto"
    threads: int | None = None
    activations: str = "auto"
    """What packed weights are multiplied with: auto lets the backend round it, f32 does not."""
    kv_type: str = "auto"
    """Keys and values: f32, bf16, f16, int8 or int4, which are codes with a scale for each 32,
    f8e4m3 or f8e5m2, which are floats of a byte; auto lets the backend choose, unless dtype or
    activations request exact products."""
    num_ctx: int | None = None
    """Context in tokens; None: the model's own, as far as memory goes."""
    media_cache: int = 256 << 20
    """Bytes of encoded images for which there must be room, in models that take any."""
    mmap: bool = True
    force: bool = False
    mmproj: str | Path | Literal[False] | None = None
    """A file with an encoder of images that goes with a container's language model, or its hub id,
    org/name:file. None: the one whose name has "mmproj" beside it, if there is one that fits;
    False: none."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Values of config.json to replace, such as rope_theta."""
    quant: str | int | None = None
    """Of a repository or folder choose the file of 2 to 8 bits, or of a kind, or quantize to it
    while loading; "auto": the most bits that fit into memory."""
    isq: str | int | None = None
    """Quantize every matrix while it is read: a kind, such as q4_k, or 2 to 8 bits."""
    isq_organization: str = "default"
    """"moqe": quantize experts only."""
    topology: Path | None = None
    """A YAML file with the kinds and devices of single layers or weights."""
    imatrix: Path | None = None
    """A file with `importance`, of `tramontane imatrix` or of a container's own kind."""
    calibration_file: Path | None = None
    """A UTF-8 text on which the unquantized model measures `importance` first."""
    importance: Mapping[str, Tensor] = field(default_factory=dict)
    """Mean squares of what each column of a matrix is multiplied with, by the matrix's path: of
    (columns), or (count, columns) for those of experts. Quantizing then spares what matters."""
    merge: Mapping[str, tuple[Path, float]] = field(default_factory=dict)
    """Adapters that become part of the weights while these are read: by name, a folder or file and
    what it counts."""

    parts: Path | None = None
    """A folder with the parts that a file with one part of a model lacks."""
    tp: int | str | None = None
    """How many processes compute the model together, each with a share of its weights (tensor
    parallel); "auto": one for each memory of this machine's processors (NUMA node). None: as
    torchrun's environment says, or one."""
    tp_nodes: str | None = None
    """Which of several machines this is, and where they meet: "0/2@10.0.0.1:29500"."""
    tp_timeout: float = 30.0
    """Seconds after which a process that does not answer the others is given up."""
    interconnect: str | None = None
    """What the processes exchange numbers over, "ring" or "ring:option=value"; None: memory that
    they share on one machine, else torch.distributed."""
    tp_local: int = 1
    """How many of the processes share this machine's memory."""

    def __post_init__(self) -> None:
        check_options(vars(self), CHECKS)
        if isinstance(self.tp, str) and self.tp != "auto":
            object.__setattr__(self, "tp", int(self.tp))
        for name in ("topology", "imatrix", "calibration_file", "parts"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, Path(value))


@dataclass(frozen=True, kw_only=True)
class QuantizedReport:
    """What quantizing in place did. kinds: how many matrices became which. promoted: paths of
    sensitive ones with a larger kind. instead: paths of those whose columns did not fit the kind,
    and what they became. left: paths of those that stay, and why. bytes: of what was quantized."""

    asked: str
    kinds: Mapping[str, int]
    promoted: Mapping[str, str]
    instead: Mapping[str, str]
    left: Mapping[str, str]
    bytes: int

    def lines(self) -> list[str]:
        """For people: the sum of it, and a line for each group of exceptions."""
        made = ", ".join(f"{count} x {kind}" for kind, count in self.kinds.items()) or "nothing"
        found = [f"quantized to {self.asked}: {made}, {readable(self.bytes)}"]
        for path, kind in self.promoted.items():
            found.append(f"  {path}: {kind}, as errors there cost most")
        groups: dict[str, list[str]] = {}
        for path, kind in self.instead.items():
            groups.setdefault(f"{kind}, as the columns do not fit the kind", []).append(path)
        for path, why in self.left.items():
            groups.setdefault(f"as it is: {why}", []).append(path)
        for said, paths in groups.items():
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            found.append(f"  {paths[0]}{more}: {said}")
        return found


def rope_overrides(base: float | None, scale: float | None) -> dict[str, Any]:
    """`LoadOptions.overrides` for another base of the rotary embedding, and for positions that are
    multiplied with `scale`; None: as in the checkpoint."""
    found: dict[str, Any] = {}
    if base is not None:
        found["rope_theta"] = base
    if scale is not None:
        found["rope_scaling"] = {"rope_type": "linear", "factor": 1 / scale}
    return found


@dataclass(frozen=True, kw_only=True)
class DeviceReport:
    """What one device has of a model. holds: for people. weights, caches, beside: bytes of its
    weights, of the keys, values and states of one context, and for logits and kernels."""

    name: str
    label: str
    holds: str
    weights: int
    caches: int
    beside: int
    free: int
    """Bytes that were free before."""


def table(devices: Sequence[DeviceReport]) -> list[str]:
    """What goes where, a device a line, below a line of titles."""
    rows: list[tuple[str, ...]] = [
        ("device", "holds", "weights", "context", "other", "free before")
    ]
    rows += [
        (each.name, each.holds, *map(readable, (each.weights, each.caches, each.beside, each.free)))
        for each in devices
    ]
    wide = [max(len(row[column]) for row in rows) for column in range(6)]
    return [
        "  ".join(
            text.ljust(size) if column < 2 else text.rjust(size)
            for column, (text, size) in enumerate(zip(row, wide, strict=True))
        ).rstrip()
        for row in rows
    ]


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """What was loaded and how: passed to plugins, shown by `inspect` and `--verbose`."""

    path: str
    architecture: str
    container: str
    device: str
    dtype: str
    kv_dtype: str
    kv_bytes_per_token: int
    """What a token of context takes, all layers together, scales included."""
    state_bytes_per_sequence: int
    """What a running request takes besides, in layers that keep a state."""
    layouts: Mapping[str, int]
    """Number of matrices in each layout."""
    kernels: Mapping[str, str]
    bytes_in_file: int
    bytes_in_memory: int
    context_length: int
    seconds: float
    quantized: QuantizedReport | None = None
    """What was quantized while it was read; None: nothing was asked for."""
    shared: tuple[str, ...] = ()
    """What the ranks share of a model that several processes compute, for people."""
    merged: tuple[str, ...] = ()
    """What merging adapters did, for people."""
    chosen: str = ""
    """Why `quant` chose this file, or this kind."""
    devices: Sequence[DeviceReport] = ()
    """What each of several devices has, home first; empty where one has all."""
    draft: LoadReport | None = None
    """Of the model that drafts its tokens."""
    prepared: bool = False
    """Whether weights were mapped as an earlier start had prepared them."""
    task: str = "text"
    """What the model is for."""
    parts: Mapping[str, LoadReport] = field(default_factory=dict)
    """Of each part of a model that has several."""

    @property
    def eager_reason(self) -> str | None:
        """Why the model's step is not recorded; see `backend.eager_reason`."""
        return eager_reason(self.kernels)
