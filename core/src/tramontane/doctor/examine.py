"""All of it, in the order in which it is printed."""

from __future__ import annotations

from collections.abc import Iterator

from tramontane.registry import Registry

from .extensions import devices, plugins
from .finding import Finding
from .network import hub
from .processor import processor
from .software import software, threads
from .storage import cache_folders, free_memory


def examine(registry: Registry) -> Iterator[Finding]:
    """Findings as they come; the hub may take three seconds."""
    yield from software()
    yield processor()
    yield free_memory()
    yield from threads()
    yield from devices(registry)
    yield from cache_folders()
    yield hub()
    yield from plugins(registry)
