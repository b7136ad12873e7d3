"""Which kernel computes sums, means, softmax and arithmetic over the parts of each row."""

from __future__ import annotations

from collections.abc import Callable

from tramontane_backend_cpu.kernels import parts

from .graph import Node, Ref
from .inputs import Inputs
from .memory import Buffers
from .products import Operation, arguments


def _places(node: Node, buffers: Buffers) -> dict[str, int]:
    """The fields that all of these kernels have; `width` numbers of x are a part."""
    assert node.output is not None
    x, x_stride = buffers.place(node.inputs[0])
    out, out_stride = buffers.place(Ref(node.output, 0, node.output.width))
    width = node.of["width"]
    return {
        "x": x, "x_stride": x_stride, "out": out, "out_stride": out_stride, "width": width,
        "parts": node.inputs[0].width // width,
    }  # fmt: skip


def _reduction(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    told = arguments(parts.FIELDS, **_places(node, buffers))
    return Operation(parts.reduction(node.name).address, told)


def _softmax(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    told = arguments(parts.FIELDS, **_places(node, buffers))
    return Operation(parts.softmax.address, told)


def _binary(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    y, y_stride = buffers.place(node.inputs[1])
    told = arguments(parts.BINARY_FIELDS, y=y, y_stride=y_stride, **_places(node, buffers))
    return Operation(parts.binary(node.name).address, told)


LOWERINGS: dict[str, Callable[[Node, Buffers, Inputs], Operation]] = {
    **dict.fromkeys(parts.REDUCTIONS, _reduction),
    **dict.fromkeys(parts.BINARY, _binary),
    "softmax": _softmax,
}
