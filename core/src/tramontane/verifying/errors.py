"""What stands in the way of comparing."""

from __future__ import annotations

from tramontane.errors import TramontaneError


class NoReference(TramontaneError):
    """The implementation to compare with is not installed, has no such model, or cannot run it."""
