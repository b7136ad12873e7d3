"""A folder's model as the tensors and metadata of a GGUF file, read one tensor at a time."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tramontane.blocks import CausalLM
from tramontane.chat.choose import choose_template
from tramontane.checkpoint.build import Built, build
from tramontane.checkpoint.checkpoint import Header, TensorInfo
from tramontane.checkpoint.fill import rules_of
from tramontane.checkpoint.metadata import fields_of
from tramontane.checkpoint.weight_map import slots
from tramontane.config import DecoderConfig, read_config
from tramontane.errors import CheckpointError, ConfigError, UsageError
from tramontane.plugin import Architecture, load

from tramontane_quant_gguf.config import SAMPLING, config_of, header_architecture
from tramontane_quant_gguf.header import Stretch, read_header
from tramontane_quant_gguf.vocabulary import read_tokenizer
from tramontane_quant_gguf.writer import Value, Written, gguf_bytes

from . import vocabulary
from .families import CALLED, FAMILIES
from .restated import Restated
from .rotation import rotation
from .same_model import difference
from .settings import keys_of, window_beyond
from .tensors import Placed, placed

log = logging.getLogger(__name__)

INSTEAD = "write a folder instead (--to afq4)"
TEXTS = (
    "Hello, World! It's 2024-05-17, 12:34.\n\n  The quick brown fox.\tx = a+b*c[1234];",
    " \u00e9t\u00e9 na\u00efve \u4f60\u597d\uff0c\u4e16\u754c\u3002 "
    "\u041f\u0440\u0438\u0432\u0435\u0442 \U0001f600",
)
"""On which a file's tokenizer is compared with the folder's."""


class FolderModel:
    """What is written of a folder. tensors: with their shapes, in float32."""

    def __init__(self, source: Any) -> None:
        """source: a `QuantizeSource` of a folder. Raises UsageError for a family that llama.cpp
        does not know, CheckpointError for what a GGUF file cannot say."""
        built: Built = source.built
        self._source, self._built = source, built
        self._what = str(source.header.path)
        self.name = gguf_name(built)
        family = FAMILIES[self.name]
        self._restated = (
            family.restate(built.config, self._weight) if family.restate else Restated()
        )
        self._config, self._model = self._built.config, self._built.model
        if self._restated.config:
            self._config = built.config.model_copy(update=dict(self._restated.config))
            self._model = build(built.architecture, self._config)
        try:
            keys = keys_of(self._config, self._model, family)
        except ValueError as error:
            raise CheckpointError(
                f"{self._what}: a GGUF file of {self.name} would mean another model: {error}; "
                f"{INSTEAD}"
            ) from error
        if (window := window_beyond(self._model, keys)) is not None:
            if window < keys["context_length"]:
                log.warning(
                    "files of %s have no windows: the context of this one is the window, %d tokens",
                    self.name, window,
                )  # fmt: skip
            keys["context_length"] = min(window, keys["context_length"])
        rotated = int(keys.get("rope.dimension_count", 0))
        try:
            more, self._settings = rotation(self._config, rotated, family)
        except ValueError as error:
            raise CheckpointError(
                f"{self._what}: GGUF files of {self.name} have no words for {error}; {INSTEAD}"
            ) from error
        self._settings |= self._restated.tensors
        tokenizer = source.checkpoint.tokenizer()
        self.metadata: dict[str, Value] = {
            "general.architecture": self.name,
            "general.type": "model",
            "general.name": _title(source, tokenizer, self.name),
            **{f"{self.name}.{key}": value for key, value in (keys | more).items()},
            **self._restated.metadata,
            **vocabulary.keys_of(tokenizer, built.config.vocab_size, self._what),
            **_templates(source),
            **_sampling(source.checkpoint.generation_defaults()),
        }
        self._placed = {each.name: each for each in self._check(keys["context_length"])}
        self._compare(tokenizer)
        shapes = {name: tuple(each.shape) for name, each in self._settings.items()}
        shapes |= {name: each.shape for name, each in self._placed.items()}
        self.tensors = {
            name: TensorInfo(shape, "F32", 4 * prod(shape)) for name, shape in shapes.items()
        }

    def read(self, name: str) -> Tensor:
        """One tensor in float32, of the file's shape. Raises CheckpointError."""
        if name in self._settings:
            return self._settings[name].float()
        each = self._placed[name]
        return each.made(
            {
                part.path: self._restated.weight(part.path, self._weight(part.path))
                for part in each.parts
            }
        )

    def _weight(self, path: str) -> Tensor:
        """What the folder has for a place, in float32."""
        place = self._built.sources[path]
        held = {tensor: self._source.checkpoint.read(tensor) for tensor in place.tensors}
        return place.make(held, self._built.model).decode(torch.float32)

    def importance(self, name: str) -> Tensor | None:
        """Mean squares of a matrix's columns, (columns), or (experts, columns)."""
        each = self._placed.get(name)
        if each is None:
            return None
        path = each.parts[0].path
        found: Tensor | None = self._source.measured.get(path.removesuffix(".weight"))
        columns = self._restated.columns.get(path)
        return found if found is None or columns is None else found[..., columns]

    def _check(self, context: int) -> list[Placed]:
        """The tensors of the file, which the model that it describes is asked for."""
        path = Path(self._what)
        reader = self._reader()
        made = self._place(reader, self._config, self._model)
        header = self._header(path)
        stretches = {
            each.name: Stretch(each.name, 0, each.shape, 0, 4 * prod(each.shape)) for each in made
        }
        config = config_of(header, stretches, self._factors, path)
        try:
            told = Header(
                path, "gguf", "gguf", header_architecture(header, path), config, {}, header
            )
            cfg = read_config(load(reader.config), fields_of(reader, told))
            theirs: CausalLM = build(reader, cfg)
        except ConfigError as error:
            raise CheckpointError(
                f"{self._what}: a GGUF file of {self.name} cannot say what its configuration does: "
                f"{error}; {INSTEAD}"
            ) from error
        found = difference(self._model, theirs, context)
        ours, there = ({p: s.shape for p, s in slots(m).items()} for m in (self._model, theirs))
        if found is None and ours != there:
            path_ = next(iter(sorted(ours.items() ^ there.items())))[0]
            found = f"{path_} is {ours.get(path_)}, in the file {there.get(path_)}"
        if found is not None:
            raise CheckpointError(
                f"{self._what}: a GGUF file of {self.name} would mean another model: {found}; "
                f"{INSTEAD}"
            )
        made = [self._shaped(each) for each in self._place(reader, cfg, theirs)]
        _loadable(self.name, [each.name for each in made], self._what)
        return made

    def _shaped(self, each: Placed) -> Placed:
        shapes = self._restated.shapes.items()
        found = next((shape for name, shape in shapes if fnmatchcase(each.name, name)), each.shape)
        return replace(each, shape=found)

    def _place(self, reader: Architecture, cfg: DecoderConfig, model: CausalLM) -> list[Placed]:
        """A model's numbers as the tensors of a file, which `reader` reads back."""
        wanted = {path: slot for path, slot in slots(model).items() if path in self._built.wanted}
        rules = rules_of(reader, cfg, "gguf")
        try:
            return placed(wanted, rules, model, fused=FAMILIES[self.name].fused)
        except (AttributeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{self._what}: {self._built.architecture.name} cannot be written as {self.name}: "
                f"{error}; {INSTEAD}"
            ) from error

    def _reader(self) -> Architecture:
        """What reads the file that is going to be written."""
        experts = self.metadata.get(f"{self.name}.expert_count")
        named = {"general.architecture": self.name, f"{self.name}.expert_count": experts}
        name = header_architecture(named, Path(self._what))
        found: Architecture = self._source.registry.get(Architecture, name)
        return found

    def _header(self, path: Path) -> dict[str, Any]:
        """The metadata as they are read from a file."""
        nothing = Written("token_embd.weight", 0, (1,), bytes(4))
        data = b"".join(gguf_bytes(self.metadata, [nothing]))
        return read_header(memoryview(data), path).metadata

    def _factors(self, name: str) -> list[float] | None:
        found = self._settings.get(name)
        return None if found is None else found.double().tolist()

    def _compare(self, tokenizer: Any) -> None:
        """Say where the tokenizer of the file gives other tokens: it cannot normalize."""
        theirs = read_tokenizer(self._header(Path(self._what)), Path(self._what))
        for text in TEXTS:
            mine, there = tokenizer.encode(text), theirs.encode(text)
            if mine != there:
                log.warning(
                    "the tokenizer of the GGUF file gives %r as %s, that of the folder as %s",
                    text, there, mine,
                )  # fmt: skip


