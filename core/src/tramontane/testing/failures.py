"""What a failed check shows: the author's own frames and the message, not the kit's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import tramontane

INSIDE = (Path(tramontane.__file__).parent, Path(sys.prefix), Path(sys.base_prefix))


def shortened(failure: pytest.ExceptionInfo[BaseException], own: list[Path]) -> object:
    """A report of a failure with the frames of the author's files, or, without any, the last.

    own: folders or files of the distribution, which may be installed among others.
    """
    frames = [
        frame
        for frame in failure.traceback
        if _within(Path(frame.path), own) or not _within(Path(frame.path), INSIDE)
    ]
    failure.traceback = type(failure.traceback)(frames or failure.traceback[-1:])
    return failure.getrepr(style="short", tbfilter=False, chain=False)


def _within(path: Path, folders: list[Path] | tuple[Path, ...]) -> bool:
    return any(folder in (path, *path.parents) for folder in folders)
