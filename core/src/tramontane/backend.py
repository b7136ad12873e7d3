"""What a backend plugin deals in: devices, and a model to make fast on one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

    from tramontane.blocks import CausalLM
    from tramontane.layouts import Layout
    from tramontane.stored import Stored


STEP = "step"
"""The name, in what `Prepare` returns, of how the model's whole step runs."""
EAGER = "eager: "
"""How its value begins where the backend could not record the step; the reason follows."""


def eager_reason(kernels: Mapping[str, str]) -> str | None:
    """Why a model runs operation by operation and not as the backend's recorded step, which is
    faster: the operation and the module that it is in, "aten.cumsum.default in
    model.layers.0.self_attn.q_norm (AcmeNorm)". None where it is recorded, or where the backend
    records nothing. kernels: what `Prepare` returned, `LoadReport.kernels`.
    """
    value = kernels.get(STEP, "")
    return value.removeprefix(EAGER) if value.startswith(EAGER) else None


@dataclass(frozen=True, kw_only=True)
class Device:
    """One device that a backend found. Found without touching it: a probe costs milliseconds."""

    name: str
    """What `--device` accepts: the backend's name, with an index where there are several."""
    torch_device: str
    """Where torch keeps the tensors, "cpu" or "cuda:0"."""
    label: str
    """What a person calls it."""
    memory_total: int
    memory_free: int
    """Bytes."""
    rank: int = 0
    """`--device auto` takes the highest."""
    dtype: str = "float32"
    """What `--dtype auto` computes in."""
    kv_dtype: str | None = None
    """What `--kv-type auto` keeps keys and values in; None: what it computes in."""
    features: tuple[str, ...] = ()
    """Instruction sets and the like, for `doctor`."""
    details: Mapping[str, str] = field(default_factory=dict)


class Pack(Protocol):
    """A backend's optional third target: called on each matrix as it is read, so that no more
    than a few lie in memory twice."""

    def __call__(self, weight: Layout, device: Device, threads: int | None) -> Layout:
        """The same matrix as the backend's kernels want it, or as it was."""
        ...


class Translate(Protocol):
    """A backend's optional fourth target: called instead of `Pack` on matrices that can be had as
    they lie in the file, many at a time."""

    def __call__(
        self, matrices: Sequence[Stored], device: Device, threads: int | None
    ) -> Sequence[Layout | None]:
        """Each as the backend's kernels want it; None for one that it leaves to the format's own
        translation, which also says what is wrong with damaged numbers."""
        ...


class Expect(Protocol):
    """A backend's optional fifth target: told what will come while torch is imported."""

    def __call__(self, nbytes: int, threads: int | None) -> None:
        """So many bytes of weights will be read, nearly, if nothing goes wrong; the backend may
        begin to get memory. It lets go of what it has left in `Prepare`. threads: as there. Imports
        no torch."""
        ...


class Foresee(Protocol):
    """A backend's optional sixth target: told what a model will be like before its weights are
    read, so that what must be compiled for it can be meanwhile."""

    def __call__(
        self,
        model: CausalLM,
        matrices: Mapping[str, Stored],
        device: Device,
        threads: int | None,
        activations: str,
        kv_dtype: torch.dtype,
    ) -> None:
        """Begin what takes long. model: on the meta device, not to be changed. matrices: those of
        which the file says how they lie, by the path of the weight; nothing is to be read. The rest
        as in `Prepare`; kv_dtype: of the cache. Nothing may depend on its being called."""
        ...


BACKGROUND = "tramontane-background"
"""The name of threads with which a backend goes on with a model that answers already. They end by
themselves; `bench` waits for them."""


class Prepare(Protocol):
    """A backend's second target: called once, when a model's weights are in place."""

    def __call__(
        self, model: CausalLM, device: Device, threads: int | None, activations: str
    ) -> Mapping[str, str]:
        """Repack weights, put kernels on blocks. Returns what was chosen: operation and layout
        (such as "linear affine4/g32/1-level/zero") to a kernel's name. What it leaves alone runs
        on the reference. The key STEP, if there is one, states how the whole step runs: any text,
        or EAGER and the reason. activations: "auto" allows what multiplies packed weights to be
        rounded, as to 8 bits; "f32" does not."""
        ...
