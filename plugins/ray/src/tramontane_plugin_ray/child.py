"""`python -m tramontane_plugin_ray.child`: a server whose settings come through standard input.

It stops, as by SIGTERM, when standard input ends: whoever started it is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading


def main() -> int:
    """Serve until stopped."""
    told = json.loads(sys.stdin.buffer.readline())
    with contextlib.suppress(OSError):  # another machine may not have the folder
        os.chdir(told["folder"])
    threading.Thread(target=_stop_with_parent, daemon=True).start()

    from tramontane.errors import TramontaneError
    from tramontane_plugin_server.listen import listening
    from tramontane_plugin_server.settings import Settings

    try:
        settings = Settings.model_validate_json(told["settings"])
        settings.check()
        with listening(settings) as sockets:
            from tramontane_plugin_server.lifecycle import serve

            return serve(settings, sockets)
    except TramontaneError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


def _stop_with_parent() -> None:
    while os.read(0, 4096):  # the buffered reader would be locked when the interpreter ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
