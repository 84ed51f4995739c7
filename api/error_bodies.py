"""Errors as clients read them: always a JSON object with ``code``, ``error`` and ``message``."""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Route

from api.asker import asker
from enclave.errors import (
    AttendantsAway,
    EnclaveError,
    NotFound,
    StoreRefused,
    StoreUnavailable,
    TooManyRequests,
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


def install_error_bodies(api: FastAPI, routers: Sequence[APIRouter]) -> None:
    """Give every error that a route of these routers can end with its body."""
    routes = [route for router in routers for route in router.routes if isinstance(route, Route)]

    def http_error(request: Request, error: HTTPException) -> JSONResponse:
        return _http_error(error, _methods(routes, request.url.path))

    api.exception_handler(EnclaveError)(_enclave_error)
    api.exception_handler(RequestValidationError)(_validation_error)
    api.exception_handler(ResponseValidationError)(_shape_error)
    api.exception_handler(HTTPException)(http_error)


def _enclave_error(request: Request, error: EnclaveError) -> JSONResponse:
    if isinstance(error, StoreUnavailable):
        _LOG.error("%s", error)
        message = _later(error) if isinstance(error, StoreRefused) else _LATER
        return error_response(error.status, error.code, message)
    if error.status >= 500 and not isinstance(error, AttendantsAway):
        return internal_error(error, f"{request.method} {request.url.path}")
    headers = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
        try:
            _count(request, error)
        except TooManyRequests as too_many:
            return _enclave_error(request, too_many)
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(math.ceil(error.seconds))
    # What does not exist and what may not be seen are told in the same words (invariant 7).
    message = _UNKNOWN if isinstance(error, NotFound) else str(error)
    return error_response(error.status, error.code, message, headers)


def _count(request: Request, error: Unauthenticated) -> None:
    """Count a guess, which neither an old token of ours is nor none; raises ``TooManyRequests``."""
    tried = error.code == "invalid_credentials" or "authorization" in request.headers
    if tried and error.code != "expired_token":
        asker(request).failed()


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


def _shape_error(request: Request, error: ResponseValidationError) -> JSONResponse:
    """Log where our own answer is not what ``/docs`` says; not its values, which may be secret."""
    wrong = "; ".join(f"{problem['loc']}: {problem['type']}" for problem in error.errors())
    problem = EnclaveError(f"the answer is not as documented: {wrong}")
    return internal_error(problem, f"{request.method} {request.url.path}")


def _methods(routes: Iterable[Route], path: str) -> str:
    """Return what ``Allow`` has to say of a path; Starlette names the methods of one route."""
    found = (route.methods or () for route in routes if route.path_regex.match(path))
    return ", ".join(sorted({method for methods in found for method in methods}))


def _http_error(error: HTTPException, allowed: str) -> JSONResponse:
    if error.status_code == 404:
        return error_response(404, NotFound.code, _UNKNOWN)
    phrase = HTTPStatus(error.status_code).phrase
    name = phrase.lower().replace(" ", "_").replace("-", "_")
    headers = dict(error.headers or {})
    if error.status_code == 405 and allowed:
        headers["Allow"] = allowed
    return error_response(error.status_code, name, f"{phrase}.", headers)
