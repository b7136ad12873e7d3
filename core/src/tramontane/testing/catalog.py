"""`python -m tramontane.testing.catalog ROOT`: write the catalog.

It maps names to distributions, for errors that say what to install, and commands to summaries; and
says what quantization configurations without a method are told by.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from tramontane.plugin import Command, Quantizer
from tramontane.registry import KINDS, Registry

MEMBERS = ("core", "arch/*", "quant/*", "backends/*", "plugins/*")
FILE = Path("core/src/tramontane/registry/catalog.json")


def workspace(root: Path) -> dict[Path, dict[str, Any]]:
    """The pyproject.toml of every distribution of a workspace, by its folder."""
    folders = (folder for pattern in MEMBERS for folder in sorted(root.glob(pattern)))
    return {
        folder: tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
        for folder in folders
        if (folder / "pyproject.toml").exists()
    }


def known_names(root: Path) -> dict[str, dict[str, str]]:
    """Kind to name to distribution."""
    found: dict[str, dict[str, str]] = {}
    for project in (table["project"] for table in workspace(root).values()):
        for kind in KINDS:
            for name in project.get("entry-points", {}).get(f"tramontane.{kind}", {}):
                found.setdefault(kind, {})[name] = project["name"]
    return {kind: dict(sorted(found[kind].items())) for kind in sorted(found)}


def command_summaries(root: Path) -> dict[str, str]:
    """What each command of ours is for, which `--help` prints without importing it.

    All of them have to be installed. Raises PluginNotInstalled.
    """
    registry = Registry()
    names = known_names(root).get("commands", {})
    return {name: registry.get(Command, name).summary for name in sorted(names)}


def quantizers(root: Path) -> list[Quantizer]:
    """Our offers, by their names. All of them have to be installed. Raises PluginNotInstalled."""
    registry = Registry()
    offers = (registry.get(Quantizer, name) for name in known_names(root)["quantizers"])
    return list({offer.name: offer for offer in offers}.values())


def known_text(root: Path) -> str:
    """What catalog.json contains when it is up to date."""
    offers, names = quantizers(root), known_names(root)
    kinds = {
        f"{offer.name}:{kind}": names["quantizers"][offer.name]
        for offer in offers
        for kind in offer.kinds
    }
    files = {pattern: names["quantizers"][o.name] for o in offers for pattern in o.files}
    told_by = {offer.name: offer.told_by for offer in offers if offer.told_by}
    more = {"kinds": kinds, "files": files, "told_by": told_by}
    table = {**names, **more, "summaries": command_summaries(root)}
    return json.dumps(table, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    workspace_root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    (workspace_root / FILE).write_text(known_text(workspace_root), "utf-8")
