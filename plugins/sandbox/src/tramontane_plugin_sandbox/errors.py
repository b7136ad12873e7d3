"""Why there is no sandbox."""

from __future__ import annotations

from tramontane.errors import TramontaneError


class NoSandbox(TramontaneError):
    """This machine gives no sandbox, or not the one that is asked for; the message says why."""