def _loadable(name: str, tensors: list[str], what: str) -> None:
    """Raises CheckpointError for tensors that llama.cpp does not load in files of a family."""
    family = FAMILIES[name]
    strange = [each for each in tensors if any(fnmatchcase(each, p) for p in family.unknown)]
    missing = [each for each in family.needs if each not in tensors]
    if strange or missing:
        told = f"without {missing[0]}" if missing else f"with {strange[0]}"
        raise CheckpointError(f"{what}: llama.cpp loads no {name} {told}; {INSTEAD}")


def gguf_name(built: Built) -> str:
    """`general.architecture` of a model's files. Raises UsageError where there is none."""
    offer = built.architecture
    named = [CALLED.get(offer.name), *offer.aliases]
    found = next((name for name in named if name in FAMILIES), None)
    if found == "granitemoe" and "mamba" in getattr(built.config, "layer_types", ()):
        found = "granitehybrid"
    elif found == "granitemoe" and not getattr(built.config, "num_local_experts", 0):
        found = "granite"
    if found is None:
        raise UsageError(f"no GGUF files are written of {offer.name}; {INSTEAD}")
    return found


def _title(source: Any, tokenizer: Any, name: str) -> str:
    """The model's name, by which llama.cpp knows too whether special tokens take the white space
    after them."""
    told = source.config.get("_name_or_path")
    title = Path(told).name if isinstance(told, str) and told else ""
    path = source.header.path.resolve()
    title = title or (path.stem if path.is_file() else path.name)
    added = tokenizer.inner.get_added_tokens_decoder().values()
    if name == "phi3" and any(token.rstrip for token in added):
        return title if "phi-3" in title.lower() or "phi3" in title.lower() else f"{title} (Phi-3)"
    return title


def _templates(source: Any) -> dict[str, Value]:
    plain = source.checkpoint.chat_template()
    tools = choose_template(source.folder, None, None, tools=True)
    found: dict[str, Value] = {}
    if plain:
        found["tokenizer.chat_template"] = plain
    if tools and tools != plain:
        found |= {
            "tokenizer.chat_template.tool_use": tools,
            "tokenizer.chat_templates": ["tool_use"],
        }
    return found


def _sampling(defaults: Mapping[str, Any]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for key, word in SAMPLING.items():
        value = defaults.get(word)
        if isinstance(value, int | float) and not isinstance(value, bool):
            whole = key in ("top_k", "penalty_last_n", "mirostat")
            found[f"general.sampling.{key}"] = int(value) if whole else float(value)
    return found
