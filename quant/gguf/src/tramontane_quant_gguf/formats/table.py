"""All block formats: ggml's type number to what translates it.

Each takes the bytes of a matrix and its rows and columns (a multiple of the block), checks
nothing, and gives the layout whose float32 decode equals ggml's own dequantization bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import numpy as np
from tramontane.layouts import Affine, Codebook

from .blocks import Raw
from .in_order import q1_0, q2_0
from .iq1 import iq1_m, iq1_s
from .iq2 import iq2_s, iq2_xs, iq2_xxs
from .iq3 import iq3_s, iq3_xxs
from .iq4 import iq4_nl, iq4_xs
from .mxfp4 import mxfp4
from .nvfp4 import nvfp4
from .q2_k import q2_k
from .q3_k import q3_k
from .q4 import q4_0, q4_1
from .q5 import q5_0, q5_1
from .q6_k import q6_k
from .q8 import q8_0, q8_1, q8_k
from .q45_k import q4_k, q5_k
from .ternary import tq1_0, tq2_0

Translate: TypeAlias = Callable[[Raw, int, int], Affine | Codebook]

FORMATS: dict[int, tuple[str, int, int, Translate]] = {
    2: ("Q4_0", 32, 18, q4_0),
    3: ("Q4_1", 32, 20, q4_1),
    6: ("Q5_0", 32, 22, q5_0),
    7: ("Q5_1", 32, 24, q5_1),
    8: ("Q8_0", 32, 34, q8_0),
    9: ("Q8_1", 32, 36, q8_1),
    10: ("Q2_K", 256, 84, q2_k),
    11: ("Q3_K", 256, 110, q3_k),
    12: ("Q4_K", 256, 144, q4_k),
    13: ("Q5_K", 256, 176, q5_k),
    14: ("Q6_K", 256, 210, q6_k),
    15: ("Q8_K", 256, 292, q8_k),
    16: ("IQ2_XXS", 256, 66, iq2_xxs),
    17: ("IQ2_XS", 256, 74, iq2_xs),
    18: ("IQ3_XXS", 256, 98, iq3_xxs),
    19: ("IQ1_S", 256, 50, iq1_s),
    20: ("IQ4_NL", 32, 18, iq4_nl),
    21: ("IQ3_S", 256, 110, iq3_s),
    22: ("IQ2_S", 256, 82, iq2_s),
    23: ("IQ4_XS", 256, 136, iq4_xs),
    29: ("IQ1_M", 256, 56, iq1_m),
    34: ("TQ1_0", 256, 54, tq1_0),
    35: ("TQ2_0", 256, 66, tq2_0),
    39: ("MXFP4", 32, 17, mxfp4),
    40: ("NVFP4", 64, 36, nvfp4),
    41: ("Q1_0", 128, 18, q1_0),
    42: ("Q2_0", 64, 18, q2_0),
}
"""Type number: name, weights per block, bytes per block, translation."""


@cache
def bytes_in_memory(kind: int) -> int:
    """Of a block of a type once it is translated: more than in the file for I-quants, whose codes
    replace indices, and for Q1_0."""
    _, weights, size, translate = FORMATS[kind]
    layout = translate(np.zeros(size, np.uint8), 1, weights)
    named = layout.tensors()
    return sum(tensor.nbytes for name, tensor in named.items() if name != "table")
