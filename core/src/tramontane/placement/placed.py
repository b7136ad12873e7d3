"""A model whose modules are on several devices, and what runs it so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from tramontane.blocks import CausalLM, CrossAttention
from tramontane.engine.kv_shapes import kv_modules
from tramontane.plugin import load

from .hops import Aside, Elsewhere, Spot, Through
from .part import Part
from .placement import Placement


class Placed:
    """The parts of a model, each as its backend sees it, and where its caches are.

    dtypes: what each of the placement's devices computes in.
    """

    def __init__(
        self, model: CausalLM, placement: Placement, dtypes: Mapping[int, torch.dtype]
    ) -> None:
        self.model, self.placement = model, placement
        self._index: dict[int, int] = {}
        """The device of each module, by its id: that of its first path."""
        inside: dict[int, dict[str, nn.Module]] = {index: {} for index in placement.used}
        for path, module in model.named_modules():
            self._index[id(module)] = placement.index(path)
            inside[placement.index(path)][path] = module
        mixed = len(set(dtypes.values())) > 1
        self.spots: dict[int, Spot] = {}
        for index, modules in inside.items():
            device, backend = placement.devices[index]
            if backend is not None and backend.prepare is not None:
                load(backend.prepare)  # whose module may make torch know the device
            dtype = dtypes[index] if mixed else None
            at = torch.device(device.torch_device)
            self.spots[index] = Spot(device.name, at, dtype, Part(model, modules))
        self.by_name = {spot.name: spot for spot in self.spots.values()}

    @property
    def home(self) -> Spot:
        return self.spots[0]

    def spot(self, module: nn.Module) -> Spot:
        """Where a module is."""
        return self.spots[self._index[id(module)]]

    def layers(self) -> dict[int, Spot]:
        """Where each layer's keys and values are, and its states, by the index of its modules."""
        found: dict[int, Spot] = {}
        for module in self.model.modules():
            index = getattr(module, "index", None)
            keeps = hasattr(module, "kv_heads") or hasattr(module, "states")
            if keeps and isinstance(index, int):
                found.setdefault(index, self.spot(module))  # a later one shares the first's
        for module in self.model.modules():
            if isinstance(module, CrossAttention):
                found.setdefault(module.layer, self.spot(module))
        return found

    def read_on(self, name: str) -> set[int]:
        """The layers whose keys and values modules on a device look up: its own, and those of
        others that they share."""
        found = {index for index, spot in self.layers().items() if spot.name == name}
        for module, _ in self._sharing():
            if self.spot(module).name == name:
                found.add(module.index)
        return found

    def connect(self) -> None:
        """Let modules hop; after every backend has prepared its part."""
        model, layers = self.model, list(self.model.model.layers)
        for module, owner in self._sharing():
            module.kernel = Elsewhere(owner, self.spot(owner))
            module.mutual = getattr(owner, "mutual", False)
        for module in self._aside():
            vars(module)["forward"] = Aside(module.forward, self.spot(module), self.home)
        for each in model.modules():
            if isinstance(each, CrossAttention) and self.spot(each) is not self.home:
                aside = Aside(each.keys_and_values, self.spot(each), self.home)
                vars(each)["keys_and_values"] = aside
        for layer, after in zip(layers, [*layers[1:], None], strict=True):
            then = self.home if after is None else self.spot(after)
            vars(layer)["forward"] = Through(layer.forward, self.spot(layer), then)
        vars(model)["forward"] = Through(model.forward, self.home, self.home)

    def _sharing(self) -> Iterator[tuple[Any, Any]]:
        """Modules that read keys and values of one on another device, and that one."""
        owners: dict[int, Any] = {}
        kept = set(kv_modules(self.model))
        for module in self.model.modules():
            index: Any = getattr(module, "index", None)
            if index not in kept or not hasattr(module, "kv_heads"):
                continue
            owner = owners.setdefault(index, module)
            if self.spot(owner) is not self.spot(module):
                yield module, owner

    def _aside(self) -> list[nn.Module]:
        """Modules within one on another device, the outermost of each."""
        layers = {id(layer) for layer in self.model.model.layers}
        objects = dict(self.model.named_modules(remove_duplicate=False))
        found: dict[int, nn.Module] = {}
        for path, module in objects.items():
            if not path or id(module) in layers or isinstance(module, nn.ModuleList):
                continue
            if self.spot(objects[path.rpartition(".")[0]]) is not self.spot(module):
                found[id(module)] = module
        return list(found.values())
