"""HAL as schemas: what ``/docs`` says of links, of pages, and of errors."""

from __future__ import annotations

from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, create_model
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

NDJSON = "application/x-ndjson"
"""One JSON object a line: what a stream of events is."""

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""ISO 8601, UTC."""


class Link(BaseModel):
    """Where something is, under the root of the API."""

    href: str


class Linked:
    """Names the links of a resource in its schema: those that are ``always`` there, and others."""

    def __init__(self, *always: str, maybe: tuple[str, ...] = ()) -> None:
        self._always, self._maybe = always, maybe

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Add the names to what is said of every object of links."""
        links = handler(schema)
        one = links["additionalProperties"]
        names = dict.fromkeys((*self._always, *self._maybe), one)
        return {**links, "properties": names, "required": list(self._always)}


Links = dict[str, Link]


class Shape(BaseModel):
    """A JSON object of ours."""

    model_config = ConfigDict(extra="allow", use_enum_values=True)


class Error(BaseModel):
    """Every error: ``code`` is HTTP's, ``error`` is for programs, ``message`` for a person."""

    code: int
    error: str
    message: str


class Collection(Shape):
    """One page. POST to the self link creates, where the collection can be created in."""

    total_count: int
    per_page: int
    current_page: int
    links: Annotated[Links, Linked("self", maybe=("next",))] = Field(alias="_links")


def pages_of(key: str, shape: type[Shape]) -> type[Collection]:
    """Return the shape of a page of ``shape``, embedded as ``key``."""
    name = "".join(word.title() for word in key.split("_"))
    embedded = create_model(
        f"Embedded{name}", **cast(Any, {key: (list.__class_getitem__(shape), ...)})
    )
    fields = {"embedded": (embedded, Field(alias="_embedded"))}
    page: type[Collection] = create_model(name, __base__=Collection, **cast(Any, fields))
    return page


def _refusal(text: str) -> dict[str, Any]:
    # A route that answers with text refuses in JSON, too: FastAPI's ``model`` would say otherwise.
    schema = {"$ref": "#/components/schemas/Error"}
    return {"description": text, "content": {"application/json": {"schema": schema}}}


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: _refusal("The request is no HTTP or no JSON that can be read."),
    401: _refusal("The token, or the password, is missing, wrong, expired or revoked."),
    403: _refusal("You may see it, but not do this."),
    404: _refusal("There is no such resource, or you may not see it."),
    409: _refusal("It exists already, is ambiguous, or was changed meanwhile."),
    413: _refusal("The body is too large."),
    422: _refusal("What was asked for cannot be; the message says what to mend."),
    429: _refusal("Too much at a time: try again later."),
    503: _refusal("The store does not answer at the moment: try again."),
}
"""How any route may refuse a request."""
