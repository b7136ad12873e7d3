"""Torch operations that a recorded step has kernels for: one table, operation to node.

A model's blocks note themselves; this is for the arithmetic between them. `TABLE` holds for each
torch operation how it is written in a model, on which condition it is recorded, and what notes it.
`python -m tramontane_backend_cpu.step.torch_ops PAGE` writes the table into a page of the docs.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from .graph import WANTED, NoKernel, Recorder, Ref

aten = torch.ops.aten
FLOATS = (None, torch.float32, torch.float64)
"""float64 is used where the same bits are wanted on every device, which kernels give in float32."""
Note: TypeAlias = Callable[..., Any]
"""(recording, operation, *its arguments) -> what the operation returns."""


@dataclass(frozen=True)
class TorchOp:
    """One line of the table. written: as in a model. on: the condition. nodes: the kernels."""

    operations: tuple[Any, ...]
    written: str
    on: str
    nodes: str
    note: Note


def shape_of(x: Tensor) -> tuple[int, ...]:
    """The shape of each row."""
    return tuple(x.shape[1:])


def view(recording: Recorder, func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    out: Tensor = func(x, *args, **kwargs)
    if out.shape[:1] != x.shape[:1] or out.dtype not in FLOATS:
        raise NoKernel(f"{func} that moves rows, or to {out.dtype},")
    return recording.keep(out, recording.ref(x))


def unary(name: str) -> Note:
    """x -> name(x), number by number."""
    return lambda recording, func, x: recording.note(name, (x,), shape_of(x))


def gelu(recording: Recorder, func: Any, x: Tensor, *, approximate: str = "none") -> Tensor:
    name = "gelu_tanh" if approximate == "tanh" else "gelu"
    return recording.note(name, (x,), shape_of(x))


def softplus(
    recording: Recorder, func: Any, x: Tensor, beta: float = 1, threshold: float = 20
) -> Tensor:
    if beta != 1:
        raise NoKernel(f"{func} with beta={beta}")
    return recording.note("softplus", (x,), shape_of(x))


def clamp(recording: Recorder, func: Any, x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    if low is not None and high is not None and low == -high:
        return recording.note("clamp", (x,), shape_of(x), value=high)
    for name, bound in (("at_least", low), ("at_most", high)):
        if bound is not None:
            x = recording.note(name, (x,), shape_of(x), value=bound)
    return x


def power(recording: Recorder, func: Any, x: Tensor, exponent: float) -> Tensor:
    names = {2: "square", 0.5: "sqrt", -0.5: "rsqrt"}
    if exponent not in names:
        raise NoKernel(f"{func} with the exponent {exponent}")
    return recording.note(names[exponent], (x,), shape_of(x))


def negate(recording: Recorder, func: Any, x: Tensor) -> Tensor:
    return recording.note("scale", (x,), shape_of(x), value=-1.0)


def subtract_from(
    recording: Recorder, func: Any, x: Tensor, number: float, alpha: float = 1
) -> Tensor:
    if alpha != 1:
        raise NoKernel(f"{func} with alpha={alpha}")
    out: Tensor = arithmetic("add")(recording, func, negate(recording, func, x), number)
    return out


def add_in_place(
    recording: Recorder, func: Any, x: Tensor, number: float, alpha: float = 1
) -> Tensor:
    if alpha != 1 or not recording.is_last(x):
        raise NoKernel(f"{func} of a value that is used elsewhere")
    made = arithmetic("add")(recording, func, x, number)
    return recording.keep(x, recording.ref(made))


def arithmetic(name: str) -> Note:
    """Two tensors, or a tensor and a number: see `TABLE` for the shapes."""

    def note(recording: Recorder, func: Any, x: Any, y: Any, **kwargs: Any) -> Tensor:
        if kwargs:
            raise NoKernel(f"{func} with {', '.join(kwargs)}")
        if isinstance(y, Tensor) and y.dim() == 0 and y.device.type == "cpu":
            y = float(y)
        if isinstance(y, (int, float)):
            kernel = "shift" if name in ("add", "sub") else "scale"
            number = {"add": y, "mul": y, "sub": -y}[name] if name != "div" else 1 / y
            return recording.note(kernel, (x,), shape_of(x), value=float(number))
        if not isinstance(x, Tensor) or not recording.knows(x):
            if name not in ("add", "mul"):
                raise NoKernel(f"{func} with a constant on the left")
            return note(recording, func, y, x)
        if not recording.knows(y):
            return recording.note(name, (x, constant(func, y, shape_of(x))), shape_of(x))
        if x.shape == y.shape:
            return recording.note(name, (x, y), shape_of(x))
        if name in ("add", "mul") and is_per_part(x, y):
            x, y = y, x
        if is_per_part(y, x):
            return recording.note(f"{name}_parts", (x, y), shape_of(x), width=x.shape[-1])
        raise NoKernel(f"{func} of {tuple(x.shape)} and {tuple(y.shape)}")

    return note


def is_per_part(x: Tensor, y: Tensor) -> bool:
    """Whether x has one number for each vector of y's last dimension."""
    return x.dim() == y.dim() >= 2 and x.shape == (*y.shape[:-1], 1)


