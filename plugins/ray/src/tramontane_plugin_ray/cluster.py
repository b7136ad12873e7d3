"""Ray and Ray Serve: the replicas of one application, placed, watched, scaled and replaced."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

from tramontane.errors import ConfigError, TramontaneError
from tramontane_plugin_server.settings import Settings

from .deploy_settings import DeploySettings, replica_settings, version_of

log = logging.getLogger(__name__)
INSTALL = "deploying needs Ray: pip install 'tramontane-plugin-ray[ray]'"
HEALTH = 5.0
"""Seconds between Ray's looks at a replica."""


class RayCluster:
    """Connects, or starts Ray on this machine. Raises TramontaneError."""

    def __init__(self, deploy: DeploySettings) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
            from ray import serve
        except ImportError as error:
            raise ConfigError(INSTALL) from error
        from .registry import Registry
        from .replica_actor import NAMESPACE

        self._ray: Any = ray
        self._serve: Any = serve
        self._deploy = deploy
        self._lock = threading.Lock()
        more: dict[str, Any] = {"address": deploy.cluster}
        if deploy.cluster is None:
            cores = max(os.cpu_count() or 1, deploy.cores() * deploy.most)
            more = {"address": "local", "num_cpus": cores, "include_dashboard": False,
                    "object_store_memory": 100 << 20}  # fmt: skip
        try:
            ray.init(namespace=NAMESPACE, logging_level=logging.WARNING, **more)
            serve.start(proxy_location="Disabled")
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            raise ConfigError(f"Ray does not start: {error}") from error
        self.registry_name = f"tramontane-replicas-{deploy.ray_name}"
        self._registry = (
            ray.remote(Registry)
            .options(name=self.registry_name, lifetime="detached", get_if_exists=True, num_cpus=0)
            .remote()
        )

    def run(self, settings: Settings, count: int, generation: int) -> None:
        """Have so many replicas with these settings, and wait until they are there. Those of
        another generation, or other settings, are replaced one after the other, each once its
        answers have ended. Raises TramontaneError.
        """
        deploy = self._deploy
        of_replicas = replica_settings(settings, deploy)
        from .replica_actor import ReplicaActor

        deployment = self._serve.deployment(ReplicaActor).options(
            name="replica",
            version=f"{version_of(of_replicas, deploy)}-{generation}",
            num_replicas=count,
            ray_actor_options={"num_cpus": deploy.cores(), "num_gpus": deploy.gpus},
            health_check_period_s=HEALTH,
            health_check_timeout_s=30,
            graceful_shutdown_wait_loop_s=0.1,
            graceful_shutdown_timeout_s=settings.shutdown_timeout + 15,
            max_constructor_retry_count=2,
        )
        application = deployment.bind(
            of_replicas.model_dump_json(), self.registry_name, os.getcwd(),
            local=deploy.cluster is None,
        )  # fmt: skip
        try:
            with self._lock:
                self._serve.run(application, name=deploy.ray_name, route_prefix=None)
        except RuntimeError as error:
            raise TramontaneError(f"the replicas do not start: {self._why() or error}") from error

    def listing(self) -> dict[str, str]:
        """The replicas by address, with their keys; those that have loaded.

        Raises TramontaneError.
        """
        try:
            found: dict[str, str] = self._ray.get(self._registry.listing.remote(), timeout=10)
        except self._ray.exceptions.RayError as error:
            raise TramontaneError(f"Ray does not say where the replicas are: {error}") from error
        return found

    def stop(self) -> None:
        """End the replicas; where Ray was started here, Ray too."""
        try:
            self._serve.delete(self._deploy.ray_name)
            self._ray.kill(self._registry)
            if self._deploy.cluster is None:
                self._serve.shutdown()
        finally:
            self._ray.shutdown()

    def _why(self) -> str:
        """What Serve knows about replicas that do not start, without its trace."""
        app = self._serve.status().applications.get(self._deploy.ray_name)
        for one in app.deployments.values() if app else ():
            lines = [line.strip() for line in one.message.splitlines() if "RuntimeError: " in line]
            if lines:
                return str(lines[-1].partition("RuntimeError: ")[2])
        return ""
