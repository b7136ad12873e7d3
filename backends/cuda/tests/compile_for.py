"""Compile every kernel to machine code for cards that are not here, and read what it takes.

    python backends/cuda/tests/compile_for.py --table      rewrites the table of docs/cuda.md

No driver and no CUDA: Triton's wheel brings the assemblers. It runs in a process of its own, as
where kernels are compiled they cannot be interpreted.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[3] / "docs" / "cuda.md"
TARGETS = (80, 90, 120)
CELL = re.compile(r"(\d+), (\d+) KiB(?:, (\d+) spilled)?")
MATRIX = re.compile(r"\b(mma\.sync\.aligned\.m\d+n\d+k\d+|wgmma\.mma_async\S*|tcgen05\.mma\S*)")
PRODUCTS = {
    # name: constants of the layout, beside those of a dense one
    "affine4/g32": {"KIND": 1, "WIDTH0": 4, "GROUP": 32, "ZERO": 8},
    "affine4/g32/2-level/min": {
        "KIND": 1, "WIDTH0": 4, "GROUP": 32, "ABOVE": 256, "ABOVE_MINIMUM": 256, "MINIMUM": True,
    },
    "affine6/g16/2-level": {
        "KIND": 1, "WIDTH0": 4, "WIDTH1": 2, "GROUP": 16, "ABOVE": 256, "ZERO": 32,
    },
    "affine8/g32": {"KIND": 1, "WIDTH0": 8, "GROUP": 32, "ZERO": 128},
    "affine4/zeros/permuted": {
        "KIND": 1, "WIDTH0": 4, "GROUP": 128, "ZEROS": True, "ORDER": True,
    },
    "affine3/g32/min": {"KIND": 1, "WIDTH0": 2, "WIDTH1": 1, "GROUP": 32, "MINIMUM": True},
    "codebook4/g32": {"KIND": 2, "WIDTH0": 4, "GROUP": 32},
    "float8": {"KIND": 2, "WIDTH0": 8, "GROUP": 4096},
    "row groups": {"KIND": 3, "WIDTH0": 4},
    "dense": {},
}  # fmt: skip
EVERYWHERE = ("affine4/g32", "affine6/g16/2-level", "dense")
"""Layouts that are compiled for every target even where time is short; the others for one."""
NONE = {
    "KIND": 0, "WIDTH0": 8, "WIDTH1": 0, "GROUP": 1, "ABOVE": 0, "ABOVE_MINIMUM": 0,
    "DIVIDES": False, "ZERO": 0, "ZEROS": False, "MINIMUM": False, "FACTOR": False, "ORDER": False,
}  # fmt: skip


@dataclass(frozen=True)
class Compiled:
    """registers: of a thread. spilled: bytes. shared: bytes of a program. matrix: the matrix
    instructions' names, joined by spaces."""

    kernel: str
    target: str
    registers: int
    spilled: int
    shared: int
    matrix: str
    seconds: float


@dataclass(frozen=True)
class Case:
    """A kernel with types of its arguments and its constants."""

    name: str
    kernel: Any
    types: dict[str, str]
    constants: dict[str, Any]
    everywhere: bool
    fused: bool = True
    warps: int = 4


