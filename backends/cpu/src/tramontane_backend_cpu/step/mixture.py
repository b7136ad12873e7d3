"""Experts in a recorded step: recorded as two operations, expanded to five.

    route      scores -> weights and experts of each row; the last one sorts all rows by expert
    gather     converted rows, copied to the input of their experts
    gate_up    the first two matrices of each expert that has rows, or the one before an
               activation without a gate, and the activation
    down       the third
    combine    each row's results, weighted

Sorting is described in `kernels/routing.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from tramontane.blocks import (
    ACTIVATIONS,
    BiasedRouter,
    ClampedSwiGLU,
    Experts,
    GroupedRouter,
    Router,
)

from tramontane_backend_cpu.row_orders import is_in_order, orders_of
from tramontane_backend_cpu.vector.target import SET

from .graph import CannotRecord, Node, Ref, Value
from .lower import form_for

if TYPE_CHECKING:
    from .graph import Recorder

ROUTERS = (Router, GroupedRouter, BiasedRouter)
ACTS = {
    "silu": "silu", "relu": "relu", "relu2": "relu2", "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
}  # fmt: skip
"""Kernels of activation functions, by their names in transformers."""


@dataclass(eq=False)
class Sorting:
    """The assignment of rows to experts, shared by the operations of one layer.

    number: its index among the step's sortings. orders: in which the experts read the numbers of
    rows, (1 or experts, columns) int32, or None.
    """

    experts: int
    k: int
    number: int
    orders: Any


def note_scores(recording: Recorder, module: Router, x: Tensor) -> Tensor:
    """Record `Router.scores`."""
    # computed in float32, because rounding could change the chosen experts
    return recording.note("linear", (x,), (module.weight.shape[0],), module=module, exact=True)


def note_route(recording: Recorder, module: Router, x: Tensor) -> tuple[Tensor, Tensor]:
    """Record `Router.forward`."""
    k = module.k
    scores = note_scores(recording, module, x)
    routed = recording.note("route", (scores,), (2 * k,), module=module)
    value = recording.ref(routed).value
    weights = torch.empty(len(routed), k, device="meta")
    chosen = torch.empty(len(routed), k, dtype=torch.int64, device="meta")
    recording.keep(weights, Ref(value, 0, k))
    return weights, recording.keep(chosen, Ref(value, k, k))


def note_experts(
    recording: Recorder, module: Experts, x: Tensor, weights: Tensor, chosen: Tensor
) -> Tensor:
    """Record `Experts.forward`."""
    hidden = module.down_proj.weight.shape[0] // module.count
    return recording.note("experts", (x, weights, chosen), (hidden,), module=module)


def expand(nodes: list[Node], exact: bool) -> tuple[list[Node], int]:
    """Expand experts to operations that have kernels; returns also the number of sortings.

    Raises CannotRecord for experts without kernels.
    """
    routes = {node.output: node for node in nodes if node.name == "route"}
    result: list[Node] = []
    sortings = 0
    for node in nodes:
        if node.name == "experts":
            route = routes.pop(node.inputs[2].value, None)
            if route is None or node.inputs[2].offset != route.of["module"].k:
                raise CannotRecord("experts that no router of their own has chosen")
            result += _operations(node, route, exact, sortings, result)
            sortings += 1
        else:
            result.append(node)
    if routes:
        raise CannotRecord("a router without experts")
    return result, sortings


def activation(module: Experts) -> str:
    """The kernel of its activation function; "" for a `ClampedSwiGLU`. Raises CannotRecord."""
    if isinstance(module.glu, ClampedSwiGLU):
        return ""
    for name, kernel in ACTS.items():
        if ACTIVATIONS[name] is module.act and module.glu is None:
            return kernel
    raise CannotRecord("experts with an activation of their own")


def _operations(
    node: Node, route: Node, exact: bool, number: int, before: Sequence[Node]
) -> list[Node]:
    module: Experts = node.of["module"]
    x, weights, chosen = node.inputs
    assert x.value is not None
    assert node.output is not None
    if route.output is None or x.value.domain != route.output.domain:
        raise CannotRecord("experts of other rows than were routed")
    *forms, last = [form_for(part.weight, exact) for part in module.matrices]
    if len({*forms}) > 1:
        raise CannotRecord("experts whose matrices want their rows in different forms")
    if not is_in_order(module):
        raise CannotRecord("experts whose matrices want their rows in different orders")
    k, domain, wide = route.of["module"].k, x.value.domain, module.up_proj.weight.shape[0]
    sorting = Sorting(module.count, k, number, orders_of(module.up_proj.weight))
    spare = module.count * (SET.tile - 1)  # tiles are whole
    # one more: a separate place for rows of experts that no other row has chosen
    gathered = Value(domain, x.width, forms[0], k + 1, spare)
    between = Value(domain, wide // module.count, last, k, spare)
    products = Value(domain, node.output.width, "f32", k)
    gather = Node("gather", (x, chosen), gathered, {"sorting": sorting})
    route.of |= {"sorting": sorting, "gather": gather}
    route.inputs += (x,)
    route.ahead.append(gathered)
    if not any(each.output is x.value for each in before[: before.index(route)]):
        raise CannotRecord("a router that comes before what the experts read")
    of = {"sorting": sorting, "module": module}
    return [
        gather,
        Node(
            "gate_up",
            (Ref(gathered, 0, gathered.width),),
            between,
            {**of, "act": activation(module), "glu": module.glu},
        ),
        Node("down", (Ref(between, 0, between.width),), products, of),
        Node("combine", (Ref(products, 0, products.width), weights, chosen), node.output, of),
    ]
