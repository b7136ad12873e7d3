"""Trace a model: record it as a list of operations by running it once with placeholder tensors.

The model runs on the meta device with three tokens, of which two need logits. Blocks that have
kernels record a node instead of computing; plain arithmetic between them is intercepted by torch's
dispatcher. All operations work row by row, so the list is valid for any number of tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from tramontane.blocks import (
    Attention,
    CausalLM,
    Embedding,
    Experts,
    LayerNorm,
    Linear,
    RMSNorm,
    Rope,
    Router,
    StackedLinear,
)

from .graph import TOKENS, WANTED, CannotRecord, Node, Ref, Value
from .mixture import ROUTERS, note_experts, note_route

N_TOKENS, N_WANTED = 3, 2
aten = torch.ops.aten
VIEWS = {
    aten.view.default, aten._unsafe_view.default, aten.unsqueeze.default, aten.squeeze.dim,
    aten.alias.default, aten.detach.default, aten._to_copy.default, aten.clone.default,
    aten.reshape.default, aten.contiguous.default,
}  # fmt: skip
UNARY = {
    aten.silu.default: "silu", aten.tanh.default: "tanh", aten.relu.default: "relu",
    aten.sigmoid.default: "sigmoid",
}  # fmt: skip
NORMS: dict[type[nn.Module], str] = {RMSNorm: "rms_norm", LayerNorm: "layer_norm"}
BINARY = {
    aten.add.Tensor: "add", aten.sub.Tensor: "sub", aten.mul.Tensor: "mul", aten.div.Tensor: "div",
}  # fmt: skip


class Recording:
    """A recorded model: its nodes in order, and the reference to its logits."""

    def __init__(self, model: CausalLM) -> None:
        self.nodes: list[Node] = []
        self._refs: dict[int, Ref] = {}
        self._alive: list[Tensor] = []
        self._model = model
        self._stores: dict[int, Node] = {}
        self.tokens = torch.empty(N_TOKENS, dtype=torch.int64, device="meta")
        self.positions = torch.empty(N_TOKENS, dtype=torch.int64, device="meta")
        self.wanted = torch.empty(N_WANTED, dtype=torch.int64, device="meta")
        self.slots = torch.empty(N_TOKENS, dtype=torch.int64, device="meta")
        with self._noted(), _Watch(self), torch.no_grad():
            batch: Any = _NoBatch(self)
            self.logits = self.ref(_run(model, self.tokens, batch))

    def ref(self, tensor: Any) -> Ref:
        """The reference to a recorded tensor. Raises CannotRecord for one of unknown origin."""
        if id(tensor) in self._refs:
            return self._refs[id(tensor)]
        if isinstance(tensor, Tensor) and tensor.device.type == "cpu" and tensor.dim() <= 1:
            array = tensor.detach().float().numpy().reshape(-1)
            return Ref(None, 0, array.size, np.ascontiguousarray(array))
        raise CannotRecord(f"a tensor of shape {tuple(getattr(tensor, 'shape', ()))}")

    def knows(self, tensor: Any) -> bool:
        return id(tensor) in self._refs

    def keep(self, tensor: Tensor, ref: Ref) -> Tensor:
        self._alive.append(tensor)  # so that its id is not reused
        self._refs[id(tensor)] = ref
        return tensor

    def note(
        self, name: str, inputs: tuple[Any, ...], shape: tuple[int, ...], domain: int | None = None,
        **of: Any,
    ) -> Tensor:  # fmt: skip
        """Add a node; returns a placeholder (rows, *shape) for its result."""
        refs = tuple(each if isinstance(each, Ref) else self.ref(each) for each in inputs)
        if domain is None:
            domain = next(ref.value.domain for ref in refs if ref.value is not None)
        width = int(np.prod(shape))
        value = Value(domain, width)
        self.nodes.append(Node(name, refs, value, of))
        rows = N_TOKENS if domain == TOKENS else N_WANTED
        result = torch.empty(rows, *shape, device="meta")
        return self.keep(result, Ref(value, 0, width))

    def store(self, index: int, slots: Tensor, keys: Tensor, values: Tensor) -> None:
        if slots is not self.slots:
            raise CannotRecord("a store to other slots than the batch's")
        refs = (self.ref(keys), self.ref(values))
        (heads, d_key), d_value = keys.shape[-2:], values.shape[-1]
        of = {"layer": index, "d_key": d_key, "d_value": d_value, "heads": heads}
        node = Node("store", refs, None, of)
        self.nodes.append(node)
        self._stores[index] = node

    def attend(self, q: Tensor, cache: Any, batch: Any, *rest: Any, **more: Any) -> Tensor:
        names = ("scale", "window", "softcap", "alibi", "sinks")
        of = dict(zip(names, rest, strict=False)) | more
        shape = (q.shape[1], cache.d_value)
        out = self.note("attention", (q,), shape, layer=cache.index, d_key=q.shape[2], **of)
        self.nodes[-1].after.append(self._stores[cache.index])
        return out

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Patch the model so that every block that has a kernel records a node."""
        undo: list[Callable[[], None]] = []
        ropes: dict[int, _NotedRope] = {}
        for module in self._model.modules():
            forward = self._forward(module)
            if forward is not None:
                module.forward = forward
                undo.append(lambda module=module: module.__dict__.pop("forward"))  # type: ignore[misc]
            for name, value in list(vars(module).items()):
                if isinstance(value, Rope):
                    noted = ropes.setdefault(id(value), _NotedRope(self, value))
                    setattr(module, name, noted)
                    undo.append(lambda m=module, n=name, v=value: setattr(m, n, v))  # type: ignore[misc]
            if isinstance(module, Attention):
                kernel = module.kernel
                module.kernel = self.attend
                undo.append(lambda m=module, k=kernel: setattr(m, "kernel", k))  # type: ignore[misc]
        try:
            yield
        finally:
            for each in reversed(undo):
                each()

    def _forward(self, module: nn.Module) -> Callable[..., Any] | None:
        if type(module) is Linear:
            return lambda x: self.note("linear", (x,), (module.weight.shape[0],), module=module)
        if isinstance(module, Router) and type(module) in ROUTERS:
            return lambda x: note_route(self, module, x)
        if type(module) is Experts:
            return lambda *arguments: note_experts(self, module, *arguments)
        if isinstance(module, (Linear, StackedLinear)):
            return lambda *_: _refused(type(module).__name__)
        if type(module) is Embedding:
            return lambda tokens: self._embed(tokens, module)
        if type(module) in NORMS:
            return lambda x: self.note(
                NORMS[type(module)], (x,), tuple(x.shape[1:]), module=module, width=x.shape[-1]
            )
        return None

    def _embed(self, tokens: Tensor, module: Embedding) -> Tensor:
        if tokens is not self.tokens and tokens is not self.positions:
            raise CannotRecord("an embedding of something else than tokens and positions")
        width, positions = module.weight.shape[1], tokens is self.positions
        return self.note("lookup", (), (width,), TOKENS, module=module, positions=positions)


