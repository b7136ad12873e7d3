"""Whose processes a sandbox's are."""

from __future__ import annotations

USER = 1000
"""The program's user and group inside."""
NOBODY = 65534
"""Who that is outside, where root starts a sandbox."""
