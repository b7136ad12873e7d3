"""Installed plugins: found by name in package metadata, imported only when chosen."""

from .registry import (
    CORE,
    EVENTS,
    FLAGS,
    KINDS,
    SPEC_MARK,
    Registry,
    canonical,
    distributions,
    known,
    known_lists,
)

__all__ = [
    "CORE",
    "EVENTS",
    "FLAGS",
    "KINDS",
    "SPEC_MARK",
    "Registry",
    "canonical",
    "distributions",
    "known",
    "known_lists",
]
