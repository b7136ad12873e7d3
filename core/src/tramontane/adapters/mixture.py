"""A mixture of adapters that is fitted to a model: each token has its own shares of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tramontane.blocks import Linear
from tramontane.errors import RequestError

from .adapter import HERE, Adapter, Applied, Where
from .classifier import Classifier
from .kernels import Multiply, added
from .prompted import Changes, Part

if TYPE_CHECKING:
    from tramontane.engine.batch import Batch


class Mixture(Changes):
    """Requests with it have no other adapters besides. The model never changes but during `on`.

    `first` is what the pass has whose hidden states the classifier reads; None: the model alone.
    """

    def __init__(
        self,
        model: nn.Module,
        kernels: Mapping[str, Callable[..., Any]],
        classifier: Classifier,
        adapters: Sequence[Adapter],
        mixed: Mapping[str, Sequence[Part]],
        multiply: Multiply,
        where: Where | None = None,
        *,
        weight: float,
        pass_value: float,
        frozen_after: int | None,
        name: str,
        source: str,
    ) -> None:
        """kernels, multiply, where: as of `Applied`. frozen_after: as of `MixtureOptions`. Others:
        as of `StoredMixture`, fitted."""
        self.name, self.source, self.names = name, source, (name,)
        self.classifier, self.frozen_after = classifier, frozen_after
        self.mixed = self._mixed = mixed
        self.width = classifier.adapters
        self._weight, self._multiply = weight, multiply
        self._where = where
        self._modules: dict[str, Any] = {path: model.get_submodule(path) for path in mixed}
        self._kernels = {path: kernels[path] for path in mixed}
        self.first = self._first(model, kernels, adapters, pass_value)
        self.nbytes = sum(adapter.nbytes for adapter in adapters)
        told = hashlib.blake2b(repr((weight, pass_value, frozen_after)).encode(), digest_size=32)
        for tensor in classifier.tensors():
            self.nbytes += tensor.nbytes
            told.update(tensor.contiguous().numpy().tobytes())
        told.update(repr(_settings(classifier)).encode())
        for adapter in adapters:
            told.update(adapter.digest)
        for path, parts in sorted(mixed.items()):
            told.update(repr((path, [(part.layer, part.adapter) for part in parts])).encode())
        self.digest = told.digest()

    def _first(
        self,
        model: nn.Module,
        kernels: Mapping[str, Callable[..., Any]],
        adapters: Sequence[Adapter],
        value: float,
    ) -> Applied | None:
        kept = self.classifier.kept(torch.full((self.classifier.adapters,), value)) * self._weight
        counted = [
            (adapter, share)
            for adapter, share in zip(adapters, kept.tolist(), strict=True)
            if share and adapter.deltas
        ]
        if not counted:
            return None
        return Applied(model, kernels, counted, self._multiply, self._where)

    def shares(self, hidden: Tensor) -> Tensor:
        """hidden: (rows, hidden) float32, behind the last norm -> (rows, layers, adapters). Raises
        RequestError for what is not finite."""
        found = self.classifier.shares(hidden, self._multiply) * self._weight
        if not found.isfinite().all():
            raise RequestError(
                f"the classifier of the adapter {self.name} gives numbers that are not finite: it "
                "is for another model, or its numbers are too large; answer without it"
            )
        return found.contiguous()

    @contextmanager
    def on(self, batch: Batch) -> Iterator[None]:
        """The rows have their `Batch.shares` meanwhile, all rows of the batch."""
        shares = torch.cat([each for _, each in batch.shares])
        before = [(each, each.kernel, each.bias) for each in self._modules.values()]
        try:
            for path, module in self._modules.items():
                product, at = (self._multiply, HERE) if self._where is None else self._where(path)
                kernel = _kernel(
                    path, self._kernels[path], self._mixed[path], module.bias, product,
                    shares.to(at), batch.numbers.wanted,
                )  # fmt: skip
                module.kernel, module.bias = kernel, None
            yield
        finally:
            for module, kernel, bias in before:
                module.kernel, module.bias = kernel, bias


def _kernel(
    layer: str,
    own: Multiply,
    parts: Sequence[Part],
    bias: Tensor | None,
    multiply: Multiply,
    shares: Tensor,
    wanted: Sequence[int],
) -> Multiply:
    """The kernel of a linear layer in one step. bias: the layer's, added before what adapters add,
    as a recorded step does."""

    def kernel(x: Tensor, stored: Any) -> Tensor:
        here = shares
        if len(x) != len(shares):
            if len(x) != len(wanted):
                raise RequestError(
                    f"{layer} is computed for other rows than a text's tokens, which alone have "
                    "shares of adapters: ask without the adapter"
                )
            here = shares[torch.tensor(wanted, device=shares.device)]
        base = own(x, stored)
        y = base.float() if bias is None else (base + bias).float()
        for part in parts:
            matrix = part.matrix.to(x.device)
            y = y + here[:, part.layer, part.adapter, None] * added(x, matrix, 1.0, multiply)
        return y.to(base.dtype)

    return kernel


def _settings(classifier: Classifier) -> tuple[object, ...]:
    return (
        classifier.relu, classifier.softmax, classifier.temperature, classifier.top_k,
        classifier.softmax_kept,
    )  # fmt: skip


def is_plain(module: nn.Module) -> bool:
    """Whether a mixture may change a module."""
    return type(module) is Linear
