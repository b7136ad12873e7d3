"""The tiny configurations on which every family is held against transformers."""

from . import deepseek, gemma, gemma4, hunyuan, llama, minimax, ministral, older, others, phi, qwen

FAMILIES = {
    name: family
    for module in (
        llama,
        qwen,
        gemma,
        gemma4,
        phi,
        older,
        others,
        deepseek,
        minimax,
        hunyuan,
        ministral,
    )
    for name, family in module.FAMILIES.items()
}
CASES = [(family, variant) for family, record in FAMILIES.items() for variant in record.variants]
