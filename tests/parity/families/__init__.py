"""The tiny configurations on which every family is held against transformers."""

from . import (
    deepseek,
    earlier,
    falcon_h1,
    gemma,
    gptoss,
    later,
    liquid,
    llama,
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
        phi,
        older,
        others,
        deepseek,
        liquid,
        falcon_h1,
        gptoss,
        olmo,
        later,
        earlier,
    )
    for name, family in module.FAMILIES.items()
}
CASES = [(family, variant) for family, record in FAMILIES.items() for variant in record.variants]
