"""`python -m tramontane_plugin_mistralrs SCRIPT`: run a script that imports mistralrs."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from .as_mistralrs import install


def main(arguments: list[str]) -> int:
    """Run the script with the rest of the arguments."""
    if not arguments or not Path(arguments[0]).is_file():
        sys.stderr.write("usage: python -m tramontane_plugin_mistralrs SCRIPT [ARGUMENTS]\n")
        return 2
    install()
    sys.argv = arguments
    sys.path[0] = str(Path(arguments[0]).resolve().parent)
    runpy.run_path(arguments[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
