"""`./dev pages`: write again every page that is made from the code.

A test holds each of them to the code, and names this command.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests import test_readme

ROOT = Path(__file__).parents[1]
PAGES: tuple[tuple[str, ...], ...] = (
    ("tramontane.testing.catalog", "."),
    ("tramontane.testing.cli_page", "docs/cli.md"),
    ("tramontane.testing.blocks_page", "docs/blocks.md", "docs/writing-a-sampler.md"),
    ("tramontane_quant_gguf.names_page", "docs/writing-an-architecture.md"),
    ("tramontane_backend_cpu.step.torch_ops", "docs/writing-an-architecture.md"),
    ("tramontane_plugin_mistralrs.page", "docs/mistralrs.md"),
    ("tests.adr_index",),
    ("tests.parity.code_size", "--write"),
)
"""Modules that write pages, with their arguments."""
PRINTED = {"docs/api.md": "tramontane_plugin_server.description"}
"""Pages with the modules that print them."""


def write_readme(page: Path) -> None:
    """Replace the rows of the table of distributions, and the list of families."""
    lines = page.read_text("utf-8").splitlines()
    families = sorted(path.parent.name for path in ROOT.glob("arch/*/pyproject.toml"))
    listed = ", ".join(f"`{name}`" for name in families)
    (place,) = (at for at, line in enumerate(lines) if line.startswith("| `arch/` |"))
    lines[place] = f"| `arch/` | one model family per folder: {listed} |"
    rows = [at for at, line in enumerate(lines) if test_readme.is_row(line)]
    lines[rows[0] : rows[-1] + 1] = test_readme.lines()
    page.write_text("\n".join(lines) + "\n", "utf-8")


def main() -> int:
    """Write all; 1 where one could not be written, which is then as it was."""
    write_readme(ROOT / "README.md")
    failed = []
    for module, *arguments in PAGES:
        if subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT).returncode:
            failed.append(module)
    for page, module in PRINTED.items():
        done = subprocess.run([sys.executable, "-m", module], cwd=ROOT, stdout=subprocess.PIPE)
        if done.returncode:
            failed.append(module)
        else:
            (ROOT / page).write_bytes(done.stdout)
    for module in failed:
        print(f"not written: python -m {module}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
