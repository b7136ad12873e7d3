"""Products of backends that stand on this one: put on blocks, and called for a block alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from tramontane.blocks import Embedding, Linear
from tramontane.layouts import Dense, Layout
from tramontane.native_product import NativeProduct

from .step import interpreter
from .step.lower import PLAIN, form_for, table
from .step.memory import Rooms, address
from .step.pool import Pool
from .step.products import native_operation

Asked: TypeAlias = Callable[[Layout, str], NativeProduct | None]


class Standing:
    """Asks for products once for each matrix, and puts them on blocks."""

    def __init__(self, products: Asked, model: nn.Module, pool: Pool, *, exact: bool) -> None:
        self._products, self._pool, self._exact = products, pool, exact
        self._tables = {id(m.weight) for m in model.modules() if isinstance(m, Embedding)}
        self._found: dict[int, tuple[Layout, NativeProduct | None]] = {}

    def put(self, module: Linear, what: str) -> dict[str, str]:
        """The product that a block has now, by `what` and its shape, for the load report; nothing
        where it keeps its kernel. A matrix that is a table of embeddings too stays as it is."""
        weight: Any = module.weight
        if not isinstance(weight, Dense) or weight.data.dtype not in PLAIN:
            return {}
        if id(weight) not in self._found:
            product = self._products(weight, form_for(weight, self._exact))
            if product is not None and product.weight is not None and id(weight) in self._tables:
                product = None
            self._found[id(weight)] = weight, product
        product = self._found[id(weight)][1]
        if product is None:
            return {}
        if product.weight is not None:
            module.weight = product.weight
        vars(module)["product"] = product
        module.kernel = multiply_native(product, self._pool)
        return {f"{what} {weight.shape[0]} x {weight.shape[1]}": product.name}


def multiply_native(product: NativeProduct, pool: Pool) -> Callable[[Tensor, Layout], Tensor]:
    """A drop-in for `reference.linear` with another backend's product."""
    dtype = torch.bfloat16 if product.form == "bf16" else torch.float32

    def multiply(x: Tensor, weight: Layout) -> Tensor:
        count, rows = len(x), weight.shape[0]
        numbers = x.detach().to(dtype).contiguous()
        out = np.empty((count, rows), np.float32)
        run_native(product, weight, numbers, out, pool)
        return torch.from_numpy(out).to(x.dtype)

    return multiply


def run_native(
    product: NativeProduct, weight: Any, x: Tensor, out: Any, pool: Pool
) -> None:  # fmt: skip
    """x (count, columns) in the product's form -> out (count, rows) float32."""
    step, kept = _step(product, weight, x, out, pool)
    pool.run(step)
    del kept


def prepared_native(
    product: NativeProduct, weight: Any, x: Tensor, pool: Pool
) -> Callable[[], None]:
    """The same as a function, whose result nobody reads."""
    out = np.empty((len(x), weight.shape[0]), np.float32)
    step, kept = _step(product, weight, x, out, pool)

    def act() -> None:
        pool.run(step)
        assert kept

    return act


def _step(
    product: NativeProduct, weight: Any, x: Tensor, out: Any, pool: Pool
) -> tuple[interpreter.Step, Any]:
    """What runs a product alone, and what must live as long."""
    count, stride = len(x), x.shape[1] * x.element_size()
    counts = np.zeros(8, np.int64)
    counts[0] = count
    shared = {
        "count": address(counts), "out": address(out), "stride": out.strides[0],
        "input": x.data_ptr(), "bias": 0, "add": 0,
    }  # fmt: skip
    room = Rooms(pool.threads)
    operation = native_operation(product, weight, stride, count, shared, room.room)
    phases = np.array([(interpreter.JOBS, 0, 1, 0)], np.int64)
    return pool.step(phases, table([operation]), counts), (operation, room, x, out)
