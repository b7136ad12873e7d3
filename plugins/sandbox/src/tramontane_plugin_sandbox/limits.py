"""How much a program in a sandbox may take."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from tramontane.errors import UsageError

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Sizes are in bytes. Raises UsageError for a value that cannot be."""

    memory: int = 2 * GIB
    """Of a process's own data, and of all processes together."""
    processes: int = 64
    """Processes and threads together."""
    open_files: int = 256
    """Of a process."""
    file_size: int = 256 * MIB
    """Of one file."""
    disk: int = GIB
    """Of all files in the writable folder."""
    temporary: int = 256 * MIB
    """Of all files in /tmp; of all in /dev/shm."""
    cpu: int = 600
    """Seconds of processor time, of one process."""
    seconds: float = 60.0
    """Of one command or one piece of code, by the clock."""
    output: int = 64 * KIB
    """What is kept of standard output, and of standard error: its beginning and its end."""
    flood: int = 64 * MIB
    """Output that ends a program."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < LEAST.get(name, 1):
                raise UsageError(
                    f"the sandbox's limit {name}={value}: at least {LEAST.get(name, 1)}"
                )

    def counted(self) -> dict[str, int]:
        """Those that are held inside."""
        names = ("memory", "processes", "open_files", "file_size", "disk", "temporary", "cpu")
        return {name: int(getattr(self, name)) for name in names}


LEAST = {"memory": 64 * MIB, "processes": 4, "open_files": 16, "seconds": 0.01, "output": 256}
"""Below these not even an interpreter starts."""
