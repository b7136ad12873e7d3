"""What plugins' pages must be, for servers and for the conformance kit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from .errors import PluginBroken
from .plugin import Page

PATH = re.compile(r"/|(/[a-z0-9]+(-[a-z0-9]+)*)+")
FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
"""What a file, or a folder, of a page may be called."""
INDEX = "index.html"
MOST_FILES = 1000
MOST_BYTES = 64 << 20


def check_path(page: Page) -> None:
    """Raises PluginBroken for a path that cannot be."""
    if not PATH.fullmatch(page.path):
        raise PluginBroken(
            f"the page {page.name!r}: path={page.path!r} must be '/', or segments of small "
            "letters, digits and single hyphens, such as '/acme'"
        )
    if page.path == "/" and page.app is not None:
        raise PluginBroken(
            f"the page {page.name!r}: an app needs a path of its own, such as '/{page.name}'"
        )


def read_files(page: Page) -> dict[str, bytes]:
    """The files of a page by their paths below its folder. Raises PluginBroken."""
    package, colon, resource = page.files.partition(":")
    if not colon:
        raise PluginBroken(f"the page {page.name!r}: files={page.files!r} must be 'package:folder'")
    try:
        folder = files(package).joinpath(resource)
    except ImportError as error:
        raise PluginBroken(f"the page {page.name!r}: {error}") from error
    if not folder.is_dir():
        raise PluginBroken(
            f"the page {page.name!r}: {package} has no folder {resource}: is it in the wheel?"
        )
    found: dict[str, bytes] = {}
    size = 0
    for path, file in _walk(folder):
        data = file.read_bytes()
        size += len(data)
        if len(found) == MOST_FILES or size > MOST_BYTES:
            raise PluginBroken(
                f"the page {page.name!r}: a page has at most {MOST_FILES} files of "
                f"{MOST_BYTES >> 20} MiB together"
            )
        found[path] = data
    if INDEX not in found:
        raise PluginBroken(f"the page {page.name!r}: there is no {INDEX} in {page.files}")
    return found


def _walk(folder: Traversable, below: str = "") -> Iterator[tuple[str, Traversable]]:
    """Hidden files, and those with names that paths would have to escape, are left out."""
    for each in sorted(folder.iterdir(), key=lambda one: one.name):
        if not FILE.fullmatch(each.name) or each.name == "__pycache__":
            continue
        if each.is_dir():
            yield from _walk(each, f"{below}{each.name}/")
        else:
            yield below + each.name, each
