"""Steps in which each token has the expert that its own vector is for, in each layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from tramontane.adapters.host import Host
from tramontane.adapters.kernels import Multiply, changed_linear
from tramontane.adapters.prompted import Changes
from tramontane.blocks import Linear

from .experts import Expert
from .gates import Gate
from .halves import Half

if TYPE_CHECKING:
    from tramontane.engine.batch import Batch

Own = Callable[[Tensor], Tensor]


class PerToken(Changes):
    """Rows are sorted to experts as they come, whosever they are: each is computed by itself."""

    def __init__(
        self,
        host: Host,
        halves: Sequence[Half],
        gates: Sequence[Gate],
        experts: Sequence[Expert],
        digest: bytes,
        names: tuple[str, ...],
    ) -> None:
        self.digest, self.names = digest, names
        self._kernels: list[tuple[Linear, Multiply]] = []
        for half, gate in zip(halves, gates, strict=True):
            chosen = _Chosen(gate, host.multiply)
            for path in half.paths:
                module: Any = host.model.get_submodule(path)
                own = [_of(module, host.kernels[path]), *(
                    _of_expert(each, half.layer, path, module, host) for each in experts
                )]  # fmt: skip
                self._kernels.append((module, chosen.kernel(own, reads=path in half.reads)))

    @contextmanager
    def on(self, batch: Batch) -> Iterator[None]:
        before = [(module, module.kernel, module.bias) for module, _ in self._kernels]
        try:
            for module, kernel in self._kernels:
                module.kernel, module.bias = kernel, None  # kernels here add the biases
            yield
        finally:
            for module, kernel, bias in before:
                module.kernel, module.bias = kernel, bias


class _Chosen:
    """The experts of the rows of a half, from what reads the rows until the last of it."""

    def __init__(self, gate: Gate, multiply: Multiply) -> None:
        self._gate, self._multiply = gate, multiply
        self._rows = torch.empty(0, dtype=torch.int64)

    def kernel(self, experts: Sequence[Own], *, reads: bool) -> Multiply:
        """reads: whether what is multiplied is what the half is given."""

        def kernel(x: Tensor, weight: Any) -> Tensor:
            if reads:
                # the first of the largest, as a prompt's
                self._rows = self._gate.likely(x, self._multiply).max(-1).indices.to(x.device)
            out: Tensor | None = None
            for expert in self._rows.unique().tolist():
                places = (self._rows == expert).nonzero()[:, 0]
                some = experts[expert](x[places])
                out = x.new_empty(len(x), some.shape[-1]) if out is None else out
                out[places] = some.to(x.dtype)
            assert out is not None
            return out

        return kernel


def _of(module: Linear, kernel: Multiply) -> Own:
    bias = module.bias
    weight = module.weight

    def own(x: Tensor) -> Tensor:
        y = kernel(x, weight)
        return y if bias is None else y + bias

    return own


def _of_expert(expert: Expert, layer: int, path: str, module: Linear, host: Host) -> Own:
    replaced: Mapping[str, Linear] = expert.layers.get(layer, {})
    if path in replaced:
        return _of(replaced[path], replaced[path].kernel)
    added = expert.deltas.get(layer, {}).get(path, ())
    if not added:
        return _of(module, host.kernels[path])
    deltas = [(delta, 1.0) for _, delta in added]
    kernel = changed_linear(host.kernels[path], deltas, None, None, host.multiply, module.bias)
    weight = module.weight
    return lambda x: kernel(x, weight)
