"""What of the machine is shown inside: programs, libraries and Python, read-only."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
OURS = "/opt/tramontane"
FOLDER = "/sandbox"
"""Where the writable folder is, inside."""
SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
STORES = ("/usr", "/nix/store", "/gnu/store")
SETTINGS = (
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives",
    "/etc/localtime", "/etc/mime.types", "/etc/fonts",
)  # fmt: skip
FOR_NETWORK = (
    "/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs", "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted",
)  # fmt: skip
TEXTS = {
    "/etc/passwd": "sandbox:x:1000:1000::/sandbox:/bin/sh\n",
    "/etc/group": "sandbox:x:1000:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
HOSTS = "127.0.0.1 localhost\n::1 localhost\n127.0.0.1 sandbox\n"


@dataclass(frozen=True)
class Shown:
    """read: (path outside, path inside). links: where symbolic links lead. texts: small files.
    packages: folders inside with installed packages."""

    read: list[tuple[str, str]]
    links: dict[str, str]
    texts: dict[str, str]
    packages: list[str]


def interpreter() -> str:
    """The Python that is run inside: the one that this environment was made with."""
    base = getattr(sys, "_base_executable", "") or sys.executable
    return str(Path(base).resolve())


def packages() -> list[Path]:
    """Folders of installed packages, in their order."""
    folders = [Path(entry) for entry in sys.path]
    return [each for each in folders if each.name in ("site-packages", "dist-packages")]


def shown(further: Iterable[Path] = (), *, network: bool = False) -> Shown:
    """What is seen inside. further: paths that are shown where they are."""
    read = [(each, each) for each in STORES if Path(each).is_dir()]
    links = {}
    for name in SYSTEM:
        path = Path(name)
        if path.is_symlink():
            links[name] = str(path.readlink())
        elif path.is_dir():
            read.append((name, name))
    wanted = (*SETTINGS, *(FOR_NETWORK if network else ()))
    read += [(each, each) for each in wanted if Path(each).exists()]
    prefix = str(Path(sys.base_prefix).resolve())
    home = Path.home()
    if home.is_relative_to(prefix):  # an interpreter that was put into a home itself
        parts = [f"{prefix.rstrip('/')}/{name}" for name in ("bin", "lib")]
    else:
        parts = [prefix]
    for real in (*parts, *(str(each.resolve()) for each in further)):
        if not _within(real, read):
            read.append((real, real))
    inside = []
    for number, folder in enumerate(packages()):
        real = str(folder.resolve())
        if not _within(real, read):
            read.append((real, f"{OURS}/packages-{number}"))
            real = f"{OURS}/packages-{number}"
        inside.append(real)
    read.append((str(HERE), f"{OURS}/{HERE.name}"))
    texts = dict(TEXTS) if network else {**TEXTS, "/etc/hosts": HOSTS}
    return Shown(read, links, texts, inside)


def _within(path: str, read: list[tuple[str, str]]) -> bool:
    """Whether a path is seen already where it is."""
    return any(outside == inside and Path(path).is_relative_to(outside) for outside, inside in read)
