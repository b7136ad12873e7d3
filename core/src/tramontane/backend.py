"""The interface of backend plugins: devices, and preparing a model to run fast on one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

    from tramontane.block_format import Stored
    from tramontane.blocks import CausalLM
    from tramontane.layouts import Layout


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
    """A device that a backend discovered. Discovery must not initialize it, and takes
    milliseconds."""

    name: str
    """What `--device` accepts: the backend's name, with an index where there are several."""
    torch_device: str
    """The torch device of the tensors, "cpu" or "cuda:0"."""
    label: str
    """A name for people, such as the processor's model name."""
    memory_total: int
    memory_free: int
    """Bytes."""
    rank: int = 0
    """`--device auto` selects the device with the highest rank."""
    dtype: str = "float32"
    """The type that `--dtype auto` computes in."""
    kv_dtype: str | None = None
    """Storage type of keys and values for `--kv-type auto`; None: the type it computes in."""
    features: tuple[str, ...] = ()
    """Instruction sets and the like, for `doctor`."""
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reason:
    """What a backend says to `doctor` of the devices that it finds, or does not find."""

    message: str
    remedy: str = ""
    """What to do; empty where nothing has to be done."""


class Pack(Protocol):
    """A backend's optional third target: repacks each matrix when it is read, so that only a few
    are in memory twice at any time."""

    def __call__(self, weight: Layout, device: Device, threads: int | None) -> Layout:
        """weight: a matrix (rows, columns). Returns it repacked for the backend's kernels, or
        unchanged."""
        ...


class Translate(Protocol):
    """A backend's optional fourth target: called instead of `Pack` for matrices that are accessible
    as stored in the file, many at a time."""

    def __call__(
        self, matrices: Sequence[Stored], device: Device, threads: int | None
    ) -> Sequence[Layout | None]:
        """matrices: each (rows, columns). Returns each repacked for the backend's kernels; None for
        one that it leaves to the format's own conversion, which also reports invalid values."""
        ...


class Expect(Protocol):
    """A backend's optional fifth target: preallocates memory while torch is imported."""

    def __call__(self, nbytes: int, threads: int | None) -> None:
        """About `nbytes` bytes of weights will probably be loaded; the backend may start to
        allocate memory. It must release what is unused in `Prepare`. threads: as there. Must not
        import torch."""
        ...


class Foresee(Protocol):
    """A backend's optional sixth target: compiles the kernels of a model in the background before
    its weights are read."""

    def __call__(
        self,
        model: CausalLM,
        matrices: Mapping[str, Stored],
        device: Device,
        threads: int | None,
        activations: str,
        kv_dtype: torch.dtype,
    ) -> None:
        """Start compiling. model: on the meta device, must not be changed. matrices: those whose
        stored format is known, (rows, columns) each, by the path of the weight; they must not be
        read. kv_dtype: storage type of the cache. Other arguments: as in `Prepare`. Optional:
        everything must also work without this call."""
        ...


BACKGROUND = "tramontane-background"
"""The name of threads that continue to optimize a model after it is ready. They end by themselves;
`bench` waits for them."""


class Prepare(Protocol):
    """A backend's second target: called once, after a model's weights are loaded."""

    def __call__(
        self, model: CausalLM, device: Device, threads: int | None, activations: str
    ) -> Mapping[str, str]:
        """Repack weights and bind kernels to blocks. Returns the kernel chosen for each operation
        and layout (such as "linear affine4/g32/1-level/zero"). Operations without a kernel run on
        the reference. The key STEP, if there is one, states how the whole step runs: any text, or
        EAGER and the reason. threads: None leaves their number to the backend. activations:
        "auto" allows activations to be quantized in products with packed weights, for example to 8
        bits; "f32" does not."""
        ...
