"""How many replicas, where, and what of `serve`'s settings is the router's and what is theirs."""

from __future__ import annotations

import os
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tramontane.errors import ConfigError
from tramontane.problems import first_problem
from tramontane_plugin_router.settings import RouterSettings
from tramontane_plugin_server.model_settings import Count, Seconds
from tramontane_plugin_server.settings import Settings

ADDRESS = "RAY_ADDRESS"
THEIRS: dict[str, Any] = {
    "port": 0, "uds": None, "api_key": (), "api_key_file": None, "admin_key_file": None,
    "open_path": (), "cors_origin": (), "tls_cert": None, "tls_key": None, "access_log": "off",
    "metrics_by_key": False, "log_file": None,
}  # fmt: skip
"""What replicas have instead of the router's settings."""


class DeploySettings(BaseModel):
    """Every field is an option of `tramontane deploy`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    replicas: Count = Field(2, description="how many, at least")
    max_replicas: Count | None = Field(
        None, description="how many at most, by load (default: as --replicas)"
    )
    scale_at: Count = Field(
        16, description="requests per replica at once that more replicas are started for"
    )
    scale_down_after: Seconds = Field(
        300.0, description="seconds that fewer must be enough before one is stopped"
    )
    cpus: Count | None = Field(
        None, description="cores of a replica; default: a fair share of this machine's"
    )
    gpus: float = Field(0.0, ge=0, le=1024, description="GPUs of a replica")
    ray_address: str | None = Field(
        None,
        description=f"a cluster that this machine is part of: auto, or HOST:PORT; also {ADDRESS} "
        "in the environment; default: Ray is started on this machine only",
    )
    ray_name: str = Field(
        "tramontane",
        pattern="^[a-z0-9][a-z0-9-]{0,40}$",
        description="what the replicas are called there",
    )

    @property
    def most(self) -> int:
        """The upper limit."""
        return self.max_replicas or self.replicas

    @property
    def cluster(self) -> str | None:
        """The cluster's address; None: this machine."""
        return self.ray_address or os.environ.get(ADDRESS) or None

    def cores(self) -> int:
        """Of a replica."""
        if self.cpus is not None or self.cluster:
            return self.cpus or 1
        return max(1, (os.cpu_count() or 1) // self.most)


def deploy_settings(given: dict[str, Any]) -> DeploySettings:
    """Checked. Raises ConfigError."""
    try:
        settings = DeploySettings.model_validate(given)
    except ValidationError as error:
        problem = first_problem(error)
        option = "--" + str(problem.path[0]).replace("_", "-")
        raise ConfigError(problem.about(option)) from error
    if settings.most < settings.replicas:
        raise ConfigError(
            f"--max-replicas {settings.max_replicas} is less than --replicas {settings.replicas}"
        )
    return settings


def router_settings(settings: Settings) -> RouterSettings:
    """The router's part of `serve`'s settings."""
    same = RouterSettings.model_fields.keys() & Settings.model_fields.keys()
    found = {name: getattr(settings, name) for name in same}
    busy = max(model.max_seqs for model in settings.models)
    return RouterSettings(**found, busy=busy, patience=settings.request_timeout)


def replica_settings(settings: Settings, deploy: DeploySettings) -> Settings:
    """What each replica serves with; where it listens and its key are added there."""
    models = settings.models
    if not deploy.cluster or deploy.cpus is not None:
        models = tuple(
            model if model.threads else model.model_copy(update={"threads": deploy.cores()})
            for model in models
        )
    return settings.model_copy(update={**THEIRS, "admin_key": (), "models": models})
