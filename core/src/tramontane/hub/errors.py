"""Turn the hub client's exceptions into one-line errors that say how to fix the problem."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tramontane.errors import DownloadError, ModelNotFound, TramontaneError
from tramontane.sanitize import one_line

from .name import HubName
from .token import Token

# the hub's client has changed its HTTP library more than once, and with it its exceptions
TRANSPORT: tuple[type[BaseException], ...] = (HfHubHTTPError.__bases__[0], ConnectionError)
FAILURES: tuple[type[BaseException], ...] = (*TRANSPORT, OSError, HFValidationError)


@dataclass(frozen=True)
class Place:
    """A request to a hub: model, revision, endpoint, cache folder and token."""

    asked: HubName
    revision: str | None
    endpoint: str
    cache: Path
    token: Token

    @property
    def page(self) -> str:
        return f"{self.endpoint}/{self.asked.repo}"


def unreachable(error: BaseException) -> bool:
    """Whether the hub did not answer, or answered with a server error."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code >= 500
    if isinstance(error, EntryNotFoundError) and error.__cause__ is not None:
        return unreachable(error.__cause__)
    return isinstance(error, TRANSPORT)


def explain(error: BaseException, place: Place) -> TramontaneError:
    """The error to raise for an exception of the hub's client."""
    if isinstance(error, HfHubHTTPError):
        return _refusal(error, place)
    if isinstance(error, EntryNotFoundError) and error.__cause__ is not None:
        return explain(error.__cause__, place)
    if isinstance(error, OfflineModeIsEnabled):
        return DownloadError(f"HF_HUB_OFFLINE is set, and {place.asked} is not whole in the cache")
    if unreachable(error):
        return DownloadError(
            f"cannot reach {place.endpoint} for {place.asked}: {reason(error)}; check the "
            "network, HTTPS_PROXY and HF_ENDPOINT; what was fetched is kept, and HF_HUB_OFFLINE=1 "
            "uses only that"
        )
    if isinstance(error, OSError):
        return _disk(error, place)
    return ModelNotFound(f"{place.asked}: {reason(error)}")


def _refusal(error: HfHubHTTPError, place: Place) -> TramontaneError:
    repo, status = place.asked.repo, error.response.status_code
    if isinstance(error, GatedRepoError):
        how = (
            f"wait for access, or use another token than that from {place.token.source}"
            if place.token.value
            else "log in with `hf auth login` or give a token with --token-source env:NAME"
        )
        return ModelNotFound(f"{repo} is gated: accept its terms at {place.page}, then {how}")
    if isinstance(error, RepositoryNotFoundError):
        how = (
            f"the token from {place.token.source} must be allowed to read it"
            if place.token.value
            else "log in with `hf auth login` or give a token with --token-source env:NAME"
        )
        return ModelNotFound(
            f"no model {repo} at {place.endpoint}, and no such folder here; check the name; "
            f"if it is private, {how}"
        )
    if isinstance(error, RevisionNotFoundError):
        return ModelNotFound(
            f"{repo} has no revision {place.revision!r}: name a branch, a tag or a commit of "
            f"{place.page}, or none for its main branch"
        )
    if isinstance(error, EntryNotFoundError):
        return ModelNotFound(f"{place.asked} is gone from {place.page}: run again")
    if isinstance(error, DisabledRepoError):
        return ModelNotFound(f"{repo} is disabled at {place.endpoint}: its page says why")
    if status == 401:
        return DownloadError(
            f"{place.endpoint} refuses the token from {place.token.source}: make another at "
            f"{place.endpoint}/settings/tokens, or use none with --token-source none"
        )
    if status == 403:
        return DownloadError(
            f"{place.endpoint} forbids {repo} to the token from {place.token.source}: it needs "
            "the permission to read"
        )
    if status == 429:
        return DownloadError(
            f"{place.endpoint} takes no more requests for now: wait some minutes, or log in with "
            "`hf auth login` for a higher limit"
        )
    return DownloadError(
        f"{place.endpoint} answers {status} to {place.asked}: try again later; what was fetched "
        "is kept"
    )


def _disk(error: OSError, place: Place) -> TramontaneError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DownloadError(
            f"the disk of {place.cache} is full; what was fetched of {place.asked} is kept: make "
            "room and run again to go on, or name a folder on another disk with --hf-cache or "
            "HF_HOME"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DownloadError(
            f"cannot write to the cache {place.cache}: {error.strerror}; name a folder "
            "of yours with --hf-cache or HF_HOME, or correct its permissions"
        )
    return DownloadError(f"cannot fetch {place.asked}: {reason(error)}; run again to go on")


def reason(error: BaseException) -> str:
    """The first line of an exception's message, or its type's name."""
    return one_line(str(error).strip().partition("\n")[0]).rstrip(".;") or type(error).__name__
