"""The file system that the program sees: a new root, with only what the policy names."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Mapping, Sequence

from . import syscalls

AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE = -100, 0x1000, 0x8000
OPEN_TREE_CLONE, MOVE_MOUNT_F_EMPTY_PATH = 1, 4
RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8
"""Attributes of a mount."""
ROOT = "/tmp"
"""Where the new root is built; it hides this folder in the new namespace only."""
DEVICES = ("null", "zero", "full", "random", "urandom")
PLAIN = NOSUID | NODEV


def build(
    read: Sequence[tuple[str, str]],
    links: Mapping[str, str],
    texts: Mapping[str, str],
    folder: tuple[str, str],
    temporary: int,
) -> None:
    """Make a new root and move into it.

    read: what is there outside, and where it is inside, read-only. links: symbolic links by path.
    texts: small files by path. folder: the writable folder, the same way. temporary: the most
    bytes of /tmp and of /dev/shm. Raises OSError.
    """
    syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
    # taken before the new root hides any of them
    trees = [(_tree(outside, RDONLY | PLAIN), inside) for outside, inside in read]
    trees += [(_tree(f"/dev/{name}", NOSUID | NOEXEC), f"/dev/{name}") for name in DEVICES]
    trees.append((_tree(folder[0], PLAIN), folder[1]))
    syscalls.mount("tmpfs", ROOT, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755")
    for path, target in links.items():
        os.makedirs(os.path.dirname(ROOT + path), exist_ok=True)
        os.symlink(target, ROOT + path)
    for path, text in texts.items():
        os.makedirs(os.path.dirname(ROOT + path), exist_ok=True)
        with open(ROOT + path, "w") as file:
            file.write(text)
    for name in ("/tmp", "/dev/shm"):
        os.makedirs(ROOT + name, exist_ok=True)
        options = f"mode=1777,size={temporary},nr_inodes=65536"
        flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
        syscalls.mount("tmpfs", ROOT + name, "tmpfs", flags, options)
    # what is shown may be below these: they are there first
    for tree, inside in sorted(trees, key=lambda pair: pair[1]):
        _attach(tree, ROOT + inside)
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        os.symlink(f"/proc/self/fd/{number}", f"{ROOT}/dev/{name}")
    os.symlink("/proc/self/fd", f"{ROOT}/dev/fd")
    _processes()
    os.mkdir(ROOT + "/.old")
    os.chdir(ROOT)
    syscalls.check(int(syscalls.libc.pivot_root(b".", b".old")), "the new root")
    os.chdir("/")
    syscalls.check(int(syscalls.libc.umount2(b"/.old", syscalls.MNT_DETACH)), "the old root")
    os.rmdir("/.old")
    _set_attributes(AT_FDCWD, b"/", RDONLY | PLAIN, recursive=False)


def _tree(path: str, attributes: int) -> int:
    """A copy of the mounts below a path, detached: a file descriptor."""
    flags = OPEN_TREE_CLONE | os.O_CLOEXEC | AT_RECURSIVE
    try:
        tree = syscalls.syscall(syscalls.OPEN_TREE, AT_FDCWD, os.fsencode(path), flags)
    except OSError as error:
        raise OSError(error.errno, f"{path} cannot be shown: {error.strerror}") from None
    _set_attributes(tree, b"", attributes, recursive=True)
    return tree


def _set_attributes(place: int, path: bytes, attributes: int, *, recursive: bool) -> None:
    asked = ctypes.create_string_buffer(struct.pack("QQQQ", attributes, 0, 0, 0), 32)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    syscalls.syscall(syscalls.MOUNT_SETATTR, place, path, flags, asked, 32)


def _attach(tree: int, target: str) -> None:
    """Mount a detached tree; what it stands on is made as it is, a folder or a file."""
    if os.path.isdir(f"/proc/self/fd/{tree}"):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        open(target, "a").close()
    syscalls.syscall(
        syscalls.MOVE_MOUNT, tree, b"", AT_FDCWD, os.fsencode(target), MOVE_MOUNT_F_EMPTY_PATH
    )
    os.close(tree)


def _processes() -> None:
    """/proc with the sandbox's own processes and nothing of the system's; where a container
    forbids it, an empty folder."""
    os.makedirs(ROOT + "/proc")
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC | syscalls.MS_RDONLY
    try:
        syscalls.mount("proc", ROOT + "/proc", "proc", flags, "subset=pid")
    except PermissionError:
        return
