"""The tiny configurations on which every family is held against transformers."""

from . import (
    deepseek,
    earlier,
    falcon_h1,
    gemma,
    gemma4,
    gptoss,
    hunyuan,
    later,
    liquid,
    llama,
    minimax,
    ministral,
    nemotron_h,
    older,
    olmo,
    others,
    phi,
    qwen,
)

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
        liquid,
        falcon_h1,
        nemotron_h,
        gptoss,
        olmo,
        later,
        earlier,
    )
    for name, family in module.FAMILIES.items()
}
CASES = [(family, variant) for family, record in FAMILIES.items() for variant in record.variants]
