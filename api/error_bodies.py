"""Errors as clients read them: always a JSON object with ``code``, ``error`` and ``message``."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from enclave.errors import (
    AttendantsAway,
    EnclaveError,
    NotFound,
    StoreRefused,
    StoreUnavailable,
    Unauthenticated,
)

_LOG = logging.getLogger("enclave.api")
_UNKNOWN = "There is no such resource, or you may not see it."
_LATER = "The store does not answer at the moment: try again in a few seconds."


def error_response(
    status: int, error: str, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return the one form that every error has."""
    body = {"code": status, "error": error, "message": message}
    return JSONResponse(body, status, headers)


def internal_error(problem: BaseException, request: str) -> JSONResponse:
    """Log the problem under a new id and return an answer that tells the id alone."""
    number = uuid.uuid4().hex[:12]
    _LOG.error("error %s at %s", number, request, exc_info=problem)
    message = f"Something went wrong here. The operators find it in the log as error {number}."
    return error_response(500, "internal_error", message)


def install_error_bodies(api: FastAPI) -> None:
    """Give every error that a route can end with its body."""
    api.exception_handler(EnclaveError)(_enclave_error)
    api.exception_handler(RequestValidationError)(_validation_error)
    api.exception_handler(HTTPException)(_http_error)


def _enclave_error(request: Request, error: EnclaveError) -> JSONResponse:
    if isinstance(error, StoreUnavailable):
        _LOG.error("%s", error)
        message = _later(error) if isinstance(error, StoreRefused) else _LATER
        return error_response(error.status, error.code, message)
    if error.status >= 500 and not isinstance(error, AttendantsAway):
        return internal_error(error, f"{request.method} {request.url.path}")
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthenticated) else None
    # What does not exist and what may not be seen are told in the same words (invariant 7).
    message = _UNKNOWN if isinstance(error, NotFound) else str(error)
    return error_response(error.status, error.code, message, headers)


def _later(refused: StoreRefused) -> str:
    """Say what is wrong with the store; such an error quotes nothing of it."""
    why = str(refused)
    return f"{why[:1].upper()}{why[1:]}: try again later, or tell the server's operator."


def _validation_error(_request: Request, error: RequestValidationError) -> JSONResponse:
    """Name the fields that are wrong; never their values, which may be secret."""
    problems = error.errors()
    if any(problem["loc"][0] == "path" for problem in problems):
        return error_response(404, NotFound.code, _UNKNOWN)
    told = "; ".join(
        ": ".join([".".join(str(part) for part in problem["loc"][1:]) or "body", problem["msg"]])
        for problem in problems
    )
    return error_response(422, "unprocessable_entity", f"The request cannot be taken: {told}")


def _http_error(_request: Request, error: HTTPException) -> JSONResponse:
    if error.status_code == 404:
        return error_response(404, NotFound.code, _UNKNOWN)
    phrase = HTTPStatus(error.status_code).phrase
    name = phrase.lower().replace(" ", "_").replace("-", "_")
    return error_response(error.status_code, name, f"{phrase}.", error.headers)
