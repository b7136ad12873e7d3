"""What llama.cpp calls an architecture and its tensors, by its package `gguf`, if installed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from tramontane.blocks import CausalLM
from tramontane.checkpoint.fill import TIES, rules_of
from tramontane.checkpoint.rules import follow
from tramontane.checkpoint.weight_map import module_path, parted, slots
from tramontane.plugin import Architecture

from .compare import NoReference
from .containers import Container


def llama_cpp_name(offer: Architecture) -> str:
    """The alias by which llama.cpp knows a family. Raises NoReference where there is none."""
    known = set(package().MODEL_ARCH_NAMES.values())
    names = [name for name in offer.aliases if name in known]
    if names:
        return names[0]
    close = [n for a in offer.aliases for n in difflib.get_close_matches(a, known, 1)]
    hint = f"; did you mean {close[0]!r}?" if close else ""
    listed = ", ".join(offer.aliases) or "no alias"
    raise NoReference(
        f"{offer.name} from gguf: none of its aliases ({listed}) is in MODEL_ARCH_NAMES of the "
        f"package gguf{hint}"
    )


def unreached(
    name: str, offer: Architecture, model: CausalLM, container: Container
) -> tuple[list[str], list[str]]:
    """Of a family's rules: parameters that no tensor of llama.cpp's files fills, and names of
    such tensors that lead nowhere in this model. name: llama.cpp's, of the architecture."""
    gguf = package()
    rules = rules_of(offer, model.cfg, container.dialect)
    ties = TIES if model.cfg.tie_word_embeddings else {}
    wanted = {place for place in slots(model) if place not in ties}
    kinds = [gguf.TENSOR_NAMES[kind] for kind in gguf.MODEL_TENSORS[architecture(name)]]
    reached: set[str] = set()
    nowhere = []
    # llama.cpp reads a separate output of any architecture
    for kind in dict.fromkeys([*kinds, "output"]):
        places: set[str] = set()
        for layer in range(model.cfg.num_hidden_layers):
            stem = kind.format(bid=layer)
            for last in ("weight", "bias", ""):
                begun = (module_path(stem, container.names), last) if last else parted(stem)
                for path, end, _ in follow(*begun, rules):
                    places.add(f"{path}.{end}" if path and end else path or end)
        if not places & {*wanted, *ties}:
            nowhere.append(kind.format(bid="N"))
        reached |= places
    return sorted(wanted - reached), nowhere


def translated(name: str, tensors: Iterable[str], layers: int) -> Mapping[str, str]:
    """Names that tensors of transformers have in an architecture's GGUF files. Raises NoReference
    for one without a name there."""
    names = package().get_tensor_name_map(architecture(name), layers)
    found = {}
    for tensor in tensors:
        said = names.get_name(tensor, try_suffixes=(".weight", ".bias"))
        if said is None:
            raise NoReference(f"the package gguf has no name of {name} for {tensor}")
        found[tensor] = said
    return found


def architecture(name: str) -> Any:
    """The package's constant of a name."""
    return next(arch for arch, said in package().MODEL_ARCH_NAMES.items() if said == name)


def package() -> Any:
    """The package `gguf`. Raises NoReference."""
    try:
        import gguf
    except ImportError as error:
        raise NoReference(
            f"the package gguf, which has llama.cpp's names, cannot be imported ({error}); "
            "pip install gguf"
        ) from error
    return gguf
