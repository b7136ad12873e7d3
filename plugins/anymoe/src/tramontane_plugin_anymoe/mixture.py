"""A mixture of experts over a loaded model: which of them a prompt's answer is computed with."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from tramontane.adapters.adapter import Adapter, Applied
from tramontane.adapters.host import Host
from tramontane.adapters.prompted import (
    Asked,
    Changes,
    Decided,
    PromptAdapter,
    Replaced,
    Watch,
)
from tramontane.adapters.stored import Delta
from tramontane.blocks import Linear
from tramontane.errors import AdapterError, RequestError

from .experts import Expert, read_expert
from .gates import Gate, read_gates
from .halves import Half, halves_of
from .per_token import PerToken
from .settings import GATE_FILE, MixtureSettings, read_settings
from .watching import HalvesWatch

if TYPE_CHECKING:
    from tramontane.engine.batch import Batch

log = logging.getLogger(__name__)
Choice: TypeAlias = tuple[int, ...]
"""The expert of each layer that has any; 0 is the model's own."""
REMEMBERED = 512
"""Prompts whose choice is known."""


def open_mixture(path: Path, host: Host, name: str) -> Mixture:
    """Read a folder that `tramontane anymoe train` has written. Raises TramontaneError."""
    folder = path if path.is_dir() else path.parent
    settings = read_settings(folder)
    own = host.architecture.name
    if settings.architecture not in ("", own):
        raise AdapterError(
            f"{folder} is for a {settings.architecture}, and the model is a {own}"
            + (f": it was trained on {settings.base}" if settings.base else "")
        )
    try:
        halves = halves_of(host.model, own, settings.layers)
    except RequestError as error:
        raise AdapterError(f"{folder}: {error}") from error
    if wrong := next((half for half in halves if half.hidden != settings.hidden_size), None):
        raise AdapterError(
            f"{folder} is for vectors of {settings.hidden_size} numbers, and layer {wrong.layer} "
            f"has {wrong.hidden}: it was trained on another model"
        )
    gates = read_gates(
        folder / GATE_FILE, settings.layers, experts=settings.count, hidden=settings.hidden_size,
        inner=settings.gate_hidden,
    )  # fmt: skip
    experts = [
        read_expert(each, host, halves, target_modules=settings.target_modules)
        for each in settings.experts
    ]
    if (why := _unrecorded(host, settings, experts)) is not None:
        log.warning("%s: steps run operation by operation, which is slower, because %s", name, why)
    return Mixture(host, halves, gates, experts, settings, name=name, source=str(path))


def _unrecorded(host: Host, settings: MixtureSettings, experts: Sequence[Expert]) -> str | None:
    """Why a backend that records steps does not record those of a mixture."""
    if getattr(host.model, "mixes", None) is None:
        return None
    if settings.decide == "token":
        return "each token has its own experts"
    if any(expert.layers for expert in experts) and any(expert.deltas for expert in experts):
        return "some experts are models, and others adapters"
    return None


