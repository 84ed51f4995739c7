"""What clients ask of the API, one request each, and how what it changed is changed back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.asking.house import Body, House

_PAGE = 10


def _nothing(_answer: Body) -> None:
    """Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request; ``undo`` is called with its answer, when the clock has stopped."""

    method: str
    path: str
    body: Mapping[str, object] | None = None
    undo: Callable[[Body], object] = _nothing


Question = Callable[[House, int], Asked]
"""Makes a request for an app chosen by chance; the number is another one each time."""


def _about_an_app(path: str) -> Question:
    def ask(house: House, _number: int) -> Asked:
        app = house.any_app()
        places = {"app": app.id, "environment": app.environment_id, "handle": app.handle}
        return Asked("GET", path.format(**places, name=app.environment))

    return ask


def _last_page(house: House, _number: int) -> Asked:
    return Asked("GET", f"/apps?per_page={_PAGE}&page={house.apps // _PAGE}")


def _configure(house: House, number: int) -> Asked:
    body = {"type": "configure", "env": {"NUMBER": str(number)}}

    def cancel(operation: Body) -> None:
        house.ask("PUT", f"/operations/{operation['id']}", {"cancelled": True})

    return Asked("POST", f"/apps/{house.any_app().id}/operations", body, cancel)


def _rename(house: House, number: int) -> Asked:
    app = house.any_app()

    def back(_answer: Body) -> None:
        house.ask("PUT", f"/apps/{app.id}", {"handle": app.handle})

    return Asked("PUT", f"/apps/{app.id}", {"handle": f"renamed-{number}"}, back)


def _create(house: House, number: int) -> Asked:
    environment = house.any_app().environment_id
    return Asked("POST", f"/accounts/{environment}/apps", {"handle": f"new-{number}"})


QUESTIONS: dict[str, Question] = {
    "`/accounts`": _about_an_app("/accounts"),
    "`/find/account`": _about_an_app("/find/account?handle={name}"),
    "`/find/app`, with its environment": _about_an_app(
        "/find/app?handle={handle}&environment={name}"
    ),
    "`/find/app`, by handle alone": _about_an_app("/find/app?handle={handle}"),
    "`/apps`, the first page": _about_an_app(f"/apps?per_page={_PAGE}"),
    "`/apps`, the last page": _last_page,
    "`/accounts/N/apps`, a page": _about_an_app(f"/accounts/{{environment}}/apps?per_page={_PAGE}"),
    "`/apps/N`": _about_an_app("/apps/{app}"),
    "`/apps/N/operations`": _about_an_app("/apps/{app}/operations"),
    "`/apps/N/services`": _about_an_app("/apps/{app}/services"),
    "`/apps/N/releases`": _about_an_app("/apps/{app}/releases"),
    "`/apps/N/vhosts`": _about_an_app("/apps/{app}/vhosts"),
    "`/configurations/N`": _about_an_app("/configurations/{app}"),
    "`/images/N`": _about_an_app("/images/{app}"),
    "an operation is POSTed": _configure,
    "an app is renamed": _rename,
    "an app is created": _create,
}
"""In the order they are asked; what leaves apps behind comes last."""
