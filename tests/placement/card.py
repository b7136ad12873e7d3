"""An accelerator without hardware: "card:0", "card:1", devices of torch whose tensors lie in the
processor's memory, and a backend that finds them.

An operation on tensors of two devices raises, as on real ones; a card's memory is as large as a
test says; and a card can fail. What it computes are the reference's bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend
from tramontane.backend import Device
from tramontane.plugin import Backend, Offer
from tramontane.registry import Registry
from tramontane_backend_cpu.device import probe as cpu_probe

O = TypeVar("O", bound=Offer)  # noqa: E741 - as in the registry
GB = 10**9
aten = torch.ops.aten
MADE_ANYWHERE = (
    "empty.memory_format", "empty_strided", "_to_copy", "arange.start_step", "full", "zeros",
    "ones", "scalar_tensor", "copy_",
)  # fmt: skip
"""Operations without a tensor of the card, or with one of another device."""


PRODUCTS = ("aten::linear", "aten::mm", "aten::addmm", "aten::matmul")
MOVES = ("aten::_to_copy", "aten::copy_", "aten::to")


@dataclass
class Cards:
    """What there is, and what happens. memory: bytes that are free, by name. largest: bytes of the
    largest product that can be had; None: any. fault: called before each operation."""

    memory: dict[str, int] = field(default_factory=dict)
    dtype: str = "float32"
    largest: int | None = None
    fault: Callable[[], None] | None = None
    prepared: dict[str, list[str]] = field(default_factory=dict)
    packed: dict[str, int] = field(default_factory=dict)
    reserve: int = 1 << 20


CARDS = Cards()


class CardTensor(torch.Tensor):
    raw: torch.Tensor

    @staticmethod
    def __new__(cls, raw: torch.Tensor, device: torch.device) -> CardTensor:
        made: Any = torch.Tensor._make_wrapper_subclass(
            cls, raw.size(), strides=raw.stride(), storage_offset=raw.storage_offset(),
            dtype=raw.dtype, device=device, requires_grad=False,
        )  # fmt: skip
        made.raw = raw
        return made  # type: ignore[no-any-return]

    def tolist(self) -> Any:
        return self.raw.tolist()

    def cpu(self, *_: Any) -> torch.Tensor:
        return self.raw.clone()

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a tensor of a card has no numpy array; move it first")

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    flat, _ = tree_flatten((args, dict(kwargs)))
    tensors = [each for each in flat if isinstance(each, torch.Tensor)]
    where = {each.device for each in tensors if each.dim() or isinstance(each, CardTensor)}
    if func._schema.name not in MOVES and len(where) > 1:
        raise RuntimeError(f"{func}: tensors on {sorted(map(str, where))}")
    if CARDS.fault is not None:
        CARDS.fault()
    device = next((each.device for each in tensors if isinstance(each, CardTensor)), None)
    device = next((each for each in flat if isinstance(each, torch.device)), device)
    with torch.inference_mode(False), torch.no_grad():
        out = func(*tree_map(_raw, args), **tree_map(_raw, dict(kwargs)))
    if func._schema.is_mutable and func._schema.name.endswith("_"):
        return args[0]
    if device is None or device.type == "cpu":
        return out
    if CARDS.largest is not None and func._schema.name in PRODUCTS and out.nbytes > CARDS.largest:
        raise torch.OutOfMemoryError(f"card out of memory: tried to allocate {out.nbytes} bytes")
    return tree_map(lambda each: _made(each, device), out)


def _raw(value: Any) -> Any:
    if isinstance(value, torch.device):
        return torch.device("cpu")
    return value.raw if isinstance(value, CardTensor) else value


def _made(value: Any, device: torch.device) -> Any:
    if not isinstance(value, torch.Tensor) or isinstance(value, CardTensor):
        return value
    with torch.inference_mode(False):  # a view of a weight is none of inference
        return CardTensor(value, device)


def _set_up() -> torch.library.Library:
    _setup_privateuseone_for_python_backend("card")
    library = torch.library.Library("aten", "IMPL")

    def given(op: Any) -> Callable[..., Any]:
        return lambda *args, **kwargs: _run(op, args, kwargs)

    for name in MADE_ANYWHERE:
        packet, _, overload = name.partition(".")
        op = getattr(getattr(aten, packet), overload or "default")
        library.impl(name, given(op), "PrivateUse1")
    return library


LIBRARY = _set_up()


def probe() -> list[Device]:
    return [
        Device(
            name=name,
            torch_device=name,
            label="no hardware",
            memory_total=free,
            memory_free=free,
            rank=5 - index,
            dtype=CARDS.dtype,
            reserve=CARDS.reserve,
        )
        for index, (name, free) in enumerate(CARDS.memory.items())
    ]


def prepare(model: Any, device: Device, threads: int | None, activations: str) -> dict[str, str]:
    """Nothing but the reference; notes what it sees."""
    CARDS.prepared[device.name] = [path for path, _ in model.named_modules()]
    return {"linear": "reference"}


def pack(weight: Any, device: Device, threads: int | None) -> Any:
    for tensor in weight.tensors().values():
        assert str(tensor.device) == device.torch_device
    CARDS.packed[device.name] = CARDS.packed.get(device.name, 0) + 1
    return weight


OFFER = Backend(
    name="card", probe=f"{__name__}:probe", prepare=f"{__name__}:prepare", pack=f"{__name__}:pack"
)


class CardRegistry(Registry):
    """All that is installed, and cards; and the processor's backend a second time, as "twin"."""

    def names(self, kind: str) -> list[str]:
        more = ["card", "twin"] if kind == "backends" else []
        return sorted([*super().names(kind), *more])

    def get(self, record: type[O], name: str) -> O:
        if record is Backend and name == "card":
            return OFFER  # type: ignore[return-value]
        if record is Backend and name == "twin":
            cpu = super().get(Backend, "cpu")
            return replace(cpu, name="twin", probe=f"{__name__}:twin")  # type: ignore[return-value]
        return super().get(record, name)


def twin() -> list[Device]:
    return [replace(each, name="twin", rank=-1) for each in cpu_probe()]


@contextmanager
def cards(*memory: int, **more: Any) -> Iterator[Cards]:
    """So many cards, with so many bytes each."""
    before = dict(vars(CARDS))
    fresh = Cards(memory={f"card:{i}": size for i, size in enumerate(memory)}, **more)
    vars(CARDS).update(vars(fresh))
    try:
        yield CARDS
    finally:
        vars(CARDS).update(before)
