"""Deletes a folder that a program has filled as it liked: deep, closed, with links."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path


def delete(folder: Path) -> None:
    """Delete a folder and all below it, as far as that can be. No link is followed."""
    with contextlib.suppress(OSError, RecursionError):
        shutil.rmtree(folder)
    if folder.exists():
        # these open closed folders, and go down without a stack
        for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
            with contextlib.suppress(OSError):
                subprocess.run([*command, "--", str(folder)], capture_output=True, check=False)