def cases(target: int) -> Iterator[Case]:
    """Everything that `prepare` would start on a card."""
    import triton.language as tl
    from tramontane_backend_cuda.attention import STEP, rows_for, warps_for
    from tramontane_backend_cuda.card import Card
    from tramontane_backend_cuda.kernels.attention import attend, merge
    from tramontane_backend_cuda.kernels.product import add_splits, product, table_rows
    from tramontane_backend_cuda.plan import SPLIT

    card = Card((target // 10, target % 10))
    packed = dict.fromkeys(("plane0", "plane1"), "*u8")
    for name, own in PRODUCTS.items():
        constants = NONE | own
        inner = {"scale": "*fp16", "zero": "*u8", "minimum": "*fp16"}
        if constants["ABOVE"]:
            inner |= {"scale": "*u8", "minimum": "*u8"}
        if name == "row groups":
            inner["zero"] = "*fp16"
        table = "*i32" if name == "row groups" else "*fp32"
        more = {"above": "*fp16", "above_minimum": "*fp16", "table": table}
        matrix = packed | inner | more
        if name == "dense":
            matrix = dict.fromkeys(matrix, "*bf16")
        sizes = {"m": "i32", "n": "i32", "columns": "i32", "each": "i32", "part_rows": "i32"}
        types = {"x": "*bf16", "out": "*bf16", "order": "*i32", "tiles": "*i32"}
        types |= matrix | sizes | {"factor": "fp32"}
        for called, height in (("few", card.few), ("many", card.many)):
            told = constants | {
                "STACKED": False, "SPLIT": 4096, "DOT": tl.bfloat16, "M": height, "N": card.wide,
                "K": card.deep,
            }  # fmt: skip
            yield Case(f"{name}, {called}", product, types, told, name in EVERYWHERE)
        if name == "affine4/g32":
            told = told | {"STACKED": True}
            yield Case(f"{name}, experts", product, types, told, True)
            told = told | {"STACKED": False, "DOT": tl.float16}
            halves = types | {"x": "*fp16", "out": "*fp16"}
            yield Case(f"{name}, many, float16", product, halves, told, False)
            told = constants | {"M": 16, "K": 128}
            types = {"tokens": "*i64", "out": "*bf16", "order": "*i32"} | matrix
            types |= {"count": "i32", "columns": "i32", "part_rows": "i32", "factor": "fp32"}
            yield Case(f"{name}, rows", table_rows, types, told, False)
    types = {"parts": "*fp32", "out": "*bf16", "count": "i32"}
    yield Case("splits added", add_splits, types, {"SPLITS": 8, "SIZE": 1024}, False)
    for kind, stored in enumerate(("*fp16", "*u8", "*i8")):
        for called, rows, apart in (
            ("one token", rows_for(128, alone=True), True),
            ("a prompt", rows_for(128, alone=False), False),
        ):
            constants = dict(
                HEADS=32, KV_HEADS=8, D=128, DV=128, BD=128, BV=128, BLOCK=4, ROWS=rows, STEP=STEP,
                SPLIT=SPLIT, KIND=kind, LATENT=False, WINDOW=kind == 1, CHUNK=False, CAP=kind == 1,
                ALIBI=False, SINKS=kind == 1, MUTUAL=False, APART=apart, DOT=tl.bfloat16,
            )  # fmt: skip
            name = ("attention, float16", "attention, float8", "attention, int8")[kind]
            warps = warps_for(kind, 128, alone=apart)
            types = attention_types(stored)
            yield Case(f"{name}, {called}", attend, types, constants, kind == 0, False, warps)
    for called, rows, apart in (
        ("one token", rows_for(512, alone=True), True),
        ("a prompt", rows_for(512, alone=False), False),
    ):
        constants = constants | dict(
            HEADS=128, KV_HEADS=1, D=64, DV=512, BD=64, BV=512, BLOCK=16, ROWS=rows, KIND=0,
            LATENT=True, APART=apart, WINDOW=False, CAP=False, SINKS=False,
        )  # fmt: skip
        types, warps = attention_types("*bf16"), warps_for(0, 512, alone=apart)
        yield Case(f"latents, {called}", attend, types, constants, apart, False, warps)
    types = dict.fromkeys(("tops", "weights", "totals"), "*fp32")
    types |= {"chosen": "*i32", "out": "*bf16", "sinks": "*bf16", "rows": "i32", "splits": "i32"}
    constants = {"HEADS": 32, "DV": 128, "BV": 128, "SINKS": True}
    yield Case("attention merged", merge, types, constants, False, False, 1)


def attention_types(stored: str) -> dict[str, str]:
    """Of `attend`'s arguments, for a cache of one type."""
    types = dict.fromkeys(("q", "asked", "out"), "*bf16")
    types |= dict.fromkeys(("tops", "weights", "totals"), "*fp32")
    types |= dict.fromkeys(("tiles", "pages", "reach"), "*i32")
    types |= {"keys": stored, "values": stored, "key_scales": "*bf16", "value_scales": "*bf16"}
    types |= {"table": "*fp32", "sinks": "*bf16", "slopes": "*fp32", "scale": "fp32", "cap": "fp32"}
    names = (
        "window", "chunk", "key_page", "value_page", "key_scale_page", "value_scale_page", "rows",
    )  # fmt: skip
    return types | dict.fromkeys(names, "i32")


def compiled(case: Case, target: int) -> Compiled:
    """Raises what Triton raises where it refuses a kernel."""
    import triton
    from triton import knobs
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = case.kernel.arg_names
    whole = ("n", "columns", "part_rows", "key_page", "value_page")
    aligned = {
        (names.index(name),): [["tt.divisibility", 16]]
        for name, kind in case.types.items()
        if kind[0] == "*" or name in whole
    }
    signature = case.types | dict.fromkeys(case.constants, "constexpr")
    source = ASTSource(
        fn=case.kernel, signature=signature, constexprs=case.constants, attrs=aligned
    )
    options = {"num_warps": case.warps, "num_stages": 3, "enable_fp_fusion": case.fused}
    started = time.perf_counter()
    made = triton.compile(source, target=GPUTarget("cuda", target, 32), options=options)
    seconds = time.perf_counter() - started
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        tool = [knobs.nvidia.cuobjdump.path, "--dump-resource-usage", file.name]
        text = subprocess.run(tool, capture_output=True, text=True, check=True).stdout
    usage = {key: int(value) for key, value in re.findall(r"\b(REG|STACK|LOCAL):(\d+)", text)}
    found = sorted(set(MATRIX.findall(made.asm["ptx"])))
    return Compiled(
        case.name, f"sm_{target}", usage["REG"], usage["LOCAL"] + usage["STACK"],
        made.metadata.shared, " ".join(each.replace("sync.aligned.", "") for each in found),
        round(seconds, 1),
    )  # fmt: skip


def everything(*, full: bool) -> list[Compiled]:
    """full: for each target all; else some for each, and the others for the oldest."""
    done = []
    for target in TARGETS:
        for case in cases(target):
            if full or case.everywhere or target == TARGETS[0]:
                done.append(compiled(case, target))
                print(done[-1], file=sys.stderr)
    return done


def shown(made: list[Compiled]) -> str:
    """As the table of docs/cuda.md has it."""
    by_kernel: dict[str, dict[str, Compiled]] = {}
    for each in made:
        by_kernel.setdefault(each.kernel, {})[each.target] = each
    targets = [f"sm_{target}" for target in TARGETS]
    lines = [f"| kernel | {' | '.join(targets)} | instruction |", "|---|" + "---|" * 4]
    for kernel, found in by_kernel.items():
        cells = []
        for each in (found[target] for target in targets):
            spilled = f", {each.spilled} spilled" if each.spilled else ""
            cells.append(f"{each.registers}, {-(-each.shared // 1024)} KiB{spilled}")
        matrix = {each.matrix for each in found.values()}
        lines.append(f"| {kernel} | {' | '.join(cells)} | {', '.join(sorted(matrix)) or '-'} |")
    return "\n".join(lines) + "\n"


def read_table(page: str) -> dict[tuple[str, str], tuple[int, int, int, str]]:
    """Of each kernel and target: registers, KiB of shared memory, bytes spilled, instruction."""
    known = {}
    for line in page.splitlines():
        if line.count("|") < len(TARGETS) + 3:
            continue
        kernel, *cells, matrix = (word.strip() for word in line.strip("|").split("|"))
        for target, cell in zip(TARGETS, cells, strict=False):
            if found := CELL.fullmatch(cell):
                registers, shared, spilled = (int(number or 0) for number in found.groups())
                known[kernel, f"sm_{target}"] = registers, shared, spilled, matrix.strip("-")
    return known


def main(arguments: Sequence[str]) -> None:
    """--table: rewrite the table; else print what was compiled as JSON."""
    os.environ.pop("TRITON_INTERPRET", None)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRITON_CACHE_DIR"] = folder  # or an older result would be told
        made = everything(full="--full" in arguments or "--table" in arguments)
    if "--table" in arguments:
        before, _, rest = PAGE.read_text().partition("| kernel | sm_80")
        _, _, after = rest.partition("\n\n")
        PAGE.write_text(f"{before}{shown(made)}\n{after}")
    print(json.dumps([asdict(each) for each in made]))


if __name__ == "__main__":
    main(sys.argv[1:])
