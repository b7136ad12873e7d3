"""Errors as HTTP answers, in the shape of the API that was asked."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from tramontane.errors import (
    EngineBusy,
    NotEnoughMemory,
    PluginNotInstalled,
    RequestError,
    TemplateError,
    TramontaneError,
)
from tramontane.one_line import one_line
from tramontane.problems import first_problem

KINDS = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
    404: "not_found_error", 405: "invalid_request_error", 408: "timeout_error",
    409: "conflict_error", 413: "request_too_large", 415: "invalid_request_error",
    429: "rate_limit_error", 500: "api_error", 501: "not_supported_error",
    503: "overloaded_error", 504: "timeout_error",
}  # fmt: skip


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
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code, self.retry_after = status, param, code, retry_after

    @property
    def kind(self) -> str:
        return KINDS.get(self.status, "api_error")


def api_error(error: Exception) -> ApiError:
    """What to answer when this was raised."""
    match error:
        case ApiError():
            return error
        case EngineBusy():
            return ApiError(429, str(error), code="queue_full", retry_after=error.seconds)
        case RequestError() if "the context" in str(error):
            return ApiError(400, str(error), code="context_length_exceeded")
        case RequestError() | TemplateError() | PluginNotInstalled():
            return ApiError(400, str(error))
        case NotEnoughMemory():
            return ApiError(503, str(error))
        case HTTPException():
            return ApiError(error.status_code, _said(error))
        case RequestValidationError():
            return _invalid(error)
        case TramontaneError():
            return ApiError(500, str(error))
    return ApiError(500, "the server failed; its log says more")


def body(error: ApiError, path: str) -> dict[str, Any]:
    """The JSON of an error, as the API at `path` has it."""
    if path.startswith("/v1/messages"):
        kind = "overloaded_error" if error.status in (429, 503) else error.kind
        kind = "rate_limit_error" if error.status == 429 else kind
        return {"type": "error", "error": {"type": kind, "message": str(error)}}
    told = {"message": str(error), "type": error.kind, "param": error.param, "code": error.code}
    return {"error": told}


def answer(error: Exception, path: str) -> JSONResponse:
    """The whole answer."""
    found = api_error(error)
    headers = {}
    if found.retry_after is not None:
        headers["retry-after"] = str(max(1, round(found.retry_after)))
    if found.status == 401:
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, HTTPException) and error.headers:
        headers |= dict(error.headers)
    return JSONResponse(body(found, path), found.status, headers)


async def handle(request: Request, error: Exception) -> JSONResponse:
    """FastAPI's handler of every error that we know."""
    return answer(error, request.url.path)


def _said(error: HTTPException) -> str:
    if error.status_code == 404:
        return "there is nothing at this path; /docs lists what there is"
    if error.status_code == 405:
        return "this path does not take this method; /docs lists what it takes"
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
    if problem.kind == "extra_forbidden":
        return ApiError(
            400, f"unknown parameter {name!r}: it is not honoured here, so it is refused; "
            "/docs lists what is", param=name, code="unknown_parameter",
        )  # fmt: skip
    if name:
        return ApiError(400, problem.about(name), param=name)
    rule = problem.kind == "value_error"  # of several fields, which it names
    return ApiError(400, problem.words if rule else f"the body {problem.words}")
