"""Reading an adapter's file or folder, by the form that it is in."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from tramontane.errors import AdapterError
from tramontane.plugin import AdapterForm, load
from tramontane.registry import Registry
from tramontane.target_call import call

from .stored import StoredAdapter
from .stored_mixture import StoredMixture


def read_adapter(path: Path, registry: Registry) -> StoredAdapter:
    """Raises AdapterError, CheckpointError, PluginError."""
    form = form_of(path, registry)
    if form.read is None:
        raise AdapterError(
            f"{path}: adapters of the form {form.name} are decided by each prompt, so they are "
            "loaded (--lora NAME=SOURCE), and neither merged nor part of another"
        )
    stored = read_form(form, path)
    if isinstance(stored, StoredMixture):
        raise AdapterError(
            f"{path}: a mixture of adapters, whose shares each token decides, is loaded (--lora "
            "NAME=SOURCE), and neither merged nor part of another"
        )
    return stored


def read_form(
    form: AdapterForm, path: Path, *, order: Path | None = None, inside: bool = False
) -> StoredAdapter | StoredMixture:
    """order: a mixture's ordering file. inside: read nothing outside of a folder. Raises
    AdapterError, CheckpointError, PluginError."""
    read = load(form.read or "")
    stored: StoredAdapter | StoredMixture = call(read, {"path": path}, order=order, inside=inside)
    return stored


def form_of(path: Path, registry: Registry) -> AdapterForm:
    """The form that an adapter is in. Raises AdapterError, PluginError."""
    if not path.exists():
        raise AdapterError(f"no adapter at {path}: it is a folder or a file")
    there = [each.name for each in path.iterdir()] if path.is_dir() else [path.name]
    forms = registry.all(AdapterForm)
    for form in forms:
        if any(fnmatchcase(name, pattern) for name in there for pattern in form.files):
            return form
    if not forms:
        raise AdapterError(
            f"{path}: nothing installed reads adapters; pip install tramontane-plugin-lora"
        )
    told = ", ".join(pattern for form in forms for pattern in form.files)
    raise AdapterError(f"{path} is no adapter: it has none of {told}")
