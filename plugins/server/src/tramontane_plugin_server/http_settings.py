"""Settings of what answers HTTP, a server or a router: address, keys, TLS, limits and log."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator
from tramontane.errors import ConfigError

from .key_files import Key, keys_of
from .model_settings import Count, Seconds

OpenPath: TypeAlias = Literal["/ready", "/metrics", "/docs", "/openapi.json"]


class HttpSettings(BaseModel):
    """Every field is an option."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="address to listen at; 0.0.0.0: all addresses")
    port: int = Field(1234, ge=0, le=65535, description="0: any free one")
    uds: Path | None = Field(None, description="listen at this Unix socket instead of a port")
    uds_mode: str = Field(
        "600",
        pattern="^0?[0-7]{3}$",
        description="permissions of the socket file, octal; 660: its group may connect too",
    )
    address_file: Path | None = Field(
        None, description="write the address there while it listens, for health checks"
    )
    api_key: tuple[str, ...] = Field((), description="a key that clients must send; repeatable")
    api_key_file: Path | None = Field(
        None, description="keys, one per line: KEY, or NAME: KEY and limits"
    )
    admin_key: tuple[str, ...] = Field(
        (), description="a key that may also load and unload models; repeatable"
    )
    admin_key_file: Path | None = Field(
        None, description="admin keys, in the form of --api-key-file"
    )
    open_path: tuple[OpenPath, ...] = Field(
        (), description="needs no key: /ready, /metrics, /docs or /openapi.json; repeatable"
    )
    allowed_host: tuple[str, ...] = Field(
        (), description="name that clients may call a server without keys by; repeatable"
    )
    cors_origin: tuple[str, ...] = Field(
        (), description="allow web pages of this origin (CORS); repeatable, *: all"
    )
    tls_cert: Path | None = Field(None, description="certificate chain, PEM")
    tls_key: Path | None = Field(None, description="private key of the certificate, PEM")
    max_body: Count = Field(8 << 20, description="bytes of a request's body")
    body_timeout: Seconds = Field(30.0, description="seconds for a body to arrive")
    send_timeout: Seconds = Field(60.0, description="seconds for a client to take what is sent")
    shutdown_timeout: Seconds = Field(
        30.0, description="seconds for running answers to finish at shutdown"
    )
    access_log: Literal["text", "json", "off"] = Field("text", description="log a line per request")
    metrics_by_key: bool = Field(
        False, description="count requests by the names of API keys in /metrics"
    )
    log_file: Path | None = Field(None, description="file for the log; default: stderr")

    @model_validator(mode="after")
    def _tls_whole(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together")
        return self

    def keys(self) -> frozenset[Key]:
        """All API keys, as options and files have them now. Raises ConfigError."""
        return keys_of(self.api_key, self.api_key_file)

    def admin_keys(self) -> frozenset[Key]:
        """All admin keys likewise. Raises ConfigError."""
        return keys_of(self.admin_key, self.admin_key_file)

    def check(self) -> None:
        """Read what is named here and is needed at the start. Raises ConfigError."""
        self.keys()
        self.admin_keys()
        self._check_files("tls_cert", "tls_key")

    def _check_files(self, *names: str) -> None:
        for name in names:
            path: Path | None = getattr(self, name)
            if path is not None and not path.is_file():
                raise ConfigError(f"{name}: there is no file {path}")
