"""From the name after `-m` to a path on this disk."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from tramontane.errors import ModelNotFound, PluginBroken
from tramontane.hub.options import HubOptions
from tramontane.plugin import Model
from tramontane.registry import Registry

DEFAULT = "default"
"""The name of the model that runs when no other is named."""


def find_model(name: str, registry: Registry, hub: HubOptions) -> Path:
    """A local path, an installed model's name, or a hub id, downloaded if need be.

    Raises ModelNotFound with what was tried, or a PluginError.
    """
    if path := local_path(name):
        return path
    if name in registry.names("models"):
        return bundled(registry.get(Model, name))
    if name == DEFAULT:
        raise ModelNotFound(
            "no model named: give one with -m (a folder, a .gguf file, or a hub id such as "
            "org/name), or install the small one: pip install tramontane-plugin-embedded"
        )
    from tramontane.hub import download, is_hub_id
    from tramontane.hub.known import hub_id, nearest_known

    if is_hub_id(name):
        return download(name, hub)
    if (known := hub_id(name)) is not None:
        return download(known, hub)
    installed = ", ".join(registry.names("models"))
    raise ModelNotFound(
        f"no model {name!r}: there is no such file or folder here, and it is not a hub id, "
        f"which looks like org/name or org/name:file.gguf; installed models: {installed or 'none'}"
        f"{nearest_known(name)}"
    )


def find_adapter(name: str, hub: HubOptions) -> Path:
    """A local path, or a hub id, downloaded if need be. Raises ModelNotFound."""
    if path := local_path(name):
        return path
    from tramontane.hub import download, is_hub_id

    if is_hub_id(name):
        return download(name, hub)
    raise ModelNotFound(
        f"no adapter {name!r}: there is no such file or folder here, and it is not a hub id, which "
        "looks like org/name"
    )


def shown_name(name: str, registry: Registry) -> str:
    """The name that was given; of the default, the installed model's."""
    if local_path(name) is None and name in registry.names("models"):
        return registry.get(Model, name).name
    return name


def local_path(name: str) -> Path | None:
    """The path that a name is, if there is one. Raises ModelNotFound where one may not look."""
    try:
        path = Path(name).expanduser()
        return path if path.exists() else None
    except PermissionError as error:
        raise ModelNotFound(
            f"no permission to look at {name}: change the mode or owner of the folders above it"
        ) from error
    except (OSError, RuntimeError):  # too long for a path, or ~ of nobody
        return None


def bundled(offer: Model) -> Path:
    """The path of an installed model's file."""
    package, _, resource = offer.file.partition(":")
    path = Path(str(files(package).joinpath(resource)))
    if not path.exists():
        raise PluginBroken(f"the model {offer.name!r} should be {offer.file}, which is missing")
    return path