def _refused(name: str) -> Tensor:
    raise CannotRecord(f"{name} has no kernel in a recorded step")


def _is_share(x: Any, y: Any) -> bool:
    """Whether x (rows, 1) has one factor for each row of y (rows, columns)."""
    return (
        isinstance(y, Tensor) and x.dim() == y.dim() == 2
        and x.shape == (y.shape[0], 1) and y.shape[1] > 1
    )  # fmt: skip


def _run(model: CausalLM, tokens: Tensor, batch: Any) -> Any:
    try:
        return model(tokens, batch)
    except CannotRecord:
        raise
    except Exception as error:  # for example, it used an attribute that only a real batch has
        raise CannotRecord(f"{type(error).__name__}: {error}") from error


class _Watch(TorchDispatchMode):
    """Records plain torch operations. Raises CannotRecord for those without a kernel."""

    def __init__(self, recording: Recording) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._recording = recording

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # torch's own implementation imports its compiler, which takes a second
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        recording = self._recording
        if not any(recording.knows(each) for each in args):
            return func(*args, **(kwargs or {}))
        if func in VIEWS:
            out = func(*args, **(kwargs or {}))
            # models use float64 for reproducible results, which kernels provide in float32
            kinds = (torch.float32, torch.float64)
            if out.shape[:1] != args[0].shape[:1] or out.dtype not in kinds:
                raise CannotRecord(f"{func} that moves rows")
            return recording.keep(out, recording.ref(args[0]))
        if func in UNARY:
            return recording.note(UNARY[func], (args[0],), tuple(args[0].shape[1:]))
        if func is aten.gelu.default:
            kind = "gelu_tanh" if (kwargs or {}).get("approximate") == "tanh" else "gelu"
            return recording.note(kind, (args[0],), tuple(args[0].shape[1:]))
        if func is aten.clamp.default and len(args) == 3 and args[1] == -args[2]:
            return recording.note("clamp", (args[0],), tuple(args[0].shape[1:]), value=args[2])
        if func is aten.pow.Tensor_Scalar and args[1] == 2:
            return recording.note("square", (args[0],), tuple(args[0].shape[1:]))
        if func in BINARY and not (kwargs or {}):
            return self._binary(BINARY[func], *args)
        if func is aten.index.Tensor and args[1][0] is recording.wanted and len(args[1]) == 1:
            return recording.note("pick", (args[0],), tuple(args[0].shape[1:]), WANTED)
        if func in (aten.split.Tensor, aten.split_with_sizes.default, aten.slice.Tensor):
            return self._split(func, *args, **(kwargs or {}))
        raise CannotRecord(str(func))

    def _binary(self, name: str, x: Any, y: Any) -> Tensor:
        recording = self._recording
        if isinstance(y, (int, float)):
            kernel = "shift" if name in ("add", "sub") else "scale"
            number = {"add": y, "mul": y, "sub": -y}[name] if name != "div" else 1 / y
            return recording.note(kernel, (x,), tuple(x.shape[1:]), value=float(number))
        if not isinstance(x, Tensor) or not recording.knows(x):
            if name not in ("add", "mul"):
                raise CannotRecord(f"{name} with a constant on the left")
            x, y = y, x
        if isinstance(y, Tensor) and y.dim() == 0 and y.device.type == "cpu":
            return self._binary(name, x, float(y))
        ref = recording.ref(y)
        if name == "mul" and _is_share(y, x):
            x, y, ref = y, x, recording.ref(x)
        if name == "mul" and _is_share(x, y):
            return recording.note("weigh", (x, ref), tuple(y.shape[1:]))
        if ref.width != recording.ref(x).width or (ref.value is not None and y.shape != x.shape):
            raise CannotRecord(f"{name} of {tuple(x.shape)} and {tuple(y.shape)}")
        return recording.note(name, (x, ref), tuple(x.shape[1:]))

    def _split(self, func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        recording = self._recording
        out = func(x, *args, **kwargs)
        parts = out if isinstance(out, (list, tuple)) else [out]
        ref = recording.ref(x)
        if x.dim() != 2 or any(part.shape[0] != x.shape[0] for part in parts):
            raise CannotRecord(f"{func} of {tuple(x.shape)}")
        for part in parts:
            inside = Ref(
                ref.value, ref.offset + part.storage_offset() - x.storage_offset(), part.shape[1]
            )
            recording.keep(part, inside)
        return out


class _NotedRope:
    """Replaces a rotary embedding while the model is recorded."""

    def __init__(self, recording: Recording, rope: Rope) -> None:
        self._recording, self._rope = recording, rope
        self.scaling = rope.scaling

    def __call__(self, x: Tensor, batch: Any) -> Tensor:
        return self._recording.note(
            "rope", (x,), tuple(x.shape[1:]), rope=self._rope, width=x.shape[-1]
        )


class _NoBatch:
    """A placeholder for a batch, with the attributes that models may use."""

    def __init__(self, recording: Recording) -> None:
        self.wanted, self.slots = recording.wanted, recording.slots
        self.positions = recording.positions
        self.cache = self
        self.layers = _Layers(recording)


class _Layers:
    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._caches: dict[int, _NoCache] = {}

    def __getitem__(self, index: int) -> _NoCache:
        return self._caches.setdefault(index, _NoCache(self._recording, index))


class _NoCache:
    def __init__(self, recording: Recording, index: int) -> None:
        self._recording, self.index = recording, index
        self.d_value = 0

    def store(self, slots: Tensor, keys: Tensor, values: Tensor) -> None:
        self.d_value = values.shape[-1]
        self._recording.store(self.index, slots, keys, values)
