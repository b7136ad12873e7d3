"""`tramontane deploy`: `serve`'s options and a few of its own to replicas and their router."""

from __future__ import annotations

from tramontane_plugin_server.listen import listening
from tramontane_plugin_server.serve import add_option, parser_of, settings_of
from tramontane_plugin_server.settings import Settings

from .deploy_settings import DeploySettings, deploy_settings, router_settings
from .plugin import DEPLOY

EXAMPLES = """\
examples:
  tramontane deploy org/name --replicas 4                   four replicas, at 127.0.0.1:1234
  tramontane deploy model.gguf --replicas 2 --max-replicas 8 --cpus 4
  tramontane deploy org/name --ray-address auto --gpus 1 --host 0.0.0.0 --api-key-file keys.txt
Options of `serve` are here too: of its address, keys and log for the one address, of models for
each replica. SIGHUP replaces all replicas one after the other, without a lost answer.
"""


def run(argv: list[str]) -> int:
    """Deploy, and route until stopped by a signal."""
    settings, deploy = _settings(argv)
    settings.check()
    routing = router_settings(settings)
    routing.check()
    with listening(settings) as sockets:
        from tramontane_plugin_router.lifecycle import serve

        from .watching import Watching

        return serve(routing, sockets, Watching(lambda: _settings(argv)[0], deploy))


def _settings(argv: list[str]) -> tuple[Settings, DeploySettings]:
    parser = parser_of("deploy", DEPLOY, EXAMPLES)
    group = parser.add_argument_group("replicas")
    for field, info in DeploySettings.model_fields.items():
        add_option(parser if field == "replicas" else group, field, info)
    options = vars(parser.parse_args(argv))
    own = {name: options.pop(name) for name in DeploySettings.model_fields}
    given = {name: value for name, value in own.items() if value is not None}
    return settings_of(parser, options), deploy_settings(given)
