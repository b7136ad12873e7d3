"""X-LoRA: a folder of adapters with a classifier, as peft, the library before it and mistral.rs
have them (Buehler and Buehler 2024)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tramontane.adapters.stored import StoredAdapter
from tramontane.adapters.stored_mixture import StoredMixture
from tramontane.errors import AdapterError
from tramontane.sanitize import one_line

from .peft import read_lora
from .peft_config import CONFIG
from .xlora_classifier import is_mixed_up, read_classifier
from .xlora_config import XLoraConfig
from .xlora_declared import DECLARED
from .xlora_order import Ordering, read_order


def read_xlora(path: Path, *, order: Path | None = None, inside: bool = False) -> StoredMixture:
    """order: an ordering file. inside: read no adapters outside of the folder.

    Raises AdapterError, CheckpointError.
    """
    folder = path if path.is_dir() else path.parent
    config = XLoraConfig(folder)
    ordering = None if order is None else read_order(order)
    known = config.adapters
    names = _names(folder, known, ordering, order)
    adapters: dict[str, StoredAdapter] = {}
    for name in names:
        adapters[name] = read_lora(_folder(folder, name, known.get(name, ""), inside=inside))
    return StoredMixture(
        adapters,
        read_classifier(folder, config, len(adapters)),
        layers=None if ordering is None else ordering.layers,
        declared=DECLARED,
        pass_value=config.pass_value,
        weight=config.weight,
    )


def _names(
    folder: Path, known: dict[str, str], ordering: Ordering | None, order: Path | None
) -> tuple[str, ...]:
    """The adapters' names, in the classifier's order."""
    if ordering is None:
        if not known:
            raise AdapterError(
                f"{folder} does not say which adapters there are, nor in which order: give an "
                "ordering file (--xlora-order)"
            )
        return tuple(known)
    if known and set(known) != set(ordering.adapters):
        unknown = [name for name in ordering.adapters if name not in known]
        lacking = [name for name in known if name not in ordering.adapters]
        which = f"names {unknown[0]!r:.60}" if unknown else f"does not name {lacking[0]!r:.60}"
        raise AdapterError(
            f"{order} {which}; the adapters of {folder} are {one_line(', '.join(known), 200)}"
        )
    return ordering.adapters


def _folder(folder: Path, name: str, trained: str, *, inside: bool) -> Path:
    """An adapter's own folder. trained: where it was when the X-LoRA was."""
    root, mixed_up = folder.resolve(), False
    for path in _candidates(folder, name, trained):
        try:
            within = path.resolve().is_relative_to(root) and path.resolve() != root
            there = (within or not inside) and (path / CONFIG).is_file()
        except (OSError, ValueError, RuntimeError):  # no path at all
            continue
        if there and is_mixed_up(path):
            mixed_up = True
        elif there:
            return path
    shown = one_line(repr(name), 60)
    if mixed_up:
        raise AdapterError(
            f"{folder}: peft has saved parts of several adapters as the adapter {shown}, which "
            f"cannot be taken apart: put the folder that it was trained with "
            f"({one_line(trained, 120) or 'unknown'}) in its place, and the classifier into "
            "xlora_classifier.safetensors"
        )
    raise AdapterError(
        f"{folder} has no folder of the adapter {shown}"
        + (f", which was {one_line(trained, 120)} in training" if trained else "")
        + f": copy it to {folder / Path(name).name}"
    )


def _candidates(folder: Path, name: str, trained: str) -> Iterator[Path]:
    yield folder / name
    last = Path(trained).name
    if trained and not Path(trained).is_absolute():
        yield folder / trained
    if last not in ("", ".", ".."):
        yield folder / last
    for sub in sorted(folder.iterdir()):
        if sub.is_dir() and not sub.is_symlink():
            yield sub / name
    if trained:
        yield Path(trained).expanduser()
