"""Turns what a sandbox is to be into a command that begins it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import bubblewrap, runtime, seatbelt
from .inside.policy import Policy
from .inside.users import NOBODY
from .limits import Limits
from .running import Running

START = "import sys; sys.path.append(sys.argv.pop(1)); from {}.inside.launch import main; main()"
THREADS = "4"
"""What libraries of matrix products may use, where they listen to their own settings."""


@dataclass(frozen=True)
class Place:
    """Where programs run. folder: writable. private: the host's own folder for small files."""

    kind: str
    folder: Path
    private: Path
    network: bool = False
    read: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    interpreter: str = field(default_factory=runtime.interpreter)

    @property
    def moved(self) -> bool:
        """Whether paths inside are others than outside."""
        return self.kind in ("bubblewrap", "namespaces")

    @property
    def ours(self) -> str:
        """The folder, inside, that this package is imported from."""
        return runtime.OURS if self.moved else str(runtime.HERE.parent)


def begin(place: Place, command: Sequence[str], limits: Limits, *, replies: bool) -> Running:
    """Raises OSError where not even a process can be begun."""
    if place.kind == "namespaces" and os.geteuid() == 0:
        os.chown(place.folder, NOBODY, NOBODY)
    shown = runtime.shown(place.read, network=place.network)
    home = runtime.FOLDER if place.moved else str(place.folder)
    packages = shown.packages if place.moved else [str(each) for each in runtime.packages()]
    temporary = ["/tmp", "/dev/shm"] if place.moved else [str(_temporary(place))]
    policy: Policy = {
        "kind": {"off": "none"}.get(place.kind, place.kind),
        "command": list(command),
        "environment": {**_environment(home, packages, place), **place.environment},
        "folder": home,
        "folder_outside": str(place.folder),
        "temporary": temporary,
        "read": shown.read,
        "links": shown.links,
        "texts": shown.texts,
        "network": place.network,
        "limits": limits.counted(),
    }
    ours = runtime.OURS if place.kind == "bubblewrap" else str(runtime.HERE.parent)
    bare = [place.interpreter, "-I", "-S", "-c", START.format(runtime.HERE.name), ours]
    return Running(policy, _around(place, policy, bare), {"LANG": "C.UTF-8"}, replies=replies)


def _around(place: Place, policy: Policy, bare: list[str]) -> list[str]:
    """The launcher's command inside what isolates it, if that is another program's work."""
    if place.kind == "bubblewrap":
        texts = bubblewrap.write_texts(policy["texts"], place.private)
        policy["read"] = [*policy["read"], *texts]
        return bubblewrap.command(shutil.which("bwrap") or "bwrap", policy, bare)
    if place.kind == "seatbelt":
        read = [Path(sys.base_prefix).resolve(), runtime.HERE, *runtime.packages(), *place.read]
        write = [place.folder, _temporary(place)]
        text = seatbelt.profile(read, write, network=place.network)
        return [seatbelt.SANDBOX_EXEC, "-p", text, *bare]
    return bare


def _temporary(place: Place) -> Path:
    """Of a sandbox that sees the host's own paths."""
    folder = place.private / "tmp"
    folder.mkdir(exist_ok=True)
    return folder


def _environment(home: str, packages: list[str], place: Place) -> dict[str, str]:
    """Nothing of the host's own: variables hold keys and passwords."""
    temporary = "/tmp" if place.moved else str(_temporary(place))
    programs = str(Path(place.interpreter).parent)
    return {
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
        "HOME": home,
        "TMPDIR": temporary,
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(packages),
        "PYTHONDONTWRITEBYTECODE": "1",
        "XDG_CACHE_HOME": f"{temporary}/cache",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": f"{temporary}/matplotlib",
        "MALLOC_ARENA_MAX": "2",
        **{f"{library}_NUM_THREADS": THREADS for library in ("OMP", "OPENBLAS", "MKL")},
    }
