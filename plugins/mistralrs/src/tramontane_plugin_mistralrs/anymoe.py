"""[anymoe] of a TOML selector: the gate is trained first, once, and then used."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from tramontane.errors import UsageError
from tramontane.registry import Registry, known
from tramontane.system import paths

from .plan import Plan


def add_anymoe(plan: Plan, file: str, run: Callable[[list[str]], int]) -> None:
    """Train what the file says with the model of the plan, unless it was trained before, and let
    the plan answer with it. run: our command line. Raises UsageError."""
    if "anymoe" not in Registry.from_environment().names("commands"):
        raise UsageError(f"{file} has [anymoe]: pip install {known('commands')['anymoe']}")
    target = plan.loading
    model = str(target["model"])
    text = Path(file).read_bytes() + model.encode()
    folder = paths.cache() / "anymoe" / hashlib.sha256(text).hexdigest()[:16]
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        if status := run(["anymoe", "train", model, "-f", file, "--output", str(folder)]):
            raise UsageError(f"the gate of {file} could not be trained (status {status})")
    target["lora"] = [*target.get("lora", ()), f"anymoe={folder}"]
    if plan.command == "serve":
        plan.notes.append('requests answer with the mixture where they say "model": "anymoe"')
