"""The tiny configurations on which every family is held against transformers."""

from . import (
    bailing,
    bamba,
    deepseek,
    earlier,
    falcon_h1,
    gemma,
    gemma3n,
    gemma4,
    gptoss,
    hunyuan,
    kimi_linear,
    later,
    liquid,
    llama,
    llama4,
    mamba,
    minimax,
    ministral,
    nemotron_h,
    older,
    olmo,
    others,
    phi,
    qwen,
    remote,
    small,
)

FAMILIES = {
    name: family
    for module in (
        llama,
        qwen,
        gemma,
        gemma3n,
        gemma4,
        phi,
        older,
        others,
        deepseek,
        minimax,
        hunyuan,
        ministral,
        liquid,
        llama4,
        falcon_h1,
        nemotron_h,
        kimi_linear,
        mamba,
        bamba,
        gptoss,
        olmo,
        later,
        earlier,
        small,
        remote,
        bailing,
    )
    for name, family in module.FAMILIES.items()
}
CASES = [(family, variant) for family, record in FAMILIES.items() for variant in record.variants]
