"""What Ray Serve runs for each replica: a server in a process of its own, watched."""

from __future__ import annotations

import contextlib
from typing import Any

from tramontane_plugin_server.settings import Settings

from .server_process import ServerProcess

NAMESPACE = "tramontane"


class ReplicaActor:
    """Requests go to the server itself, past Ray: a handle costs most of a millisecond a token."""

    def __init__(self, settings: str, registry: str, folder: str, *, local: bool) -> None:
        import ray

        self._registry: Any = ray.get_actor(registry, namespace=NAMESPACE)
        host = "127.0.0.1" if local else ray.util.get_node_ip_address()
        self._server: ServerProcess | None = ServerProcess(
            Settings.model_validate_json(settings), host, folder
        )
        self._join()

    def check_health(self) -> None:
        """Ray starts another replica where this raises."""
        if self._server is not None:
            self._server.check()
            self._join()

    def __del__(self) -> None:
        server, self._server = getattr(self, "_server", None), None
        if server is not None:
            import ray

            with contextlib.suppress(Exception):  # the cluster may be going down
                ray.get(self._registry.leave.remote(server.url), timeout=5)
            server.stop()

    def _join(self) -> None:
        assert self._server is not None
        self._registry.join.remote(self._server.url, self._server.key)
