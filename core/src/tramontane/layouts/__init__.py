"""Packed layouts: the in-memory representations of weights, independent of the file format.

A format's plugin converts its bytes into one of these without rounding; a backend has kernels for
each. `decode` is the reference implementation for both. A matrix has shape (rows, columns): a
linear layer's output features by its input features. On the way to a
model a layout's tensors may have any strides, as a transposed view has; those in a model are
contiguous, so that kernels may take their addresses.
"""

from __future__ import annotations

from .affine import Affine as Affine
from .affine import affine_kind as affine_kind
from .codebook import Codebook as Codebook
from .codebook import codebook_kind as codebook_kind
from .codes import PLANES as PLANES
from .codes import pack as pack
from .codes import two_level as two_level
from .codes import unpack as unpack
from .columns import column_step as column_step
from .columns import columns as columns
from .concatenate import below as below
from .concatenate import contiguous as contiguous
from .concatenate import nbytes as nbytes
from .dense import Dense as Dense
from .float_tables import float_table as float_table
from .layout import LAYOUTS as LAYOUTS
from .layout import Layout as Layout
from .permuted import Permuted as Permuted
from .row_groups import RowGroups as RowGroups
from .select import picked as picked
