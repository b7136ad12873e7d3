"""All block formats: ggml's type number to what translates it.

Each takes the bytes of a matrix and its rows and columns (a multiple of the block), checks
nothing, and gives the layout whose float32 decode equals ggml's own dequantization bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from tramontane.layouts import Affine, Codebook

from .blocks import Raw
from .iq4 import iq4_nl, iq4_xs
from .mxfp4 import mxfp4
from .q2_k import q2_k
from .q3_k import q3_k
from .q4 import q4_0, q4_1
from .q5 import q5_0, q5_1
from .q6_k import q6_k
from .q8 import q8_0
from .q45_k import q4_k, q5_k

Translate: TypeAlias = Callable[[Raw, int, int], Affine | Codebook]

FORMATS: dict[int, tuple[str, int, int, Translate]] = {
    2: ("Q4_0", 32, 18, q4_0),
    3: ("Q4_1", 32, 20, q4_1),
    6: ("Q5_0", 32, 22, q5_0),
    7: ("Q5_1", 32, 24, q5_1),
    8: ("Q8_0", 32, 34, q8_0),
    10: ("Q2_K", 256, 84, q2_k),
    11: ("Q3_K", 256, 110, q3_k),
    12: ("Q4_K", 256, 144, q4_k),
    13: ("Q5_K", 256, 176, q5_k),
    14: ("Q6_K", 256, 210, q6_k),
    20: ("IQ4_NL", 32, 18, iq4_nl),
    23: ("IQ4_XS", 256, 136, iq4_xs),
    39: ("MXFP4", 32, 17, mxfp4),
}
"""Type number: name, weights per block, bytes per block, translation."""
