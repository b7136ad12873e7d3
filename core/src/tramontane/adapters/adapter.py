"""An adapter that is fitted to a loaded model, and what applies it during a step."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn

from tramontane.blocks import Embedding, Experts, Linear, StackedLinear
from tramontane.errors import AdapterError
from tramontane.layouts.low_rank import LowRank

from .kernels import Multiply, changed_embedding, changed_linear, changed_stacked
from .stored import Delta

if TYPE_CHECKING:
    from tramontane.engine.batch import Batch

Where: TypeAlias = Callable[[str], tuple[Multiply, torch.device]]
HERE = torch.device("cpu")


@dataclass(frozen=True)
class Adapter:
    """An adapter fitted to a model. name: what requests call it. source: where it was read from.

    deltas: by the paths of the model's modules; several are of parts of one matrix, such as single
    experts', each with the number of the part. values: by the paths of the model's parameters and
    matrices. rows: of embeddings, by their modules' paths.
    """

    name: str
    source: str
    deltas: Mapping[str, tuple[tuple[int | None, Delta], ...]]
    values: Mapping[str, Tensor] = field(default_factory=dict)
    rows: Mapping[str, tuple[tuple[int, ...], Tensor]] = field(default_factory=dict)

    @cached_property
    def digest(self) -> bytes:
        """A hash of its numbers: what is computed with it is known by this."""
        told = hashlib.blake2b(digest_size=32)
        for name, tensor in self.tensors():
            told.update(repr((name, tuple(tensor.shape))).encode())
            told.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return told.digest()

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        for path, parts in sorted(self.deltas.items()):
            for part, delta in parts:
                matrix = delta.matrix
                each = (matrix.left, matrix.right, matrix.group, delta.bias, delta.magnitude)
                for index, tensor in enumerate(each):
                    if tensor is not None:
                        yield f"{path} {part} {index}", tensor
        yield from sorted(self.values.items())
        for path, (indices, tensor) in sorted(self.rows.items()):
            yield f"{path} {indices}", tensor

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for _, tensor in self.tensors())


class Applied:
    """Adapters with their weights, ready for steps of a model.

    The model itself never changes but during `on`, which belongs to the engine's thread.
    """

    def __init__(
        self,
        model: nn.Module,
        kernels: Mapping[str, Callable[..., Any]],
        adapters: Sequence[tuple[Adapter, float]],
        multiply: Multiply,
        where: Where | None = None,
    ) -> None:
        """kernels: the model's own, by the paths of its modules. multiply: the product with a dense
        matrix whose rows do not depend on others. where: the same of each module, by its path, and
        its device; None: all are on the processor. Raises AdapterError for adapters that cannot be
        together."""
        self.names = tuple(f"{adapter.name}:{weight:g}" for adapter, weight in adapters)
        told = hashlib.blake2b(digest_size=32)
        for adapter, weight in adapters:
            told.update(adapter.digest + repr(weight).encode())
        self.digest = told.digest()
        self._kernels: list[tuple[Any, Callable[..., Any]]] = []
        self._values: list[tuple[nn.Module, str, nn.Parameter | None]] = []
        self._written: list[Experts] = []
        """Modules whose own `through` takes their matrices' kernels."""
        tables = together(adapters, "rows")
        self.pairs = None if tables else _pairs(model, adapters)
        """What is added to products of linear layers, by their paths, where that is all."""
        values = together(adapters, "values")
        weights: dict[str, Tensor] = {}
        for path, (tensor, weight) in values.items():
            owned, _, name = path.rpartition(".")
            owner = model.get_submodule(owned)
            if weight != 1:
                raise AdapterError(
                    f"{path} takes the place of the model's own: its adapter's weight is 1, not "
                    f"{weight:g}"
                )
            if isinstance(owner, (Linear, Embedding)) and name == "weight":
                weights[owned] = tensor
            else:
                old = getattr(owner, name)
                new = nn.Parameter(tensor.to(old.dtype).to(old.device), requires_grad=False)
                self._values.append((owner, name, new))
        deltas: dict[str, list[tuple[int | None, Delta, float]]] = {}
        for adapter, weight in adapters:
            for path, parts in adapter.deltas.items():
                deltas.setdefault(path, []).extend((part, each, weight) for part, each in parts)
        for path in {**deltas, **weights, **tables}:
            module: Any = model.get_submodule(path)
            bias = self._bias(module) if type(module) is Linear else None
            product, at = (multiply, HERE) if where is None else where(path)
            there = [(part, delta.to(at), share) for part, delta, share in deltas.get(path, [])]
            whole, rows = _there(weights.get(path), at), tables.get(path)
            if rows is not None:
                (indices, values), factor = rows
                rows = (indices, _there(values, at)), factor
            self._kernels.append(
                (module, _kernel(module, kernels[path], there, whole, rows, product, bias))
            )
        changed = {id(module) for module, _ in self._kernels}
        self._written = [
            module
            for module in model.modules()
            if isinstance(module, Experts) and any(id(each) in changed for each in module.matrices)
        ]

    def _bias(self, module: Linear) -> Tensor | None:
        """A layer's bias, or what takes its place; meanwhile it has none, as its kernel adds it."""
        if module.bias is None:
            return None
        found: Tensor = module.bias
        for each in self._values:
            if each[0] is module and each[1] == "bias":
                assert each[2] is not None
                found = each[2]
                self._values.remove(each)
                break
        self._values.append((module, "bias", None))
        return found

    replaced = mixed = None
    """As of `prompted.Changes`."""
    width = 0

    @contextmanager
    def on(self, batch: Batch | None = None) -> Iterator[None]:
        """The model has these adapters meanwhile."""
        kernels = [(module, module.kernel) for module, _ in self._kernels]
        values = [(owner, name, getattr(owner, name)) for owner, name, _ in self._values]
        fused = [(module, vars(module).pop("through", None)) for module in self._written]
        try:
            for module, kernel in self._kernels:
                module.kernel = kernel
            for owner, name, value in self._values:
                setattr(owner, name, value)
            yield
        finally:
            for module, kernel in kernels:
                module.kernel = kernel
            for owner, name, value in values:
                setattr(owner, name, value)
            for module, through in fused:
                if through is not None:
                    setattr(module, "through", through)  # noqa: B010 - a method's place


