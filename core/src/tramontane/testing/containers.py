"""The container formats that are installed, by the files that they write for the kit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tramontane.plugin import Quantizer, load
from tramontane.registry import Registry


@dataclass(frozen=True)
class Container:
    """A container format: whose names its tensors have, and what they mean to a model."""

    dialect: str
    names: Mapping[str, str]


@cache
def installed_containers() -> tuple[Container, ...]:
    """Of each installed format that names tensors in its own words."""
    found = []
    for offer in Registry().all(Quantizer):
        if offer.open is None or offer.sample is None:
            continue
        try:
            found.append(_written(offer))
        except Exception:  # noqa: BLE001 - the checks of the format itself say what is wrong
            continue
    return tuple(container for container in found if container.names)


def _written(offer: Quantizer) -> Container:
    assert offer.open is not None
    assert offer.sample is not None
    with TemporaryDirectory() as folder:
        checkpoint = load(offer.open)(load(offer.sample)(Path(folder)))
        names = getattr(checkpoint, "names", {})
        dialect = checkpoint.header.dialect
        checkpoint.close()
    return Container(dialect, dict(names))
