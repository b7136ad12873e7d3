"""What this distribution offers."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import AdapterForm, Quantizer, hookimpl

KINDS = {
    "q2_k": 3.125, "q3_k": 3.5625, "q4_0": 4.5, "q4_1": 5.0, "q4_k": 4.625, "iq4_nl": 4.5,
    "iq4_xs": 4.3125, "q5_0": 5.5, "q5_1": 6.0, "q5_k": 5.625, "q6_k": 6.5625, "q8_0": 8.5,
}  # fmt: skip


GROWTH = {
    "iq1_s": 1.76, "iq1_m": 2.04, "iq2_xxs": 1.61, "iq2_xs": 1.55, "iq2_s": 1.55, "iq2_m": 1.4,
    "iq3_xxs": 1.41, "iq3_xs": 1.41, "iq3_s": 1.26, "iq3_m": 1.26, "iq4_xs": 1.02, "tq1_0": 1.23,
    "q1_0": 1.89,
    **{f"q{bits}_k{end}": growth for bits, growth in ((2, 1.2), (3, 1.04), (4, 1.03), (5, 1.03))
       for end in ("", "_s", "_m", "_l", "_xl")},
}  # fmt: skip
"""Of the type that grows most among those of each mixture: iq2_s has matrices of IQ2_XS, and iq3_xs
of IQ3_XXS."""


@hookimpl
def quantizers() -> Iterable[Quantizer]:
    """The GGUF container."""
    yield Quantizer(
        name="gguf",
        magic=b"GGUF",
        open="tramontane_quant_gguf.container:open_gguf",
        kinds=KINDS,
        quantize="tramontane_quant_gguf.encode.encode:quantize",
        row_block=1,
        importance="tramontane_quant_gguf.imatrix:read",
        write_importance="tramontane_quant_gguf.imatrix:save",
        write="tramontane_quant_gguf.encode.write:write",
        sample="tramontane_quant_gguf.sample:write_sample",
        decode="tramontane_quant_gguf.plain:decode",
        file_growth=GROWTH,
        file_kinds={
            2: ("q2_k", "q2_k_l", "q2_k_s", "q2_k_xl", "iq2_m", "iq2_s", "iq2_xs", "iq2_xxs"),
            3: (
                "q3_k_m",
                "q3_k_s",
                "q3_k_l",
                "q3_k",
                "q3_k_xl",
                "iq3_m",
                "iq3_s",
                "iq3_xs",
                "iq3_xxs",
            ),
            4: (
                "q4_k_m",
                "q4_k_s",
                "q4_k_l",
                "q4_1",
                "q4_0",
                "q4_k",
                "q4_k_xl",
                "iq4_nl",
                "iq4_xs",
            ),
            5: ("q5_k_m", "q5_k_s", "q5_k_l", "q5_1", "q5_0", "q5_k", "q5_k_xl"),
            6: ("q6_k", "q6_k_l", "q6_k_xl"),
            8: ("q8_0", "q8_k", "q8_k_xl"),
        },
    )


@hookimpl
def adapters() -> Iterable[AdapterForm]:
    """Adapters as llama.cpp's converter writes them: files whose `general.type` says so."""
    yield AdapterForm(
        name="gguf",
        files=("*.gguf",),
        read="tramontane_quant_gguf.adapter.read:read_adapter",
        sample="tramontane_quant_gguf.adapter.sample:write",
    )
