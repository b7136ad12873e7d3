"""A model in UQFF: `<stem>-0.uqff` and further parts, `residual.safetensors` and `config.json`.

Parts are safetensors. Matrices that are packed are read as one tensor each, `NAME.weight`; all
others, and what lies in the residual file, are plain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from tramontane.checkpoint.checkpoint import Header, TensorInfo
from tramontane.checkpoint.layout_checks import check_layout
from tramontane.checkpoint.safetensors_file import SafetensorsFile
from tramontane.errors import CheckpointError
from tramontane.layouts import Dense, Layout
from tramontane.sanitize import one_line
from tramontane.tokenizer.json_file import read_if_there, read_object
from tramontane.tokenizer.tokenizer import Tokenizer
from tramontane_quant_gguf.formats.table import FORMATS

from .formats import FLOATS, OWN, Parts, layout_of, one, shape_of
from .parts import AFQ, GGML, HQQ, VERSION, check_parts, grouped, label

RESIDUAL = "residual.safetensors"
MAJOR = 1
SMALL = 64
"""Numbers of a part that is read when a file is opened: shapes and settings, not weights."""

WHOLE = ("U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64")
SAID = {AFQ: ("bits",), HQQ: ("bits",), GGML: ("dtype",)}
"""Parts that a format's name is made of."""

GGML_NAMES = {
    **{number: row[0] for number, row in {**FORMATS, **OWN}.items()},
    **{number: str(dtype).removeprefix("torch.") for number, dtype in FLOATS.items()},
}


