"""`python -m tests.parity.table`: which configurations of which families are held against others.

The page docs/models/README.md has the table; a test keeps it.
"""

from __future__ import annotations

from .families import FAMILIES
from .test_gguf import CASES as WRITTEN


def rows() -> list[str]:
    """The table's lines."""
    found = [
        "| family | configurations | from safetensors | from GGUF | packed on the CPU |",
        "|---|---|---|---|---|",
    ]
    for name, family in FAMILIES.items():
        kinds = [kind for written, kind in WRITTEN if written == name]
        packed = [kind for kind in kinds if kind not in ("F32", "F16", "BF16")]
        variants = ", ".join(family.variants)
        count = f"{len(family.variants)} x 7"
        found.append(
            f"| {name} | {variants} | {count} | {', '.join(kinds) or 'no such files'} "
            f"| {', '.join(packed) or '-'} |"
        )
    return found


def totals() -> str:
    """How much there is in all."""
    configurations = sum(len(family.variants) for family in FAMILIES.values())
    written = len({family for family, _ in WRITTEN})
    return (
        f"{len(FAMILIES)} architectures in {configurations} configurations; "
        f"{written} of them from {len(WRITTEN)} GGUF files, each on two devices."
    )


if __name__ == "__main__":
    print("\n".join([totals(), "", *rows()]))