def _there(tensor: Tensor | None, device: torch.device) -> Tensor | None:
    return None if tensor is None else tensor.to(device)


def together(adapters: Sequence[tuple[Adapter, float]], what: str) -> dict[str, tuple[Any, float]]:
    """What adapters put in the place of the model's own, and weights. Raises AdapterError."""
    found: dict[str, tuple[Any, float]] = {}
    for adapter, weight in adapters:
        for path, value in getattr(adapter, what).items():
            if path in found:
                raise AdapterError(f"several of the adapters replace {path}; use one of them")
            found[path] = value, weight
    return found


def _pairs(
    model: nn.Module, adapters: Sequence[tuple[Adapter, float]]
) -> dict[str, list[tuple[LowRank, float]]] | None:
    found: dict[str, list[tuple[LowRank, float]]] = {}
    for adapter, weight in adapters:
        if adapter.values:
            return None
        for path, parts in adapter.deltas.items():
            for part, delta in parts:
                plain = delta.bias is None and delta.magnitude is None and part is None
                if not plain or type(model.get_submodule(path)) is not Linear:
                    return None
                found.setdefault(path, []).append((delta.matrix, weight))
    return found


def _kernel(
    module: Any,
    own: Callable[..., Any],
    deltas: Sequence[tuple[int | None, Delta, float]],
    weight: Tensor | None,
    rows: Any,
    multiply: Multiply,
    bias: Tensor | None,
) -> Callable[..., Any]:
    if isinstance(module, Embedding):
        matrices = [(delta.matrix, factor) for _, delta, factor in deltas]
        return changed_embedding(own, matrices, weight, rows and rows[0])
    if isinstance(module, StackedLinear):
        return changed_stacked(own, by_expert(module, deltas), multiply)
    return changed_linear(
        own,
        [(delta, factor) for _, delta, factor in deltas],
        weight,
        rows and rows[0],
        multiply,
        bias,
    )


def by_expert(
    module: StackedLinear, deltas: Sequence[tuple[int | None, Delta, float]]
) -> dict[int, list[tuple[LowRank, float]]]:
    """What is added to each expert\'s matrix."""
    found: dict[int, list[tuple[LowRank, float]]] = {}
    rows = module.weight.shape[0] // module.count
    for part, delta, factor in deltas:
        matrix = delta.matrix
        if part is not None:
            found.setdefault(part, []).append((matrix, factor))
            continue
        group = matrix.group
        if group is None:
            group = torch.zeros(len(matrix.left), dtype=torch.int64)
        for expert in range(module.count):
            here = matrix.rows(slice(expert * rows, (expert + 1) * rows))
            first = int(group[expert * rows])
            right = here.right[first * here.rank : (first + 1) * here.rank]
            found.setdefault(expert, []).append((LowRank(here.left.contiguous(), right), factor))
    return found
