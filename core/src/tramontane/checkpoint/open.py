"""Open a path as a checkpoint. Only headers are read here, no weights."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path

from tramontane.errors import CheckpointError, ModelNotFound
from tramontane.plugin import Quantizer, load
from tramontane.registry import Registry, known

from .bare_decoder import completed
from .checkpoint import Checkpoint, Header
from .encoder import refuse_encoder, refuse_language_model
from .folder import FolderCheckpoint
from .parts import PartsCheckpoint
from .single_file import single_file
from .weight_files import PARTS_INDEX, choose_weights, names_encoder

WEIGHTS = (".safetensors", ".bin", ".pth", ".pt")
USUAL = {
    f"{stem}{index}"
    for stem in ("model.safetensors", "pytorch_model.bin", "diffusion_pytorch_model.safetensors")
    for index in ("", ".index.json")
}  # fmt: skip
"""Weights beside which no other container is looked for."""

MODULES = "modules.json"
"""What sentence-transformers writes."""
LATER_PART = re.compile(r"-[1-9]\d*$")

MOST_LISTED = 8
"""Maximum number of models that an error message lists."""

MOST_LOOKED = 1000
"""Maximum number of a folder's entries that are searched for models."""


def open_checkpoint(path: Path, registry: Registry) -> Checkpoint:
    """Open a folder or file. Raises ModelNotFound, CheckpointError, or PluginError."""
    return _checked(_open(path, registry), refuse_encoder)


def open_encoder(path: Path, registry: Registry) -> Checkpoint:
    """Open a file with an encoder of images. Raises as `open_checkpoint`."""
    return _checked(_open(path, registry), refuse_language_model)


def _checked(found: Checkpoint, refuse: Callable[[Header], None]) -> Checkpoint:
    try:
        refuse(found.header)
    except CheckpointError:
        found.close()
        raise
    return found


def _open(path: Path, registry: Registry) -> Checkpoint:
    try:
        if path.is_dir():
            return completed(_open_folder(path, registry), registry)
        return completed(_open_file(path, registry), registry)
    except FileNotFoundError as error:
        raise ModelNotFound(f"no such file or folder: {error.filename or path}") from error
    except PermissionError as error:
        raise ModelNotFound(
            f"no permission to read {error.filename or path}: change its mode or its owner"
        ) from error
    except OSError as error:
        raise ModelNotFound(
            f"cannot read {error.filename or path}: {error.strerror or error}"
        ) from error


def _open_file(path: Path, registry: Registry) -> Checkpoint:
    if path.exists() and not path.is_file():  # reading a pipe or a device could block forever
        raise CheckpointError(f"{path} is not a model: it is neither a file nor a folder")
    with path.open("rb") as file:
        start = file.read(16)
    offer = None if path.suffix == ".safetensors" else _container(path.name, start, registry)
    if offer is not None and offer.open is not None:
        checkpoint: Checkpoint = load(offer.open)(path)
        return checkpoint
    if offer is None and (distribution := _absent(path.name)):
        raise CheckpointError(f"{path}: to read it: pip install {distribution}")
    if path.suffix in WEIGHTS:
        alone = path.suffix == ".safetensors" and not (path.parent / "config.json").exists()
        if alone and (found := single_file(path, registry)) is not None:
            return found
        if not (path.parent / "config.json").exists():
            raise CheckpointError(
                f"{path} needs the model's config.json in the same folder: copy it, and the "
                "tokenizer's files, from where the weights are from"
            )
        return FolderCheckpoint(path.parent, [path])
    raise CheckpointError(_not_a_model(path, start, registry))


def _container(name: str, start: bytes, registry: Registry) -> Quantizer | None:
    """The format of a container file, by its first bytes or its name."""
    for offer in registry.all(Quantizer):
        by_magic = offer.magic and start.startswith(offer.magic)
        if offer.open and (by_magic or any(fnmatchcase(name, each) for each in offer.files)):
            return offer
    return None


def _absent(name: str) -> str | None:
    """Our distribution that reads files of such a name; ask where none that is installed does."""
    found = (dist for pattern, dist in known("files").items() if fnmatchcase(name, pattern))
    return next(found, None)


