"""How a command ends: its exit status, and errors as one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from tramontane.errors import TramontaneError, UsageError


def ended(run: Callable[[], int], program: str, *, verbose: bool) -> int:
    """The exit status of a command that is run here. program: what has a --help. verbose: errors
    have a traceback."""
    try:
        return run()
    except TramontaneError as error:
        if verbose:
            import traceback

            traceback.print_exc()
        return told(error, program)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:
        # whoever read our output has gone; say nothing when Python flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def told(error: TramontaneError, program: str) -> int:
    """Print an error, and return the exit status: 1, or 2 for wrong usage, which --help helps."""
    usage = isinstance(error, UsageError)
    hint = f" ({program} --help)" if usage else ""
    print(f"error: {' '.join(str(error).split())}{hint}", file=sys.stderr)
    return 2 if usage else 1
