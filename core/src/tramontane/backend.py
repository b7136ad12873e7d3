"""The interface of backend plugins: devices, and preparing a model to run fast on one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from tramontane.block_format import Stored
    from tramontane.blocks import CausalLM
    from tramontane.layouts import Layout
    from tramontane.placement.part import Part


HOST = "host"
"""The processor's memory, in `Device.memory`."""
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
    """The torch device of the tensors, "cpu" or "cuda:0". One that torch does not know by itself is
    made known by the module of `prepare`, which is imported first."""
    label: str
    """A name for people, such as the processor's model name."""
    memory_total: int
    memory_free: int
    """Bytes."""
    rank: int = 0
    """`--device auto` selects the device with the highest rank."""
    dtype: str = "float32"
    """The type that `--dtype auto` computes in."""
    memory: str = ""
    """Which memory it has: devices with one name share it. Empty: `HOST` where torch_device is
    "cpu", else a memory of its own."""
    reserve: int = 64 << 20
    """Bytes that stay free beside weights, caches and logits: for what kernels take."""
    kv_dtype: str | None = None
    """Storage type of keys and values for `--kv-type auto`; None: the type it computes in."""
    features: tuple[str, ...] = ()
    """Instruction sets and the like, for `doctor`."""
    details: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.memory:
            own = HOST if self.torch_device == "cpu" else self.name
            object.__setattr__(self, "memory", own)


class DeviceLost(RuntimeError):
    """A device that cannot go on, for good. A backend may raise it, `from` its own error, in a
    step: the engine then ends all requests and takes no more. What torch raises for memory that
    cannot be had, `torch.OutOfMemoryError`, is not that: the engine makes its steps smaller."""


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
        """weight: a matrix (rows, columns), on the device already. Returns it repacked for the
        backend's kernels, or unchanged."""
        ...


class Translate(Protocol):
    """A backend's optional fourth target: called instead of `Pack` for matrices that are accessible
    as stored in the file, many at a time."""

    def __call__(
        self, matrices: Sequence[Stored], device: Device, threads: int | None
    ) -> Sequence[Layout | None]:
        """matrices: each (rows, columns), of modules that are on this device. Returns each repacked
        for the backend's kernels, on the device; None for one that it leaves to the format's own
        conversion, which also reports invalid values."""
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
        model: CausalLM | Part,
        matrices: Mapping[str, Stored],
        device: Device,
        threads: int | None,
        activations: str,
        kv_dtype: torch.dtype,
    ) -> None:
        """Start compiling. model: on the meta device, must not be changed; a `Part` where others
        are on other devices, as in `Prepare`. matrices: those of it whose stored format is known,
        (rows, columns) each, by the path of the weight; they must not be read. kv_dtype: storage
        type of the cache. Other arguments: as in `Prepare`. Optional: everything must also work
        without this call."""
        ...


class Keep(Protocol):
    """A backend's optional target for models that are kept as `Prepare` left them, so that the next
    start maps their weights. Any object with these functions, such as a module."""

    def order(self) -> str:
        """What the order of repacked weights depends on: the backend's version, the machine's
        instruction set. Weights that were kept with another are never restored."""
        ...

    def describe(self, layout: Layout, put: Callable[[NDArray[Any]], int]) -> Any:
        """A repacked layout as JSON can say it. put: stores an array of any shape, such as (rows,
        columns), and returns its number. None: such a layout cannot be kept."""
        ...

    def restore(self, told: Any, get: Callable[[int], NDArray[Any]]) -> Layout:
        """The layout that `describe` described. get: an array by its number, which lies in a mapped
        file and must not be changed. Raises KeyError, TypeError or ValueError for what is no such
        description."""
        ...


BACKGROUND = "tramontane-background"
"""The name of threads that continue to optimize a model after it is ready. They end by themselves;
`bench` waits for them."""


class Prepare(Protocol):
    """A backend's second target: called after a model's weights are loaded, once for each of its
    devices."""

    def __call__(
        self, model: CausalLM | Part, device: Device, threads: int | None, activations: str
    ) -> Mapping[str, str]:
        """Repack weights and bind kernels to blocks. Returns the kernel chosen for each operation
        and layout (such as "linear affine4/g32/1-level/zero"). Operations without a kernel run on
        the reference. The key STEP, if there is one, states how the whole step runs: any text, or
        EAGER and the reason. threads: None leaves their number to the backend. activations:
        "auto" allows activations to be quantized in products with packed weights, for example to 8
        bits; "f32" does not.

        model: the whole, or a `Part` of it (`is_part`): its `modules()` and `named_modules()` are
        those on this device alone. A part has no step: its layers are called as they are written,
        with hidden states, a `Batch` and caches that are on this device.
        """
        ...


def is_part(model: CausalLM | Part) -> TypeGuard[Part]:
    """Whether a backend has to do with a part of a model, `tramontane.placement.Part`."""
    return hasattr(model, "whole")