def _not_a_model(path: Path, start: bytes, registry: Registry) -> str:
    if not start:
        return f"{path} is empty: copy or download it again"
    suffix = path.suffix.removeprefix(".").lower()
    for name, distribution in known("quantizers").items():
        if name in (suffix, start[: len(name)].decode("latin-1").lower()):
            if name in registry.names("quantizers"):
                return f"{path} is not a {name} file: it begins with {start[:4]!r}"
            return f"{path} looks like {name}; to read it: pip install {distribution}"
    return (
        f"{path} is not a model that an installed plugin can read: it begins with {start[:4]!r}; "
        f"installed formats: safetensors, {', '.join(registry.names('quantizers')) or 'no others'}"
    )


def _open_folder(path: Path, registry: Registry, kind: str | None = None) -> Checkpoint:
    """kind: the class of a part of another checkpoint."""
    if (path / PARTS_INDEX).exists() and not (path / "config.json").exists():
        return PartsCheckpoint(path, lambda part, kind: _open_folder(part, registry, kind))
    if (path / MODULES).exists() and not (path / "config.json").exists():
        path = _first_module(path)  # older ones have the model in a folder of its own
    inside = [item for item in sorted(path.iterdir()) if item.is_file()]
    if (path / "config.json").exists():
        named = _named(inside, registry) if USUAL.isdisjoint(i.name for i in inside) else []
        if len(named) > 1:
            raise CheckpointError(_several(path, named))
        if not named and USUAL.isdisjoint(i.name for i in inside):
            for item in inside:
                if distribution := _absent(item.name):
                    raise CheckpointError(f"{item}: to read it: pip install {distribution}")
        return _open_file(named[0], registry) if named else FolderCheckpoint(path, None, kind)
    suffixes = {f".{name}" for name in (*registry.names("quantizers"), *known("quantizers"))}
    models = [item for item in inside if item.suffix in suffixes]
    models = [item for item in models if not names_encoder(item.name)] or models
    candidates = [item for item in models if "-of-" not in item.stem or "-00001-of-" in item.stem]
    if len(candidates) == 1:
        return _open_file(candidates[0], registry)
    if candidates:
        raise CheckpointError(_several(path, candidates))
    if weights := choose_weights(item.name for item in inside):
        raise CheckpointError(
            f"{path} has {weights[0]} but no config.json: copy it, and the tokenizer's files, from"
            " where the weights are from, or download the model again"
        )
    message = f"{path} is not a model: it has no config.json and no model file"
    if below := _models_below(path, suffixes):
        more = f" and {len(below) - MOST_LISTED} more" if len(below) > MOST_LISTED else ""
        names = ", ".join(below[:MOST_LISTED])
        message += f"; it holds models, of which to name one: {names}{more}"
    raise CheckpointError(message)


def _first_module(path: Path) -> Path:
    """The folder of the model itself, beside which sentence-transformers wrote its modules."""
    from tramontane.tasks.sentence_modules import listed

    found = [folder for kind, folder in listed(path) if kind == "Transformer"]
    return found[0] if found else path


def _named(inside: list[Path], registry: Registry) -> list[Path]:
    """Container files that a plugin knows by their names, each by its first part (NAME-0)."""
    patterns = [each for offer in registry.all(Quantizer) if offer.open for each in offer.files]
    found = [item for item in inside if any(fnmatchcase(item.name, each) for each in patterns)]
    return [item for item in found if not LATER_PART.search(item.stem)]


def _several(path: Path, models: list[Path]) -> str:
    listed = ", ".join(item.name for item in models[:MOST_LISTED])
    more = f" and {len(models) - MOST_LISTED} more" if len(models) > MOST_LISTED else ""
    return f"{path} holds several models; name one of {listed}{more}"


def _models_below(path: Path, suffixes: set[str]) -> list[str]:
    """Paths of the subfolders of a folder, and of files in these, that look like models."""
    models = []
    for folder in islice((item for item in sorted(path.iterdir()) if item.is_dir()), MOST_LOOKED):
        try:
            inside = sorted(islice(folder.iterdir(), MOST_LOOKED))
        except OSError:
            continue
        if folder / "config.json" in inside:
            models.append(str(folder))
        else:
            models += [str(item) for item in inside if item.suffix in suffixes and item.is_file()]
    return models
