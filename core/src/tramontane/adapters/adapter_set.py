"""The adapters of a loaded model, by name: loaded and dropped while it serves."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Mapping
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any, TypeAlias

from torch import nn

from tramontane import memory
from tramontane.checkpoint.fill import rules_of
from tramontane.config import DecoderConfig
from tramontane.errors import AdapterError, RequestError
from tramontane.plugin import Architecture, load
from tramontane.registry import Registry
from tramontane.sanitize import one_line
from tramontane.system import torch_parts

from .adapter import Adapter, Applied, Where
from .fit import fit_adapter
from .fit_mixture import fit_mixture
from .forms import form_of, read_adapter, read_form
from .host import Host
from .kernels import Multiply
from .mixture import Mixture
from .prompted import Bind, PromptAdapter, plain_bind
from .stored import StoredAdapter
from .stored_mixture import MixtureOptions, StoredMixture

Loaded: TypeAlias = Adapter | PromptAdapter | Mixture
Asked: TypeAlias = str | Mapping[str, float]
"""What a request says: a name, several with weights ("a:0.5,b"), or weights by name."""
NAME = re.compile(r"[\w./-]{1,120}")
NONE = "none"
"""What commands call the model without adapters."""
MOST = 256
"""Adapters that are loaded together."""
MOST_TOGETHER = 16
"""Adapters of one request."""


class AdapterSet:
    """Thread-safe. A request keeps what it was begun with, whatever is loaded or dropped since."""

    def __init__(
        self,
        model: nn.Module,
        architecture: Architecture,
        config: DecoderConfig,
        registry: Registry,
        multiply: Multiply,
        bind: Bind = plain_bind,
        where: Where | None = None,
    ) -> None:
        """where: of models on several devices, or on another than the processor, see `Applied`."""
        self._where = where
        self._model, self._architecture, self._config = model, architecture, config
        self._registry, self._multiply = registry, multiply
        # as they are now: while a step has adapters, modules have others
        self._kernels = {
            path: kernel for path, module in model.named_modules()
            if (kernel := getattr(module, "kernel", None)) is not None
        }  # fmt: skip
        self.host = Host(
            model, architecture, config, registry, self._kernels, multiply, bind, self._fitted
        )
        """The model, for what reads adapters of other sorts."""
        self._loaded: dict[str, tuple[Loaded, float]] = {}
        self.two_passes: Callable[[], object] = lambda: None
        """Called before a mixture is loaded: steps of two passes are to come. Raises
        NotEnoughMemory."""
        self.refused = ""
        """Why none can be loaded or asked for, if that is so."""
        self._own: dict[str, Adapter] = {}
        self._applied: dict[tuple[tuple[bytes, float], ...], Applied] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        return sorted(self._loaded)

    def sources(self) -> dict[str, str]:
        """Where each was read from."""
        return {name: adapter.source for name, (adapter, _) in list(self._loaded.items())}

    def take_own(
        self, found: Mapping[str, Callable[[], StoredAdapter] | Path], source: Path
    ) -> None:
        """The checkpoint's own adapters; no request asks for them by name. source: the checkpoint.

        Raises AdapterError.
        """
        for name, each in found.items():
            if isinstance(each, Path):
                self._own[name] = self._fits(read_adapter(each, self._registry), name, each)
            else:
                self._own[name] = self._fits(each(), name, source)

    def load(
        self,
        name: str,
        path: Path,
        weight: float = 1.0,
        *,
        again: bool = False,
        alone: bool = False,
        mixing: MixtureOptions | None = None,
    ) -> Loaded:
        """Read an adapter from a file or folder. weight: what it counts where a request says
        nothing. again: whether one of that name is replaced. alone: refuse one that would have
        other files read. mixing: how, if it is a mixture.

        Raises AdapterError, RequestError, NotEnoughMemory.
        """
        if self.refused:
            raise RequestError(self.refused)
        torch_parts.complete()  # a step with adapters is recorded again
        refuse_name(name)
        refuse_weight(name, weight)
        self._refuse_more(name, again)
        form = form_of(path, self._registry)
        adapter: Loaded
        if form.open is not None:
            if alone:
                raise AdapterError(
                    f"{path} names files of others, which are read only where the owner of this "
                    "computer names it: tramontane serve --lora NAME=SOURCE"
                )
            adapter = load(form.open)(path, self.host, name)
        else:
            mixing = mixing or MixtureOptions()
            stored = read_form(form, path, order=mixing.order, inside=alone)
            if isinstance(stored, StoredMixture):
                adapter = self._mixture(stored, name, path, weight, mixing)
            else:
                adapter = self._fits(stored, name, path)
        with self._lock:
            self._refuse_more(name, again)
            self._loaded[name] = adapter, weight
        return adapter

    def _fits(self, stored: StoredAdapter, name: str, path: Path) -> Adapter:
        """An adapter for which there is memory. Raises AdapterError."""
        adapter = self._fitted(stored, name=name, source=str(path))
        if adapter.nbytes > memory.free():
            raise AdapterError(
                f"{path}: the adapter takes {memory.readable(adapter.nbytes)}, and "
                f"{memory.readable(memory.free())} are free"
            )
        return adapter

    def _mixture(
        self, stored: StoredMixture, name: str, path: Path, weight: float, options: MixtureOptions
    ) -> Mixture:
        if weight != 1:
            raise RequestError(
                f"the adapter {name!r} is a mixture, which is loaded with the weight 1, not "
                f"{weight:g}"
            )
        found = fit_mixture(
            stored, self._model, partial(rules_of, self._architecture, self._config),
            self._kernels, self._multiply, self._where, hidden=self._config.hidden_size,
            architecture=self._architecture.name, name=name, source=str(path), options=options,
        )  # fmt: skip
        self.two_passes()
        return found

    def refuse_unused(self, **given: object) -> None:
        """Raises RequestError for options of mixtures where none is loaded."""
        if not self.mixtures and any(value is not None for value in given.values()):
            name = next(name for name, value in given.items() if value is not None)
            raise RequestError(
                f"{name} is for an X-LoRA, and none of the adapters is one: they are "
                f"{', '.join(self.names) or 'none'}"
            )

    @property
    def mixtures(self) -> list[str]:
        """The names of those that are mixtures."""
        loaded = list(self._loaded.items())
        return sorted(name for name, (each, _) in loaded if isinstance(each, Mixture))

    def _fitted(self, stored: StoredAdapter, *, name: str, source: str) -> Adapter:
        rules = rules_of(self._architecture, self._config, stored.dialect)
        return fit_adapter(stored, self._model, rules, name=name, source=source)

    def unload(self, name: str) -> None:
        """Forget an adapter; requests that run with it end as they began. Raises RequestError."""
        with self._lock:
            if not isinstance(name, str) or name not in self._loaded:
                raise self._unknown(str(name))
            gone = self._loaded.pop(name)[0].digest
            self._applied = {
                key: applied for key, applied in self._applied.items()
                if all(digest != gone for digest, _ in key)
            }  # fmt: skip

    def applied(
        self, asked: Asked | None, own: str | None = None
    ) -> Applied | PromptAdapter | Mixture | None:
        """What a request asks for, beside one of the checkpoint's own, where there is one of that
        name. Raises RequestError for names that are not loaded."""
        if self.refused and (asked or own):
            raise RequestError(self.refused)
        weights = parsed(asked)
        chosen = [(self._own[own], 1.0)] if own in self._own else []
        beside = bool(chosen)
        if not (weights or chosen):
            return None
        with self._lock:
            for name, weight in weights.items():
                if name not in self._loaded:
                    raise self._unknown(name)
                adapter, usual = self._loaded[name]
                if not isinstance(adapter, Adapter):
                    by = "token" if isinstance(adapter, Mixture) else "prompt"
                    if beside:
                        raise RequestError(
                            f"the adapter {name!r} is decided by each {by}, and does not go "
                            "with the model's own for images and sounds: ask without it"
                        )
                    if len(weights) > 1 or (usual if weight is None else weight) != 1:
                        raise RequestError(
                            f"the adapter {name!r} is decided by each {by}: it is asked for "
                            "alone, and with the weight 1"
                        )
                    return adapter
                chosen.append((adapter, usual if weight is None else weight))
            key = tuple((adapter.digest, weight) for adapter, weight in chosen)
            if key not in self._applied:
                if len(self._applied) > 4 * MOST:  # weights of all kinds: the oldest goes
                    del self._applied[next(iter(self._applied))]
                self._applied[key] = Applied(
                    self._model, self._kernels, chosen, self._multiply, self._where
                )
            return self._applied[key]

    def _refuse_more(self, name: str, again: bool) -> None:
        if name in self._loaded and not again:
            raise RequestError(f"there is an adapter {name!r} already: unload it first")
        if name not in self._loaded and len(self._loaded) >= MOST:
            raise RequestError(f"{MOST} adapters are loaded, which is the most; unload one")

    def _unknown(self, name: str) -> RequestError:
        loaded = ", ".join(self.names)
        return RequestError(
            f"there is no adapter {one_line(name, 60)!r}: "
            + (f"there are {loaded}" if loaded else "none is loaded"),
            hint="--lora NAME=SOURCE loads one",
        )


def refuse_name(name: Any) -> None:
    """Raises RequestError for what cannot be asked for."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or name == NONE:
        raise RequestError(
            f"{one_line(repr(name), 60)} is no name for an adapter: letters, digits, '.', '_', "
            f"'-' and '/', and not {NONE!r}"
        )


