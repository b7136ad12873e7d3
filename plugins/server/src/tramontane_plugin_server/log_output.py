"""Where a server's warnings and its lines of access go."""

from __future__ import annotations

import logging
import logging.handlers
from collections.abc import Sequence
from pathlib import Path

from tramontane.errors import ConfigError

LOGGERS = ("tramontane", "tramontane_plugin_server", "uvicorn.error")


def log_to(path: Path | None, style: str, loggers: Sequence[str] = LOGGERS) -> logging.Handler:
    """Warnings of the server and lines of access, to one place. A full disk stops nobody.

    path: None: standard error. style: of the lines of access, text, json or off. Raises
    ConfigError.
    """
    handler: logging.Handler = logging.StreamHandler()
    if path is not None:
        try:
            # opens its file again once that was moved away
            handler = logging.handlers.WatchedFileHandler(path)
        except OSError as error:
            raise ConfigError(f"cannot write to {path}: {error.strerror}") from error
    logging.raiseExceptions = False  # what cannot be logged is lost, and no request with it
    plain = "%(message)s" if style == "json" else "%(asctime)s %(message)s"
    handler.setFormatter(logging.Formatter(plain))
    for name in loggers:
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        logger.addHandler(handler)
        logger.propagate = False
    logging.getLogger("tramontane.access").setLevel(logging.INFO)
    return handler
