"""The command line of bubblewrap that gives the same view as our own namespaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .inside.policy import Policy


def write_texts(texts: Mapping[str, str], folder: Path) -> list[tuple[str, str]]:
    """Small files of a view: bubblewrap binds them from this folder of the host."""
    found = []
    for inside, text in texts.items():
        path = folder / inside.strip("/").replace("/", "-")
        path.write_text(text)
        path.chmod(0o644)
        found.append((str(path), inside))
    return found


def command(program: str, policy: Policy, inner: Sequence[str]) -> list[str]:
    """program: bubblewrap's path. inner: what runs inside. `policy["texts"]` are not in it."""
    options = ["--unshare-all", "--die-with-parent", "--as-pid-1", "--hostname", "sandbox"]
    options += ["--uid", "1000", "--gid", "1000", "--cap-drop", "ALL"]
    if policy["network"]:
        options.append("--share-net")
    options += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    for outside, inside in sorted(policy["read"], key=lambda pair: pair[1]):
        options += ["--ro-bind", outside, inside]
    for path, target in policy["links"].items():
        options += ["--symlink", target, path]
    options += ["--bind", policy["folder_outside"], policy["folder"]]
    # else all of the new root is memory that anyone may fill, and nothing counts
    options += ["--remount-ro", "/", "--chdir", policy["folder"]]
    return [program, *options, "--", *inner]
