"""What a layout is: one of these classes."""

from __future__ import annotations

from typing import TypeAlias

from .affine import Affine
from .codebook import Codebook
from .dense import Dense
from .permuted import Permuted
from .row_groups import RowGroups

Layout: TypeAlias = Dense | Affine | Codebook | RowGroups | Permuted
LAYOUTS = (Dense, Affine, Codebook, RowGroups, Permuted)
"""The classes, for `isinstance`."""
