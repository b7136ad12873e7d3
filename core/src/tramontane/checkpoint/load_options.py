"""How to load a model, and the report of what was loaded: known without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tramontane.backend import eager_reason

Progress = Callable[[int, int], None]
"""(bytes done, bytes in all)"""


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How to load, whatever the model. dtype: auto, f32, bf16 or f16, of activations and dense
    weights; auto computes in what the device does best and leaves weights as they are stored."""

    device: str = "auto"
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
    mmap: bool = True
    force: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Values of config.json to replace, such as rope_theta."""


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
    layouts: Mapping[str, int]
    """Number of matrices in each layout."""
    kernels: Mapping[str, str]
    bytes_in_file: int
    bytes_in_memory: int
    context_length: int
    seconds: float

    @property
    def eager_reason(self) -> str | None:
        """Why the model's step is not recorded; see `backend.eager_reason`."""
        return eager_reason(self.kernels)
