"""What this distribution offers."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Quantizer, hookimpl


@hookimpl
def quantizers() -> Iterable[Quantizer]:
    """8-bit floats: Hugging Face's `fp8`, `fbgemm_fp8`, and ModelOpt's FP8 and NVFP4."""
    names = "tramontane_quant_fp8.names:below_layers"
    yield Quantizer(
        name="fp8",
        translate="tramontane_quant_fp8.layers:translate",
        names=names,
        memory="tramontane_quant_fp8.memory:fp8",
        kinds={"fp8": 8.02, "fp8-block": 8.25},
        encode="tramontane_quant_fp8.encode:encode",
        settings="tramontane_quant_fp8.encode:settings",
        sample="tramontane_quant_fp8.sample:fp8",
        decode="tramontane_quant_fp8.plain:fp8",
    )
    yield Quantizer(
        name="fbgemm_fp8",
        translate="tramontane_quant_fp8.layers:translate",
        names=names,
        memory="tramontane_quant_fp8.memory:fp8",
        sample="tramontane_quant_fp8.sample:fbgemm",
        decode="tramontane_quant_fp8.plain:fp8",
    )
    yield Quantizer(
        name="modelopt",
        translate="tramontane_quant_fp8.modelopt:translate",
        names=names,
        memory="tramontane_quant_fp8.memory:modelopt",
        sample="tramontane_quant_fp8.sample:modelopt",
        decode="tramontane_quant_fp8.plain:modelopt",
    )