class Uqff:
    """An opened model. Implements `Checkpoint`. Raises CheckpointError that names the file."""

    names: Mapping[str, str] = MappingProxyType({})

    def __init__(self, path: Path) -> None:
        self.folder, self.path = path.parent, path
        config = read_object(self.folder / "config.json")
        names = config.get("architectures")
        if not (isinstance(names, list) and names and isinstance(names[0], str)):
            raise CheckpointError(
                f"{self.folder / 'config.json'}: 'architectures' must name a class; it is "
                f"{one_line(repr(names), 60)}"
            )
        self.files: dict[Path, SafetensorsFile] = {}
        self._owner: dict[str, SafetensorsFile] = {}
        self.kinds: dict[str, int] = {}
        self._parts: dict[str, set[str]] = {}
        try:
            infos = self._opened(path)
        except BaseException:
            self.close()
            raise
        self.header = Header(path, "uqff", "hf", names[0], config, infos, {"version": self.version})

    def _opened(self, path: Path) -> dict[str, TensorInfo]:
        residual = self.folder / RESIDUAL
        parts = shards(path)
        for each in (*parts, *((residual,) if residual.exists() else ())):
            try:
                file = self.files[each] = SafetensorsFile(each)
            except CheckpointError as error:
                if each == path:
                    raise
                raise CheckpointError(f"{path}: {error}") from error
            for name in file.infos():
                if name in self._owner and name not in VERSION:
                    raise CheckpointError(f"{each}: {one_line(name)} is also in another file")
                self._owner[name] = file
        self.version = self._version(self.files[parts[0]])
        packed, plain = grouped(self._owner)
        infos = {name: self._info(name) for name in sorted(plain)}
        for name, own in packed.items():
            self._parts[name] = own
            infos[name] = self._guarded(name, self._packed_info)
        return infos

    def _version(self, file: SafetensorsFile) -> str:
        if missing := [name for name in VERSION if name not in file.infos()]:
            raise CheckpointError(
                f"{file.path} has no {missing[0]}: it is damaged, or was written by mistral.rs "
                "before UQFF 1.0, which mistral.rs does not read any more either; download or make "
                "it again"
            )
        numbers = []
        for name in VERSION:
            info = file.infos()[name]
            if prod(info.shape) != 1 or info.stored not in WHOLE:
                raise CheckpointError(f"{file.path}: {name} is {info.stored} {info.shape}")
            held = file.read(name)
            assert isinstance(held, Dense)
            numbers.append(int(held.data.item()))
        if numbers[0] != MAJOR:
            said = ".".join(map(str, numbers))
            raise CheckpointError(f"{file.path}: UQFF {said} is not supported; {MAJOR}.x is")
        return ".".join(map(str, numbers))

    def _tensor(self, name: str) -> Tensor:
        layout = self._owner[name].read(name)
        assert isinstance(layout, Dense)
        return layout.data

    def _info(self, name: str) -> TensorInfo:
        info = self._owner[name].infos()[name]
        if not info.shape or min(info.shape) <= 0:
            raise CheckpointError(f"{self._owner[name].path}: {one_line(name)} is {info.shape}")
        return info

    def _packed_info(self, name: str) -> TensorInfo:
        each = {part: f"{name}.{part}" if part else name for part in self._parts[name]}
        infos = {part: self._owner[whole].infos()[whole] for part, whole in each.items()}
        if prod(infos["format"].shape) != 1 or infos["format"].stored != "U8":
            raise CheckpointError(f"{name}.format is no byte")
        kind = self.kinds[name] = int(self._tensor(each["format"]).item())
        check_parts(name, kind, each)
        small = {}
        for part in {"shape", "bits", "dtype"} & set(infos):
            if prod(infos[part].shape) > SMALL or infos[part].stored not in WHOLE:
                raise CheckpointError(f"{name}.{part} is {infos[part].stored} {infos[part].shape}")
            small[part] = self._tensor(each[part])
        said = {part: one(small, part, name) for part in SAID.get(kind, ())}
        weight = torch.empty(infos[""].shape, device="meta")
        shape = shape_of(kind, {**small, "": weight}, name)
        size = sum(info.nbytes for info in infos.values())
        return TensorInfo(shape, label(kind, said, GGML_NAMES), size)

    def parts(self, name: str) -> Parts:
        """The tensors of a packed matrix by their names below it; "" is the weight."""
        return {
            part: self._tensor(f"{name}.{part}" if part else name) for part in self._parts[name]
        }

    def read(self, name: str) -> Layout:
        """One tensor or packed matrix. Raises CheckpointError that names file and layer."""
        if name not in self._owner:
            raise CheckpointError(f"{self.path}: there is no tensor {one_line(name, 120)}")
        if name not in self._parts:
            return self._owner[name].read(name)

        def made(name: str) -> Layout:
            layout = layout_of(self.kinds[name], self.parts(name), name)
            shape = self.header.tensors[name].shape
            if why := check_layout(layout, (prod(shape[:-1]), shape[-1])):
                raise CheckpointError(f"{name}: {why}")
            return layout

        return self._guarded(name, made)  # type: ignore[no-any-return]

    def _guarded(self, name: str, read: Any) -> Any:
        """What a file says wrongly is its own error."""
        try:
            return read(name)
        except CheckpointError as error:
            path = str(self._owner.get(name, self._owner[f"{name}.format"]).path)
            if path in str(error):
                raise
            raise CheckpointError(f"{path}: {one_line(str(error), 400)}") from error

    def tokenizer(self) -> Tokenizer:
        from tramontane.tokenizer.files import from_folder

        return from_folder(self.folder)

    def chat_template(self) -> str | None:
        from tramontane.chat.choose import choose_template

        return choose_template(self.folder, None, None)

    def tool_template(self) -> str | None:
        """Implements `HasToolTemplate`."""
        from tramontane.chat.choose import choose_template

        return choose_template(self.folder, None, None, tools=True)

    def generation_defaults(self) -> Mapping[str, Any]:
        return read_if_there(self.folder / "generation_config.json")

    def close(self) -> None:
        for file in self.files.values():
            file.close()


def shards(path: Path) -> list[Path]:
    """All parts of the model that a part belongs to, in their order. Raises CheckpointError."""
    if not (found := re.fullmatch(r"(.*)-(\d+)", path.stem)):
        return [path]
    stem = found[1]
    numbered = {
        int(match[1]): item for item in path.parent.iterdir()
        if (match := re.fullmatch(rf"{re.escape(stem)}-(\d+)\.uqff", item.name))
    }  # fmt: skip
    if missing := set(range(max(numbered, default=0) + 1)) - numbered.keys():
        raise CheckpointError(f"{path.parent}: {stem}-{min(missing)}.uqff is missing")
    return [numbered[number] for number in sorted(numbered)]