def constant(func: Any, tensor: Any, shape: tuple[int, ...]) -> Ref:
    """A weight, or another tensor that no token changes, repeated as torch would for each row."""
    if not isinstance(tensor, Tensor) or tensor.device.type != "cpu":
        found = tuple(getattr(tensor, "shape", ()))
        raise NoKernel(f"{func} with a tensor of shape {found} that is made within the step")
    array = tensor.detach().float().numpy()
    if array.ndim == len(shape) + 1 and array.shape[0] == 1:
        array = array[0]
    try:  # more dimensions than a row has would be one for tokens
        spread = np.broadcast_to(array, shape)
    except ValueError:
        raise NoKernel(f"{func} of {('tokens', *shape)} and {tuple(tensor.shape)}") from None
    flat = np.ascontiguousarray(spread.reshape(-1), np.float32)
    return Ref(None, 0, flat.size, flat)


def last_dimension(func: Any, x: Tensor, dims: Any) -> None:
    """Raises NoKernel unless the last dimension alone is meant, and is not that of tokens."""
    found = [dims] if isinstance(dims, int) else list(dims or ())
    if x.dim() < 2 or [dim % x.dim() for dim in found] != [x.dim() - 1]:
        raise NoKernel(f"{func} over dimensions {found or 'all'} of {x.dim()}, other than the last")


def reduction(name: str) -> Note:
    """One number for each vector of the last dimension."""

    def note(
        recording: Recorder, func: Any, x: Tensor, dims: Any = None, keepdim: bool = False,
        *, dtype: Any = None,
    ) -> Tensor:  # fmt: skip
        last_dimension(func, x, dims)
        if dtype not in FLOATS:
            raise NoKernel(f"{func} to {dtype}")
        shape = (*x.shape[1:-1], 1) if keepdim else tuple(x.shape[1:-1])
        return recording.note(name, (x,), shape, width=x.shape[-1])

    return note


def softmax(recording: Recorder, func: Any, x: Tensor, dim: int, half: bool = False) -> Tensor:
    last_dimension(func, x, dim)
    return recording.note("softmax", (x,), shape_of(x), width=x.shape[-1])


