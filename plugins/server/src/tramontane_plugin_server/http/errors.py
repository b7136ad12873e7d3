"""Errors as HTTP responses, in the form of the API of the request."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Scope
from tramontane.errors import (
    EngineBusy,
    ModelLost,
    NoTemplate,
    NotEnoughMemory,
    PluginNotInstalled,
    RequestError,
    TemplateError,
    TramontaneError,
)
from tramontane.problems import ABSENT, first_problem
from tramontane.sanitize import one_line

KINDS = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
    404: "not_found_error", 405: "invalid_request_error", 408: "timeout_error",
    409: "conflict_error", 413: "request_too_large", 415: "invalid_request_error",
    429: "rate_limit_error", 500: "api_error", 501: "not_supported_error",
    503: "overloaded_error", 504: "timeout_error",
}  # fmt: skip


LOG = "the server's log has the reason"
log = logging.getLogger(__name__)


class ApiError(TramontaneError):
    """Something to answer with a status. param: the field that is to blame."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """details: what Anthropic's clients look at beside the message."""
        super().__init__(message)
        self.status, self.param, self.code, self.retry_after = status, param, code, retry_after
        self.details = details

    @property
    def kind(self) -> str:
        return KINDS.get(self.status, "api_error")


def api_error(error: Exception) -> ApiError:
    """What to answer when this was raised.

    Hints are left out: they name options, Python arguments and packages, which clients do not have.
    What is wrong with the server's own files goes into its log.
    """
    match error:
        case ApiError():
            return error
        case ModelLost():
            return ApiError(503, error.message, code="model_lost")
        case EngineBusy():
            return ApiError(429, error.message, code="queue_full", retry_after=error.seconds)
        case RequestError() if "the context" in str(error):
            return ApiError(400, error.message, code="context_length_exceeded")
        case NoTemplate():
            return ApiError(
                400, "this model has no chat template, so it cannot be chatted with; it continues"
                " plain texts at /v1/completions", param="model", code="no_chat_template",
            )  # fmt: skip
        case RequestError() | TemplateError() | PluginNotInstalled():
            return ApiError(400, error.message)
        case NotEnoughMemory():
            log.error("%s", error)
            return ApiError(503, f"the model needs more memory than is free; {LOG}")
        case HTTPException():
            return ApiError(error.status_code, _message(error))
        case RequestValidationError():
            return _invalid(error)
        case TramontaneError():  # about files and settings: for the server's owner
            log.error("%s", error)
    return ApiError(500, f"the server failed; {LOG}")


def anthropic(scope: Scope) -> bool:
    """Whether a request is one of Anthropic's API; the paths of models are of both."""
    path = scope["path"]
    if path.startswith("/v1/models"):
        return any(name == b"anthropic-version" for name, _ in scope["headers"])
    return bool(path.startswith("/v1/messages"))


def error_body(error: ApiError, *, anthropic: bool) -> dict[str, Any]:
    """The JSON of an error, in Anthropic's form or OpenAI's."""
    if anthropic:
        kind = "overloaded_error" if error.status in (429, 503) else error.kind
        kind = "rate_limit_error" if error.status == 429 else kind
        details = {} if error.details is None else {"details": error.details}
        return {"type": "error", "error": {"type": kind, "message": str(error), **details}}
    shown = {"message": str(error), "type": error.kind, "param": error.param, "code": error.code}
    return {"error": shown}


def answer(error: Exception, scope: Scope) -> JSONResponse:
    """The HTTP response."""
    found = api_error(error)
    headers = {}
    if found.retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(found.retry_after)))
    if found.status == 401:
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, HTTPException) and error.headers:
        headers |= dict(error.headers)
    return JSONResponse(error_body(found, anthropic=anthropic(scope)), found.status, headers)


async def handle(request: Request, error: Exception) -> JSONResponse:
    """FastAPI's handler of every error that we know."""
    return answer(error, request.scope)


def _message(error: HTTPException) -> str:
    if error.status_code == 404:
        return "there is nothing at this path; /docs lists the paths"
    if error.status_code == 405:
        return "this path does not accept this method; /docs lists the methods"
    return str(error.detail)


def _invalid(error: RequestValidationError) -> ApiError:
    """The first problem of a body, with the field's name and value."""
    errors = error.errors()
    first = errors[0]
    kind, *_ = first["loc"]
    if first["type"] == "json_invalid":
        return ApiError(400, f"the body is not JSON: {first.get('ctx', {}).get('error', '')}")
    if kind == "body" and isinstance(error.body, bytes) and error.body:
        return ApiError(415, "a body needs the header 'content-type: application/json'")
    of_body: Any = [{**one, "loc": one["loc"][1:]} for one in errors if one["loc"][0] == kind]
    problem = first_problem(of_body, error.body if kind == "body" else None)
    name = one_line(".".join(map(str, problem.path)))
    if "param" in problem.context:  # a validator's own words, which name the field
        param = ".".join(filter(None, [name, problem.context["param"]]))
        message = f"{name}: {problem.words}" if name else problem.words
        code = problem.context["code"]
        return ApiError(400, message, param=param, code=code, details=_details(param))
    if problem.kind == "extra_forbidden":
        return ApiError(
            400, f"unknown parameter {name!r}: not supported; "
            "/docs lists the supported ones", param=name, code="unknown_parameter",
        )  # fmt: skip
    code = _code(problem.kind)
    if name:
        return ApiError(400, problem.about(name), param=name, code=code)
    rule = problem.kind == "value_error"  # of several fields, which it names
    return ApiError(400, problem.words if rule else f"the body {problem.words}", code=code)


def _code(kind: str) -> str:
    """What OpenAI calls a problem of pydantic's."""
    if kind in ABSENT:
        return "missing_required_parameter"
    return "invalid_type" if kind.endswith("_type") else "invalid_value"


def _details(param: str) -> dict[str, Any] | None:
    """What lets Anthropic's client go on without threads, which it asks for by itself."""
    if param != "thread":
        return None
    return {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
