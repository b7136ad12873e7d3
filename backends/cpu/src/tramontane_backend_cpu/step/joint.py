"""What several ranks do together within a recorded step: between its kernels, by the group."""

from __future__ import annotations

import torch
from torch import Tensor
from tramontane.blocks import Experts, Linear
from tramontane.engine.batch import Batch
from tramontane.parallel.joint import Beside

from .graph import JOINT, TOKENS, Node, Recorder, Ref, Value
from .memory import Buffers


def note_linear(recording: Recorder, nodes: list[Node], module: Linear, x: Tensor) -> Tensor:
    """Record `Linear.forward`. nodes: the recording's."""
    part = recording.note("linear", (x,), (module.weight.shape[0],), module=module)
    return joined(recording, nodes, module, part)


def joined(
    recording: Recorder, nodes: list[Node], module: Linear | Experts, part: Tensor
) -> Tensor:
    """Record what makes of a rank's part of a result the whole: a sum in its place, or a wider one.
    These are done in the order in which the model has them, which is the same on all ranks."""
    joint = module.joint
    if joint is None:
        return part
    ref = recording.ref(part)
    assert ref.value is not None
    output = ref.value
    if isinstance(joint, Beside):
        output = Value(output.domain, sum(joint.widths))
    before = [node for node in nodes if node.name == JOINT][-1:]
    nodes.append(Node(JOINT, (ref,), output, {JOINT: joint}, before))
    whole = torch.empty(len(part), output.width, device="meta")
    return recording.keep(whole, Ref(output, 0, output.width))


class Joined:
    """One of them, with the memory that it works on."""

    def __init__(self, node: Node, buffers: Buffers) -> None:
        (ref,) = node.inputs
        assert ref.value is not None
        assert node.output is not None
        self._joint, self._domain = node.of[JOINT], ref.value.domain
        self._given = torch.from_numpy(buffers.floats(ref.value))
        self._made = torch.from_numpy(buffers.floats(node.output))

    def run(self, tokens: int, batch: Batch) -> None:
        """Of a step with so many tokens."""
        rows = tokens if self._domain == TOKENS else len(batch.numbers.wanted)
        if not rows:
            return
        given, made = self._given[:rows], self._made[:rows]
        found = self._joint(given)
        if found.data_ptr() != made.data_ptr():
            made.copy_(found)
