"""Which kernel does a recurrence, and what it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tramontane_backend_cpu.kernels import generalized_delta, recurrent

from .graph import Node, Ref
from .inputs import Inputs
from .memory import Buffers
from .products import Operation, arguments


def _state(node: Node, inputs: Inputs) -> dict[str, int]:
    module = node.of["module"]
    state = inputs.cache.states[module.index][module.name]
    return {"state": state.data_ptr(), "slot_bytes": 4 * state.stride(0), "spans": inputs.spans_at}


def _short_conv(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    module = node.of["module"]
    taps = np.ascontiguousarray(module.weight.detach().float().numpy().T)
    return _convolved(node, buffers, inputs, taps, _bias(module, inputs))


def _token_shift(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    """A convolution that takes all of the token before, and nothing of the token itself."""
    assert node.output is not None
    taps = np.zeros((2, node.output.width), np.float32)
    taps[0] = 1
    return _convolved(node, buffers, inputs, taps, 0)


def _convolved(
    node: Node, buffers: Buffers, inputs: Inputs, taps: np.ndarray[Any, Any], bias: int
) -> Operation:
    assert node.output is not None
    channels = node.output.width
    (x, x_stride), (out, out_stride) = buffers.place(node.inputs[0]), _out(node, buffers)
    blocks = -(-channels // recurrent.CHANNELS)
    told = arguments(
        recurrent.CONV_FIELDS, blocks=blocks, x=x, x_stride=x_stride, out=out,
        out_stride=out_stride, weight=inputs.keep(taps), bias=bias,
        channels=channels, width=len(taps), **_state(node, inputs),
    )  # fmt: skip
    return Operation(recurrent.short_conv.address, told, inputs.SPANS, blocks)


def _delta_rule(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    of = node.of
    out, out_stride = _out(node, buffers)
    places = [buffers.place(ref) for ref in node.inputs]
    if of["fixed"] is not None:  # the same numbers for every row
        fixed = np.ascontiguousarray(of["fixed"].detach().float().numpy())
        places.insert(3, (inputs.keep(fixed), 0))
    (q, q_stride), (k, k_stride), (v, v_stride), (decay, decay_stride) = places[:4]
    beta, beta_stride = places[4] if of["corrects"] else (0, 0)
    blocks = -(-of["d_value"] // recurrent.COLUMNS)
    told = arguments(
        recurrent.RULE_FIELDS, blocks=blocks, q=q, q_stride=q_stride, k=k, k_stride=k_stride, v=v,
        v_stride=v_stride, decay=decay, decay_stride=decay_stride, beta=beta,
        beta_stride=beta_stride, out=out, out_stride=out_stride, heads=of["heads"],
        key_heads=of["key_heads"], d_key=of["d_key"], d_value=of["d_value"],
        tiled=int(of["module"].tiled), **_state(node, inputs),
    )  # fmt: skip
    kernel = recurrent.delta_rule(of["keyed"], of["corrects"])
    return Operation(kernel.address, told, inputs.SPANS, blocks * of["heads"])


def _selective_scan(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    assert node.output is not None
    (x, x_stride), (dt, dt_stride), (b, b_stride), (c, c_stride) = map(buffers.place, node.inputs)
    out, out_stride = _out(node, buffers)
    rates = np.ascontiguousarray(node.of["a"].detach().float().numpy().T)
    d_state, channels = rates.shape
    blocks = -(-channels // recurrent.CHANNELS)
    told = arguments(
        recurrent.SCAN_FIELDS, blocks=blocks, x=x, x_stride=x_stride, dt=dt, dt_stride=dt_stride,
        a=inputs.keep(rates), b=b, b_stride=b_stride, c=c, c_stride=c_stride, out=out,
        out_stride=out_stride, channels=channels, d_state=d_state, **_state(node, inputs),
    )  # fmt: skip
    return Operation(recurrent.selective_scan.address, told, inputs.SPANS, blocks)


def _generalized_delta_rule(node: Node, buffers: Buffers, inputs: Inputs) -> Operation:
    of, blocks = node.of, -(-node.of["d_value"] // recurrent.COLUMNS)
    told = {"blocks": blocks, **_state(node, inputs)}
    told |= {name: of[name] for name in ("heads", "d_key", "d_value")}
    places = [*(buffers.place(ref) for ref in node.inputs), _out(node, buffers)]
    for name, place in zip(("q", "k", "v", "decay", "a", "b", "out"), places, strict=True):
        told[name], told[f"{name}_stride"] = place
    kernel = generalized_delta.generalized_delta_rule
    return Operation(
        kernel.address, arguments(generalized_delta.FIELDS, **told), inputs.SPANS,
        blocks * of["heads"],
    )  # fmt: skip


def _out(node: Node, buffers: Buffers) -> tuple[int, int]:
    assert node.output is not None
    place: tuple[int, int] = buffers.place(Ref(node.output, 0, node.output.width))
    return place


def _bias(module: Any, inputs: Inputs) -> int:
    if module.bias is None:
        return 0
    return inputs.keep(np.ascontiguousarray(module.bias.detach().float().numpy()))


LOWERINGS: dict[str, Callable[[Node, Buffers, Inputs], Operation]] = {
    "short_conv": _short_conv, "token_shift": _token_shift, "delta_rule": _delta_rule,
    "generalized_delta_rule": _generalized_delta_rule, "selective_scan": _selective_scan,
}  # fmt: skip
