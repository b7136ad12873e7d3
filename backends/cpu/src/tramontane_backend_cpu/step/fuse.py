"""Fuse operations, so that intermediate values are never written to memory."""

from __future__ import annotations

from tramontane_backend_cpu.packing import Interleaved
from tramontane_backend_cpu.vector.tiles import UNIT

from .graph import Node, Ref, Value
from .schedule import uses

ACTIVATIONS = ("silu", "gelu_tanh", "gelu", "relu", "sigmoid", "tanh")
"""Activation functions without parameters."""


def fuse_gates(nodes: list[Node]) -> list[Node]:
    """Replace activation(gate(x)) * up(x), the input of a matrix, by one operation.

    nodes: with their conversions, see `schedule.convert_inputs`.
    """
    counts = uses(nodes)
    producers = {node.output: node for node in nodes}
    gone: set[int] = set()
    fused: dict[int, Node] = {}
    for node in nodes:
        if node.name != "convert" or node.output is None or node.output.form == "bf16":
            continue
        if "order" in node.of:  # a part of the numbers is not a part of what the next matrix reads
            continue
        parts = _parts(node, producers)
        if parts is None:
            continue
        gate, up, activation, product = parts
        if any(counts[part.output] != 1 for part in parts if part.output is not None):
            continue
        of = {"gate": gate.of["module"], "up": up.of["module"], "activation": activation.name}
        after = [each for part in (*parts, node) for each in part.after]
        fused[id(node)] = Node("gated", gate.inputs, node.output, of, after)
        gone |= {id(part) for part in (gate, up, activation, product)}
    return [fused.get(id(node), node) for node in nodes if id(node) not in gone]


def _parts(
    convert: Node, producers: dict[Value | None, Node]
) -> tuple[Node, Node, Node, Node] | None:  # fmt: skip
    """The gate, up, activation and product nodes that produce a conversion's input, or None."""
    product = _producer(convert.inputs[0], producers)
    if product is None or product.name != "mul":
        return None
    for factor, other in (product.inputs, product.inputs[::-1]):
        activation, up = _producer(factor, producers), _producer(other, producers)
        if activation is None or up is None or activation.name not in ACTIVATIONS:
            continue
        gate = _producer(activation.inputs[0], producers)
        if gate is not None and gate is not up and _can_join(gate, up):
            return gate, up, activation, product
    return None


def _can_join(gate: Node, up: Node) -> bool:
    if gate.name != "linear" or up.name != "linear" or gate.inputs != up.inputs:
        return False
    if "column" in gate.of or "column" in up.of:
        return False
    weights = [node.of["module"].weight for node in (gate, up)]
    packed = all(isinstance(weight, Interleaved) for weight in weights)
    return packed and weights[0].shape == weights[1].shape and weights[0].shape[0] % UNIT == 0


def _producer(ref: Ref, producers: dict[Value | None, Node]) -> Node | None:
    """The operation that produces a value, if the reference covers all of it."""
    value = ref.value
    complete = value is not None and ref.offset == 0 and ref.width == value.width
    return producers.get(value) if complete else None