class Mixture(PromptAdapter):
    """experts: without the model's own, which is 0."""

    def __init__(
        self,
        host: Host,
        halves: Sequence[Half],
        gates: Sequence[Gate],
        experts: Sequence[Expert],
        settings: MixtureSettings,
        *,
        name: str,
        source: str,
    ) -> None:
        self.name, self.source = name, source
        self.settings = settings
        self.host, self.halves, self._gates, self._experts = host, halves, gates, experts
        self.nbytes = sum(expert.nbytes for expert in experts)
        told = hashlib.blake2b(settings.decide.encode(), digest_size=32)
        for half, gate in zip(halves, gates, strict=True):
            for key, tensor in gate.tensors(half.layer).items():
                told.update(key.encode() + tensor.contiguous().numpy().tobytes())
        for expert in experts:
            told.update(expert.digest)
        self.digest = told.digest()
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, Choice] = OrderedDict()
        self._changes: OrderedDict[Choice, Applied | Changes | None] = OrderedDict()

    @cached_property
    def _per_token(self) -> PerToken:
        return PerToken(self.host, self.halves, self._gates, self._experts, self.digest, self.names)

    def known(self, request: Asked) -> Decided | None:
        if self.settings.decide == "token":
            return Decided(self._per_token)
        choice = None if request.media is not None else self.choice_of(request.prompt)
        return None if choice is None else Decided(self.changes(choice))

    def choice_of(self, prompt: tuple[int, ...]) -> Choice | None:
        """What was decided for a prompt, if it was not long ago."""
        key = _key(prompt)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return self._known.get(key)

    def watch(self, request: Asked) -> Watch:
        return Decision(self, request)

    def remember(self, prompt: tuple[int, ...], choice: Choice) -> None:
        """Note what a prompt has decided."""
        with self._lock:
            self._known[_key(prompt)] = choice
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def likely(self, place: int, x: Tensor) -> Tensor:
        """x: (tokens, hidden), what the half at `place` is given -> (tokens, experts)."""
        return self._gates[place].likely(x, self.host.multiply)

    def changes(self, choice: Choice) -> Applied | Changes | None:
        """What the model is changed by where these experts are chosen; None: by nothing."""
        with self._lock:
            if choice not in self._changes:
                if len(self._changes) >= REMEMBERED:
                    self._changes.popitem(last=False)
                self._changes[choice] = self._made(choice)
            return self._changes[choice]

    def _made(self, choice: Choice) -> Applied | Changes | None:
        deltas: dict[str, tuple[tuple[int | None, Delta], ...]] = {}
        layers: dict[str, Linear] = {}
        for half, chosen in zip(self.halves, choice, strict=True):
            if chosen:
                expert = self._experts[chosen - 1]
                deltas |= expert.deltas.get(half.layer, {})
                layers |= expert.layers.get(half.layer, {})
        digest = hashlib.blake2b(self.digest + repr(choice).encode(), digest_size=32).digest()
        host, parts = self.host, list[Applied | Changes]()
        if deltas:
            adapter = Adapter(self.name, self.source, deltas)
            parts.append(Applied(host.model, host.kernels, [(adapter, 1.0)], host.multiply))
        if layers:
            parts.append(Replaced(host.model, layers, digest, self.names))
        if len(parts) > 1:
            return Several(parts, digest, self.names)
        return parts[0] if parts else None


def _key(prompt: tuple[int, ...]) -> bytes:
    return hashlib.blake2b(np.array(prompt, np.int64).tobytes(), digest_size=32).digest()


class Decision(HalvesWatch):
    """Sums up what the gates say of a prompt's tokens, in the order of the tokens, whatever the
    parts in which they come."""

    def __init__(self, mixture: Mixture, request: Asked) -> None:
        super().__init__(mixture.host.model, mixture.halves, len(request.prompt))
        self._mixture, self._request = mixture, request
        self._likely = torch.zeros(len(mixture.halves), self.tokens, mixture.settings.count)
        self.names = mixture.names

    def saw(self, place: int, x: Tensor, first: int) -> None:
        self._likely[place, first : first + len(x)] = self._mixture.likely(place, x)

    def decided(self) -> Decided:
        means = self._likely.double().numpy().mean(1)  # (layers, experts)
        choice = tuple(map(int, np.argmax(means, -1)))
        if self._request.media is None:
            self._mixture.remember(self._request.prompt, choice)
        log.debug("experts by layer: %s", choice)
        return Decided(self._mixture.changes(choice))


class Several(Changes):
    """Changes of different modules, together."""

    def __init__(self, parts: Sequence[Any], digest: bytes, names: tuple[str, ...]) -> None:
        self._parts, self.digest, self.names = parts, digest, names

    @contextmanager
    def on(self, batch: Batch) -> Iterator[None]:
        with ExitStack() as stack:
            for part in self._parts:
                stack.enter_context(part.on(batch))
            yield