def refuse_weight(name: str, weight: Any = 1.0) -> None:
    """Raises RequestError for what no sum should be multiplied with."""
    if not _is_weight(weight):
        raise RequestError(
            f"the weight of the adapter {name!r} should be a number within 1000, not {weight!r:.40}"
        )


def parsed(asked: Asked | None) -> dict[str, float | None]:
    """Weights by name; None: the adapter's own. Raises RequestError."""
    if asked is None or asked == "":
        return {}
    if isinstance(asked, str):
        found: dict[str, Any] = {}
        for part in asked.split(","):
            name, _, told = (each.strip() for each in part.partition(":"))
            if name in found:
                raise RequestError(
                    f"the adapter {one_line(name, 60)!r} is asked for twice: name it once, with "
                    "one weight"
                )
            found[name] = told or None
    else:
        found = dict(asked)
    if len(found) > MOST_TOGETHER:
        raise RequestError(f"{len(found)} adapters together are more than {MOST_TOGETHER}")
    weights: dict[str, float | None] = {}
    for name, value in found.items():
        try:
            weights[name] = None if value is None else float(value)
        except (TypeError, ValueError):
            weights[name] = math.nan
        number = weights[name]
        if number is not None and not _is_weight(number):
            raise RequestError(
                f"the weight of the adapter {one_line(name, 60)!r} should be a number within 1000, "
                f"not {value!r:.40}"
            )
    return weights


def _is_weight(value: Any) -> bool:
    number = isinstance(value, Real) and not isinstance(value, bool)
    return number and math.isfinite(value) and bool(abs(value) <= 1000)
