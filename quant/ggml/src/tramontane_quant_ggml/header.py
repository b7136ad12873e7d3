"""What a file before GGUF holds, found by walking over it: nothing in it is indexed or counted.

    magic u32 | version i32, not in GGML
    fields of the family's header, four bytes each
    vocabulary x    (length i32 | bytes | score f32, not in GGML)
    until the end   (dimensions i32 | length of name i32 | type i32 | extents i32 x dimensions |
                     name | in GGJT zeros up to a multiple of 32 bytes | data)

Extents are innermost first; shapes here are rows first. Which blocks a quantized tensor has is said
by thousands of the field `ftype`, and where there are none by the container.
Source: rustformers' llm, ggml's examples, llama.cpp of spring 2023.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tramontane.errors import CheckpointError
from tramontane_quant_gguf.header import Stretch
from tramontane_quant_gguf.types import STORED
from tramontane_quant_gguf.values import Cursor

from .blocks import OLD
from .families import FAMILIES, Family
from .plugin import MAGIC

LORA = b"algg"
VERSIONS = {"ggmf": (1,), "ggjt": (1, 2, 3)}
WITHDRAWN = {4: "Q4_2", 5: "Q4_3"}
"""Types that there were for some weeks of 2023."""
MOST = 1 << 24
"""Of any field of a header, and of the vocabulary."""
LONGEST_TOKEN, LONGEST_NAME, MOST_TENSORS, ALIGNMENT = 1 << 16, 256, 1 << 16, 32


@dataclass(frozen=True)
class OldFile:
    """layout: which generation of blocks, 1 to 3. vocabulary: bytes and score of each token; all
    scores are None in GGML. tensors: by their names in the file."""

    container: str
    family: Family
    layout: int
    fields: dict[str, Any]
    vocabulary: list[tuple[bytes, float | None]]
    tensors: dict[str, Stretch]


def read_old(buffer: memoryview, path: Path) -> OldFile:
    """Find the family whose file this is, and read all but the tensors' data.

    Raises CheckpointError, naming the file and what is wrong with it.
    """
    magic = bytes(buffer[:4])
    container = next((name for name, known in MAGIC.items() if known == magic), "")
    if magic == LORA:
        raise CheckpointError(
            f"{path} is a GGLA adapter, which changes a model and is none: name the model, and "
            "--lora NAME=FILE for this one"
        )
    if not container:
        raise CheckpointError(f"{path} is no GGML, GGMF or GGJT file: it begins with {magic!r}")
    start = 4
    if container in VERSIONS:
        version = Cursor(buffer, str(path), start).u32("the version")
        if version not in VERSIONS[container]:
            known = ", ".join(map(str, VERSIONS[container]))
            raise CheckpointError(f"{path}: {container} version {version}; {known} are known")
        start += 4
    else:
        version = 0
    furthest: tuple[int, str] = (-1, "")
    for family in FAMILIES:
        walk = Walk(buffer, path, container, version, family)
        walk.cursor.position = start
        try:
            return walk.whole()
        except CheckpointError as error:
            if walk.cursor.position > furthest[0] and walk.known:
                furthest = walk.cursor.position, str(error)
    if furthest[1]:
        raise CheckpointError(furthest[1])
    _refuse_whisper(buffer, path)
    names = ", ".join(family.name for family in FAMILIES)
    raise CheckpointError(
        f"{path}: a {container} file of none of the families {names}, or a damaged one"
    )


def _refuse_whisper(buffer: memoryview, path: Path) -> None:
    """whisper.cpp's files have this container's first bytes, and a header of their own."""
    if len(buffer) >= 48:
        numbers = struct.unpack_from("<11i", buffer, 4)
        if (numbers[1], numbers[5]) == (1500, 448) and numbers[9] in (80, 128):
            raise CheckpointError(
                f"{path} is a file of whisper.cpp, which is another format; take the folder in "
                "transformers' form that it was made from, such as openai/whisper-base"
            )


class Walk:
    """One attempt: the file as one family would have it. known: whether it has tensors of that
    family, so that what is wrong with it is worth being said."""

    def __init__(
        self, buffer: memoryview, path: Path, container: str, version: int, family: Family
    ) -> None:
        self.cursor = Cursor(buffer, str(path))
        self.container, self.version, self.family = container, version, family
        self.known = False

    def whole(self) -> OldFile:
        fields = self._fields()
        layout = self._layout(fields["ftype"])
        vocabulary = self._vocabulary(fields["n_vocab"])
        tensors: dict[str, Stretch] = {}
        while self.cursor.position < self.cursor.size:
            stretch = self.tensor(layout)
            if stretch.name in tensors or len(tensors) == MOST_TENSORS:
                self.cursor.refuse(f"tensor {stretch.name!r} is there twice, or too many are")
            tensors[stretch.name] = stretch
        if self.family.marker not in tensors:
            self.cursor.refuse(f"it has no {self.family.marker!r}")
        if self.family.name == "falcon" and fields["n_head_kv"] != 1:
            self.cursor.refuse(
                f"a Falcon with {fields['n_head_kv']} key-value heads: tools wrote their rows in "
                "different orders, and the file does not say which; use a GGUF file of it"
            )
        return OldFile(self.container, self.family, layout, fields, vocabulary, tensors)

    def _i32(self, what: str) -> int:
        start = self.cursor.take(4, what)
        return int(struct.unpack_from("<i", self.cursor.buffer, start)[0])

    def _f32(self, what: str) -> float:
        start = self.cursor.take(4, what)
        return float(struct.unpack_from("<f", self.cursor.buffer, start)[0])

    def _fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name in self.family.fields:
            if name in self.family.floats:
                value: float = self._f32(name)
                sound = math.isfinite(value) and 0 <= value < MOST
            else:
                value = self._i32(name)
                least = 0 if name in ("ftype", "parallel_residual", "n_mult", "n_rot") else 1
                sound = least <= value < MOST
            if not sound:
                self.cursor.refuse(f"{name}={value} in the header")
            fields[name] = value
        if fields["n_embd"] % fields["n_head"]:
            self.cursor.refuse(f"{fields['n_embd']} numbers for {fields['n_head']} heads")
        if self.family.again and self._i32("n_vocab") != fields["n_vocab"]:
            self.cursor.refuse("two sizes of the vocabulary")
        return fields

    def _layout(self, ftype: int) -> int:
        if quantization := ftype // 1000:
            if quantization > 2:
                self.cursor.refuse(f"quantization version {quantization}; 0, 1 and 2 are known")
            return quantization + 1
        return self.version if self.container == "ggjt" else 1

    def _vocabulary(self, count: int) -> list[tuple[bytes, float | None]]:
        buffer, found = self.cursor.buffer, []
        scored = self.container != "ggml"
        for index in range(count):
            length = self._i32(f"the length of token {index}")
            if not 0 <= length <= LONGEST_TOKEN:
                self.cursor.refuse(f"token {index} of {count} has {length} bytes")
            start = self.cursor.take(length, f"token {index}")
            text = bytes(buffer[start : start + length])
            found.append((text, self._f32(f"the score of token {index}") if scored else None))
        return found

    def tensor(self, layout: int) -> Stretch:
        """The next one. layout: which generation of blocks."""
        cursor = self.cursor
        dimensions, length = self._i32("the dimensions of a tensor"), self._i32("a name's length")
        kind = self._i32("the type of a tensor")
        if dimensions not in (1, 2) or not 0 < length <= LONGEST_NAME:
            cursor.refuse(f"a tensor of {dimensions} dimensions, its name of {length} bytes")
        extents = [self._i32("an extent of a tensor") for _ in range(dimensions)]
        start = cursor.take(length, "a tensor's name")
        name = bytes(cursor.buffer[start : start + length]).decode("utf-8", "replace")
        self.known = self.known or name == self.family.marker
        if kind in WITHDRAWN:
            cursor.refuse(
                f"tensor {name!r} is {WITHDRAWN[kind]}, which ggml withdrew in May 2023; quantize "
                "the model again from its float16 file"
            )
        if kind not in STORED or kind > 14:
            cursor.refuse(f"tensor {name!r} has the unknown type {kind}")
        _, block, size = STORED[kind]
        if layout < 3:
            size = OLD[kind].size if kind in OLD else size
        if min(extents) < 1 or math.prod(extents) >= 1 << 40 or extents[0] % block:
            cursor.refuse(f"tensor {name!r} is {extents}; its rows are made of blocks of {block}")
        if self.container == "ggjt":
            cursor.take(-cursor.position % ALIGNMENT, f"what is before tensor {name!r}")
        nbytes = math.prod(extents) // block * size
        begin = cursor.take(nbytes, f"tensor {name!r}")
        return Stretch(name, kind, tuple(reversed(extents)), begin, nbytes)
