"""`tramontane route`: options to settings, settings to a router."""

from __future__ import annotations

import argparse
import os

from tramontane.cli.parser import Parser
from tramontane.errors import UsageError
from tramontane_plugin_server.listen import listening
from tramontane_plugin_server.serve import KEY, add_option

from .plugin import ROUTE
from .settings import RouterSettings, settings_of

EXAMPLES = f"""\
examples:
  tramontane serve -m model.gguf --port 8001        in one terminal, and with --port 8002 in another
  tramontane route --to http://127.0.0.1:8001 --to http://127.0.0.1:8002
  tramontane route --replicas-file replicas.txt --host 0.0.0.0 --api-key-file keys.txt
{KEY} in the environment is a key too. GET /replicas says how each replica is.
"""
SHOWN = ("to", "replicas_file", "replica_key_file", "busy", "stall_timeout")
"""Fields that help shows first."""


def run(argv: list[str]) -> int:
    """Route until stopped by a signal."""
    parser = _parser()
    options = vars(parser.parse_args(argv))
    options.pop("verbose")
    given = {key: value for key, value in options.items() if value is not None}
    if key := os.environ.get(KEY):
        given["api_key"] = [*given.get("api_key", ()), key]
    settings = settings_of(given)
    settings.check()
    if not settings.replicas():
        raise UsageError("name a replica: tramontane route --to http://127.0.0.1:8001")
    with listening(settings) as sockets:
        from .lifecycle import serve

        return serve(settings, sockets)


def _parser() -> Parser:
    parser = Parser(
        "tramontane route",
        description=ROUTE,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=None,
    )
    group = parser.add_argument_group("address and limits")
    for field, info in RouterSettings.model_fields.items():
        add_option(parser if field in SHOWN else group, field, info)
    return parser
