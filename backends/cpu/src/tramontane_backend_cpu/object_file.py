"""Load object files of x86-64 Linux without LLVM, whose library alone takes 45 MB.

Kernels are compiled for the large code model: references are absolute 64-bit addresses or relative
to their position. Files with other relocations or sections are left to LLVM's linker.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import struct
import sys
from dataclasses import dataclass
from functools import cache
from typing import Any

RELOCATABLE, X86_64 = 1, 62
SYMBOLS, ADDRESSES, NO_BITS, UNWINDING = 2, 4, 8, 0x70000001
WRITABLE, LOADED, OF_A_THREAD = 0x1, 0x2, 0x400
UNDEFINED, RESERVED = 0, 0xFF00
FORMS = {1: ("<Q", False), 24: ("<q", True), 2: ("<i", True), 4: ("<i", True)}
"""Encoding of addresses in R_X86_64_64, PC64, PC32 and PLT32 relocations; whether relative."""


class Unknown(Exception):
    """A feature of object files that this linker does not support."""


@dataclass(frozen=True)
class Section:
    """A section header. name: its name's offset in the string table."""

    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


class Linked:
    """An object file's sections in executable, read-only memory, for the lifetime of this object.
    Raises Unknown."""

    def __init__(self, data: bytes) -> None:
        if sys.platform != "linux" or platform.machine() != "x86_64":
            raise Unknown(platform.machine())
        try:
            self._data, self._sections = data, _sections(data)
            self._link()
        except (struct.error, IndexError) as error:
            raise Unknown(f"damaged: {error}") from error

    def _link(self) -> None:
        places: dict[int, int] = {}
        size = 0
        for index, section in enumerate(self._sections):
            if section.flags & LOADED and section.size and not self._is_unwinding(section):
                if section.flags & (WRITABLE | OF_A_THREAD):
                    raise Unknown(f"a section with flags {section.flags:#x}")
                places[index] = size = _up(size, max(section.alignment, 1))
                size += section.size
        self._memory = mmap.mmap(-1, _up(max(size, 1), mmap.PAGESIZE), flags=_PRIVATE)
        self._start = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._places = {index: self._start + place for index, place in places.items()}
        for index, place in places.items():
            section = self._sections[index]
            if section.kind != NO_BITS:
                bits = self._data[section.offset : section.offset + section.size]
                self._memory[place : place + len(bits)] = bits
        for section in self._sections:
            if section.kind == ADDRESSES and section.info in places:
                self._relocate(section, places[section.info])
        if _protect()(self._start, len(self._memory), mmap.PROT_READ | mmap.PROT_EXEC) != 0:
            raise Unknown("the system does not allow executable memory")

    def address_of(self, name: str) -> int:
        """The address of a function. Raises Unknown."""
        for table in self._sections:
            if table.kind == SYMBOLS:
                for index in range(table.size // 24):
                    if self._symbol_name(table, index) == name:
                        return self._symbol(table, index)
        raise Unknown(f"no {name}")

    def _relocate(self, table: Section, base: int) -> None:
        symbols = self._sections[table.link]
        for at in range(table.offset, table.offset + table.size, 24):
            offset, info, addend = struct.unpack_from("<QQq", self._data, at)
            kind, symbol = info & 0xFFFFFFFF, info >> 32
            if kind not in FORMS:
                raise Unknown(f"relocation {kind}")
            form, distance = FORMS[kind]
            value = self._symbol(symbols, symbol) + addend
            if distance:
                value -= self._start + base + offset
            struct.pack_into(form, self._memory, base + offset, value)

    def _symbol(self, table: Section, index: int) -> int:
        *_, section, value, _ = struct.unpack_from("<IBBHQQ", self._data, table.offset + 24 * index)
        if section == UNDEFINED:
            return _of_the_process(self._symbol_name(table, index))
        if section >= RESERVED or section not in self._places:
            raise Unknown(f"a symbol of section {section}")
        return int(self._places[section] + value)

    def _symbol_name(self, table: Section, index: int) -> str:
        (name,) = struct.unpack_from("<I", self._data, table.offset + 24 * index)
        return self._text(table.link, name)

    def _is_unwinding(self, section: Section) -> bool:
        """Whether a section has unwind tables for debuggers and exceptions, not used by kernels."""
        named = self._text(self._names, section.name)
        return section.kind == UNWINDING or named == ".eh_frame"

    def _text(self, table: int, offset: int) -> str:
        start = self._sections[table].offset + offset
        return self._data[start : self._data.index(b"\0", start)].decode()

    @property
    def _names(self) -> int:
        (names,) = struct.unpack_from("<H", self._data, 62)
        return int(names)


def _sections(data: bytes) -> list[Section]:
    kind, machine = struct.unpack_from("<HH", data, 16)
    if data[:6] != b"\x7fELF\x02\x01" or (kind, machine) != (RELOCATABLE, X86_64):
        raise Unknown("another kind of file")
    (start,), (size, count) = (
        struct.unpack_from("<Q", data, 40),
        struct.unpack_from("<HH", data, 58),
    )
    return [
        Section(*struct.unpack_from("<IIQQQQIIQQ", data, start + size * index))
        for index in range(count)
    ]


def _of_the_process(name: str) -> int:
    """The address of a function of the C library, such as memset. Raises Unknown."""
    try:
        return ctypes.cast(getattr(ctypes.CDLL(None), name), ctypes.c_void_p).value or 0
    except AttributeError:
        raise Unknown(name) from None


@cache
def _protect() -> Any:
    function = ctypes.CDLL(None).mprotect
    function.argtypes = [ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
    return function


def _up(size: int, step: int) -> int:
    return -(-size // step) * step


_PRIVATE = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)
