"""Turn a model into a list of operations by running it once, on no numbers.

The model runs on the meta device with three tokens of which two are wanted. Blocks that have
kernels note themselves down instead of computing; plain arithmetic between them is seen by torch's
dispatcher. Whatever a step does with more tokens, it does row by row, so the list holds for any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from tramontane.blocks import (
    Attention,
    DeltaRule,
    Embedding,
    Experts,
    GeneralizedDeltaRule,
    HeadNorm,
    LatentAttention,
    LayerNorm,
    Linear,
    RMSNorm,
    Rope,
    Router,
    SelectiveScan,
    ShortConv,
    StackedLinear,
    TokenShift,
)

from . import torch_ops
from .delta_rule import delta_rule_node
from .graph import TOKENS, CannotRecord, Node, NoKernel, Ref, Value
from .joint import joined, note_linear
from .latent import note_each_head, note_latent_attention
from .mixture import ROUTERS, note_experts, note_route, note_scores

N_TOKENS, N_WANTED = 3, 2
NORMS: dict[type[nn.Module], str] = {RMSNorm: "rms_norm", LayerNorm: "layer_norm"}


class Recording:
    """The nodes, in order, and what the model returned."""

    def __init__(
        self, model: nn.Module, run: Callable[[Recording], Sequence[Tensor]] | None = None
    ) -> None:
        """run: what is recorded, given the recording; None: a step of the model."""
        self.nodes: list[Node] = []
        self._refs: dict[int, Ref] = {}
        self._kept: list[Tensor] = []
        self._model = model
        self._stores: dict[int, Node] = {}
        levels = getattr(model, "levels", None)
        self.media = None if levels is None else _NotedMedia(self, levels)
        self.cross = _NotedCross(self) if getattr(model, "crosses", False) else None
        self.hidden: Ref | None = None
        self.normed: Ref | None = None
        """What the norm behind the last layer gives."""
        self.tokens = torch.empty(N_TOKENS, dtype=torch.int64, device="meta")
        self.positions = torch.empty(N_TOKENS, dtype=torch.int64, device="meta")
        self.wanted = torch.empty(N_WANTED, dtype=torch.int64, device="meta")
        self.slots = torch.empty(N_TOKENS, dtype=torch.int64, device="meta")
        with self._noted(), _Watch(self), torch.no_grad():
            if run is not None:
                self.results = [self.ref(each) for each in run(self)]
                return
            batch: Any = _NoBatch(self)
            self.logits = self.ref(self._seen(model, batch))
            if getattr(model, "keeps_hidden", False):
                self.hidden = self.ref(model.hidden)

    def _seen(self, model: Any, batch: Any) -> Any:
        """A step's logits."""

        def seen(module: nn.Module, given: Any, result: Tensor) -> None:
            if self.knows(result):
                self.normed = self.ref(result)

        last = getattr(getattr(model, "model", None), "norm", None)
        if not isinstance(last, nn.Module):
            return _told(model, self.tokens, batch)
        end = last.register_forward_hook(seen)
        try:
            return _told(model, self.tokens, batch)
        finally:
            end.remove()

    def ref(self, tensor: Any) -> Ref:
        """Where a tensor's numbers are. Raises CannotRecord for one that nothing here made."""
        if id(tensor) in self._refs:
            return self._refs[id(tensor)]
        if isinstance(tensor, Tensor) and tensor.device.type == "cpu" and tensor.dim() <= 1:
            array = tensor.detach().float().numpy().reshape(-1)
            return Ref(None, 0, array.size, np.ascontiguousarray(array))
        raise CannotRecord(f"a tensor of shape {tuple(getattr(tensor, 'shape', ()))}")

    def knows(self, tensor: Any) -> bool:
        return id(tensor) in self._refs

    def is_last(self, tensor: Tensor) -> bool:
        """Whether it is what the last node made, and nothing else has its numbers."""
        mine = self._refs.get(id(tensor))
        same = [ref for ref in self._refs.values() if mine is not None and ref.value is mine.value]
        return mine is not None and len(same) == 1 and self.nodes[-1].output is mine.value

    def keep(self, tensor: Tensor, ref: Ref) -> Tensor:
        self._kept.append(tensor)  # or its id might come again
        self._refs[id(tensor)] = ref
        return tensor

    def note(
        self, name: str, inputs: tuple[Any, ...], shape: tuple[int, ...], domain: int | None = None,
        **of: Any,
    ) -> Tensor:  # fmt: skip
        """Add a node whose result has `shape` after its rows."""
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
        names = ("scale", "window", "softcap", "alibi", "sinks", "chunk")
        of = dict(zip(names, rest, strict=False)) | more
        shape = (q.shape[1], cache.d_value)
        out = self.note("attention", (q,), shape, layer=cache.index, d_key=q.shape[2], **of)
        self.nodes[-1].after.append(self._stores[cache.index])
        return out

    def attend_latents(
        self, asked: Tensor, turned: Tensor, cache: Any, batch: Any, scale: float
    ) -> Tensor:
        out = note_latent_attention(self, asked, turned, cache, batch, scale)
        self.nodes[-1].after.append(self._stores[cache.index])
        return out

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Every block that has a kernel notes itself down."""
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
            if isinstance(module, Router) and type(module) in ROUTERS:
                module.scores = partial(note_scores, self, module)  # type: ignore[method-assign]
                undo.append(lambda module=module: module.__dict__.pop("scores"))  # type: ignore[misc]
            if isinstance(module, LatentAttention):
                module.each_head = partial(note_each_head, self, self.nodes)  # type: ignore[method-assign]
                undo.append(lambda module=module: module.__dict__.pop("each_head"))  # type: ignore[misc]
            if isinstance(module, (Attention, LatentAttention)):
                kernel = module.kernel
                latent = isinstance(module, LatentAttention)
                module.kernel = self.attend_latents if latent else self.attend
                undo.append(lambda m=module, k=kernel: setattr(m, "kernel", k))  # type: ignore[misc]
        try:
            yield
        finally:
            for each in reversed(undo):
                each()

    def _forward(self, module: nn.Module) -> Callable[..., Any] | None:
        if type(module) is Linear:
            return lambda x: note_linear(self, self.nodes, module, x)
        if isinstance(module, Router) and type(module) in ROUTERS:
            return lambda x: note_route(self, module, x)
        if type(module) is Experts:
            return lambda *told: joined(self, self.nodes, module, note_experts(self, module, *told))
        if isinstance(module, (Linear, StackedLinear)):
            return lambda *_: _refused(type(module).__name__)
        if type(module) is Embedding:
            return lambda tokens: self._embed(tokens, module)
        if type(module) in (ShortConv, TokenShift):
            name = "short_conv" if type(module) is ShortConv else "token_shift"
            return lambda x, batch: self.note(name, (x,), (x.shape[1],), module=module)
        if type(module) is GeneralizedDeltaRule:
            return lambda *told: self._generalized_rule(module, *told)
        if type(module) is DeltaRule:
            return lambda *told: self._rule(module, *told)
        if type(module) is SelectiveScan:
            return lambda *told: self._scan(module, *told)
        if type(module) in NORMS:
            return lambda x: self._norm(NORMS[type(module)], x, module)
        if type(module) is HeadNorm:
            return lambda x: self._norm("layer_norm" if module.center else "rms_norm", x, module)
        return None

    def _norm(self, name: str, x: Tensor, module: nn.Module) -> Tensor:
        return self.note(name, (x,), tuple(x.shape[1:]), module=module, width=x.shape[-1])

    def _rule(
        self, module: DeltaRule, q: Tensor, k: Tensor, v: Tensor, decay: Tensor,
        beta: Tensor | None, batch: Any,
    ) -> Tensor:  # fmt: skip
        given, about = delta_rule_node(module, q, k, v, decay, beta)
        return self.note("delta_rule", tuple(given), tuple(v.shape[1:]), **about)

    def _scan(
        self, module: SelectiveScan, x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor,
        batch: Any,
    ) -> Tensor:  # fmt: skip
        if a.device.type != "cpu":
            raise CannotRecord("a selective scan whose decays are made within the step")
        return self.note("selective_scan", (x, dt, b, c), (x.shape[1],), module=module, a=a)

    def _generalized_rule(
        self, module: GeneralizedDeltaRule, q: Tensor, k: Tensor, v: Tensor, decay: Tensor,
        a: Tensor, b: Tensor, batch: Any,
    ) -> Tensor:  # fmt: skip
        heads, d_value = v.shape[1:]
        return self.note(
            "generalized_delta_rule", (q, k, v, decay, a, b), (heads, d_value), module=module,
            heads=heads, d_key=k.shape[2], d_value=d_value,
        )  # fmt: skip

    def _embed(self, tokens: Tensor, module: Embedding) -> Tensor:
        if tokens is not self.tokens and tokens is not self.positions:
            raise CannotRecord("an embedding of something else than tokens and positions")
        width, positions = module.weight.shape[1], tokens is self.positions
        return self.note("lookup", (), (width,), TOKENS, module=module, positions=positions)


def _refused(name: str) -> Tensor:
    raise CannotRecord(f"{name} has no kernel in a recorded step")


def told_rows(
    function: Callable[..., Any], given: Sequence[Value]
) -> Callable[[Recording], Sequence[Tensor]]:
    """To record a function of rows, whose inputs are these values."""

    def run(recording: Recording) -> Sequence[Tensor]:
        rows = [
            recording.keep(
                torch.empty(N_TOKENS, value.width, device="meta"), Ref(value, 0, value.width)
            )
            for value in given
        ]
        try:
            found = function(*rows)
            return found if isinstance(found, tuple) else (found,)
        except CannotRecord:
            raise
        except Exception as error:
            raise CannotRecord(f"{type(error).__name__}: {error}") from error

    return run


def _told(model: nn.Module, tokens: Tensor, batch: Any) -> Any:
    try:
        return model(tokens, batch)
    except NoKernel as error:
        raise NoKernel(f"{error} in {_place(model, error)}") from error
    except CannotRecord:
        raise
    except Exception as error:  # it asked for what only a real batch has
        raise CannotRecord(f"{type(error).__name__}: {error}") from error


def _place(model: nn.Module, error: Exception) -> str:
    """The module whose code was running: its path in the model, and its class."""
    paths = {id(module): path for path, module in model.named_modules()}
    found: nn.Module = model
    frame = error.__traceback__
    while frame is not None:
        module = frame.tb_frame.f_locals.get("self")
        if isinstance(module, nn.Module) and id(module) in paths:
            found = module
        frame = frame.tb_next
    path = paths[id(found)]
    return f"{path} ({type(found).__name__})" if path else type(found).__name__


class _Watch(TorchDispatchMode):
    """Notes plain torch operations down, or says that it cannot."""

    def __init__(self, recording: Recording) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._recording = recording

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # to say so, torch would load its compiler, which takes a second
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        recording = self._recording
        given = [
            each for arg in args for each in (arg if isinstance(arg, (list, tuple)) else [arg])
        ]
        if not any(recording.knows(each) for each in given):
            return func(*args, **(kwargs or {}))
        return torch_ops.note(recording, func, args, kwargs or {})


class _NotedRope:
    """Stands for a rotation while the model is recorded."""

    def __init__(self, recording: Recording, rope: Rope) -> None:
        self._recording, self._rope = recording, rope
        self.scaling = rope.scaling

    def __call__(self, x: Tensor, batch: Any) -> Tensor:
        return self._recording.note(
            "rope", (x,), tuple(x.shape[1:]), rope=self._rope, width=x.shape[-1]
        )


class _NotedMedia:
    """Stands for a batch's rows of media; steps have such a place for each token, which is empty
    where it has no row."""

    def __init__(self, recording: Recording, levels: int) -> None:
        self._recording, self._levels = recording, levels

    def put(self, x: Tensor) -> Tensor:
        return self._recording.note("media", (x,), tuple(x.shape[1:]), level=0)

    def add(self, x: Tensor, layer: int) -> Tensor:
        if layer >= self._levels:
            return x
        return self._recording.note("media", (x,), tuple(x.shape[1:]), level=layer + 1)


class _NotedCross:
    """Stands for what the rows of a batch cross-attend to, where all of them do."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def attend(self, kernel: Any, q: Tensor, index: int, scale: float) -> Tensor:
        shape = tuple(q.shape[1:])
        of: dict[str, Any] = {"layer": index, "d_key": q.shape[2], "scale": scale, "cross": True}
        return self._recording.note("attention", (q,), shape, **of)


class _NoBatch:
    """Stands for a batch: what models may ask of one."""

    def __init__(self, recording: Recording) -> None:
        self.wanted, self.slots = recording.wanted, recording.slots
        self.positions = recording.positions
        self.media, self.cross, self.mutual = recording.media, recording.cross, False
        self.cache = self
        self.layers = _Layers(recording)
        self.states = _NoStates()


class _Layers:
    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._made: dict[int, _NoCache] = {}

    def __getitem__(self, index: int) -> _NoCache:
        return self._made.setdefault(index, _NoCache(self._recording, index))


class _NoStates:
    def __getitem__(self, index: int) -> Any:
        raise CannotRecord("a recurrence that is none of the blocks'")


class _NoCache:
    def __init__(self, recording: Recording, index: int) -> None:
        self._recording, self.index = recording, index
        self.d_value = 0

    def store(self, slots: Tensor, keys: Tensor, values: Tensor) -> None:
        self.d_value = values.shape[-1]
        self._recording.store(self.index, slots, keys, values)
