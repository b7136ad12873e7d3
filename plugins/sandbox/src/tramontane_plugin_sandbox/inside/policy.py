"""What the host asks of a sandbox, and what it is told; read by type checkers only."""

from __future__ import annotations

from typing import TypedDict


class Policy(TypedDict):
    """Paths are those inside, unless it is said."""

    kind: str
    """namespaces, bubblewrap, seatbelt or none."""
    command: list[str]
    environment: dict[str, str]
    folder: str
    folder_outside: str
    temporary: list[str]
    """Where paths are moved, folders in memory, each with at most `limits["temporary"]` bytes; else
    one on the disk, counted with the folder."""
    read: list[tuple[str, str]]
    """(outside, inside)."""
    links: dict[str, str]
    texts: dict[str, str]
    network: bool
    limits: dict[str, int]


class End(TypedDict, total=False):
    """What the host is told once the program has ended."""

    how: str
    """exit, signal, memory, processes, disk; failed: the command cannot be run; refused: the
    sandbox cannot be had."""
    status: int
    """Of exit: the program's; of signal: its number."""
    why: str