def deviations(recording: Recorder, func: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """x - mean, and the mean of its squares, over the last dimension."""
    mean = reduction("mean")
    away = arithmetic("sub")(recording, func, x, mean(recording, func, x, [-1], True))
    squares = recording.note("square", (away,), shape_of(away))
    return away, mean(recording, func, squares, [-1], True)


def variance(
    recording: Recorder, func: Any, x: Tensor, dims: Any = None, *, correction: Any = None,
    keepdim: bool = False,
) -> Tensor:  # fmt: skip
    last_dimension(func, x, dims)
    count, taken = x.shape[-1], 1 if correction is None else correction
    if taken >= count:
        raise NoKernel(f"{func} of {count} numbers with correction {taken}")
    _, found = deviations(recording, func, x)
    if taken:
        found = arithmetic("mul")(recording, func, found, count / (count - taken))
    return found if keepdim else view(recording, aten.squeeze.dim, found, -1)


def layer_norm(
    recording: Recorder, func: Any, x: Tensor, shape: Any, weight: Any, bias: Any, eps: float
) -> tuple[Tensor, None, None]:
    if list(shape) != list(x.shape[-1:]):
        raise NoKernel(f"{func} over other dimensions than the last")
    away, found = deviations(recording, func, x)
    found = arithmetic("add")(recording, func, found, eps)
    factor = recording.note("rsqrt", (found,), shape_of(found))
    out = arithmetic("mul")(recording, func, away, factor)
    for name, each in (("mul", weight), ("add", bias)):
        if each is not None:
            out = arithmetic(name)(recording, func, out, each)
    return out, None, None


def pick(recording: Recorder, func: Any, x: Tensor, index: Any) -> Tensor:
    if len(index) != 1 or index[0] is not recording.wanted:
        raise NoKernel(f"{func} with other rows than batch.wanted")
    return recording.note("pick", (x,), shape_of(x), WANTED)


def columns(recording: Recorder, func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    out = func(x, *args, **kwargs)
    parts = out if isinstance(out, (list, tuple)) else [out]
    ref = recording.ref(x)
    if x.dim() == 3 and all(is_of_parts(part, x) for part in parts):
        taken = [taken_of_parts(recording, x, part) for part in parts]
        return taken if isinstance(out, (list, tuple)) else taken[0]
    step_one = all(part.dim() == 2 and part.stride(1) == 1 for part in parts)
    if x.dim() != 2 or not step_one or any(part.shape[0] != x.shape[0] for part in parts):
        raise NoKernel(f"{func} of {tuple(x.shape)}")
    for part in parts:
        offset = ref.offset + part.storage_offset() - x.storage_offset()
        recording.keep(part, Ref(ref.value, offset, part.shape[1]))
    return out


def is_of_parts(part: Tensor, x: Tensor) -> bool:
    """Whether it is neighbouring columns of the last of x's three dimensions."""
    return part.shape[:2] == x.shape[:2] and part.stride(-1) == 1


def taken_of_parts(recording: Recorder, x: Tensor, part: Tensor) -> Tensor:
    """Columns of each of a row's parts. part: those columns of x."""
    first = (part.storage_offset() - x.storage_offset()) % x.shape[2]
    return recording.note(
        "take_parts", (x,), shape_of(part), first=first, step=x.shape[2], width=part.shape[2]
    )


def beside(recording: Recorder, func: Any, parts: Sequence[Tensor], dim: int = 0) -> Tensor:
    out, *others = parts
    if any(part.dim() != 2 or dim not in (1, -1) for part in parts):
        raise NoKernel(f"{func} over other dimensions than the last of two")
    for part in others:
        out = recording.note("concatenate", (out, part), (out.shape[1] + part.shape[1],))
    return out


LAST = "over the last dimension alone, with or without `keepdim`"
ELEMENTWISE = (
    "y: a number; a tensor of the same shape; one number for each vector of x's last dimension; a "
    "weight that broadcasts to the shape of a row"
)
OPERATIONS = (
    TorchOp(
        (aten.view.default, aten._unsafe_view.default, aten.unsqueeze.default, aten.squeeze.dim,
         aten.alias.default, aten.detach.default, aten._to_copy.default, aten.clone.default,
         aten.reshape.default, aten.contiguous.default),
        "`x.view`, `reshape`, `flatten(-2)`, `unflatten(-1, ...)`, `x[:, None]`, `float()`",
        "tokens stay the first dimension; float32 or float64", "none", view,
    ),
    TorchOp((aten.split.Tensor, aten.split_with_sizes.default, aten.slice.Tensor),
            "`x.split`, `x.chunk`, `x[:, a:b]`", "columns; of three dimensions, of the last one",
            "none; take_parts", columns),
    TorchOp((aten.cat.default,), "`torch.cat((x, y), -1)`", "x and y have two dimensions",
            "concatenate", beside),
    TorchOp((aten.index.Tensor,), "`x[batch.wanted]`", "", "pick", pick),
    TorchOp((aten.add.Tensor,), "`x + y`", ELEMENTWISE, "add, add_parts, shift", arithmetic("add")),
    TorchOp((aten.sub.Tensor,), "`x - y`", "as for `+`; x is no weight", "sub, sub_parts, shift",
            arithmetic("sub")),
    TorchOp((aten.mul.Tensor,), "`x * y`", "as for `+`", "mul, mul_parts, scale",
            arithmetic("mul")),
    TorchOp((aten.div.Tensor,), "`x / y`", "as for `+`; x is no weight and no number",
            "div, div_parts, scale", arithmetic("div")),
    TorchOp((aten.rsub.Scalar,), "`number - x`", "", "scale, shift", subtract_from),
    TorchOp((aten.neg.default,), "`-x`", "", "scale", negate),
    TorchOp((aten.add_.Scalar,), "`x += number`", "x was just computed", "shift", add_in_place),
    TorchOp((aten.pow.Tensor_Scalar,), "`x ** p`, `x.square()`", "p is 2, 0.5 or -0.5",
            "square, sqrt, rsqrt", power),
    *(TorchOp((operation,), f"`torch.{name}(x)`", "", name, unary(name))
      for operation, name in (
        (aten.sqrt.default, "sqrt"), (aten.rsqrt.default, "rsqrt"), (aten.exp.default, "exp"),
        (aten.tanh.default, "tanh"), (aten.sigmoid.default, "sigmoid"), (aten.relu.default, "relu"),
    )),
    TorchOp((aten.silu.default,), "`F.silu(x)`", "", "silu", unary("silu")),
    TorchOp((aten.gelu.default,), "`F.gelu(x)`", "exact or `approximate=\"tanh\"`",
            "gelu, gelu_tanh", gelu),
    TorchOp((aten.softplus.default,), "`F.softplus(x)`", "beta 1", "softplus", softplus),
    TorchOp((aten.clamp.default,), "`x.clamp(low, high)`", "one of the two may be left out",
            "clamp, at_least, at_most", clamp),
    TorchOp((aten.mean.dim,), "`x.mean(-1)`", LAST, "mean", reduction("mean")),
    TorchOp((aten.sum.dim_IntList,), "`x.sum(-1)`", LAST, "sum", reduction("sum")),
    TorchOp((aten.amax.default,), "`x.amax(-1)`", LAST, "largest", reduction("largest")),
    TorchOp((aten.var.correction,), "`x.var(-1)`", LAST, "mean, sub_parts, square", variance),
    TorchOp((aten._softmax.default,), "`x.softmax(-1)`", "over the last dimension", "softmax",
            softmax),
    TorchOp((aten.native_layer_norm.default,), "`F.layer_norm(x, x.shape[-1:], ...)`",
            "over the last dimension; `F.rms_norm` is recorded as its parts",
            "mean, sub_parts, square, rsqrt, mul_parts", layer_norm),
)  # fmt: skip
TABLE: dict[Any, TorchOp] = {each: line for line in OPERATIONS for each in line.operations}


def note(recording: Recorder, func: Any, args: Any, kwargs: Any) -> Any:
    """What an operation returns, noted. Raises NoKernel, which names the operation."""
    line = TABLE.get(func)
    if line is None:
        raise NoKernel(str(func))
    try:
        return line.note(recording, func, *args, **kwargs)
    except TypeError as error:  # an argument that no line of the table knows
        raise NoKernel(f"{func} ({error})") from error


BEGIN, END = "<!-- recorded operations -->", "<!-- end of recorded operations -->"


def page_table() -> str:
    """The table as the docs have it."""
    head = ["| in a model | recorded if | kernels |", "|---|---|---|"]
    lines = [f"| {each.written} | {each.on or 'always'} | {each.nodes} |" for each in OPERATIONS]
    return "\n".join([*head, *lines])


def with_table(page: str) -> str:
    """A page with the table between its marks."""
    marks = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    return marks.sub(lambda _: f"{BEGIN}\n{page_table()}\n{END}", page)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(with_table(target.read_text("utf-8")), "utf-8")
