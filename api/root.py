"""The root: where the collections are."""

from __future__ import annotations

from fastapi import APIRouter

from api import shapes
from api.call import Open
from api.hal import Resource

router = APIRouter(tags=["root"])


@router.get("/", response_model=shapes.Root)
def show_root(house: Open) -> Resource:
    """Link to the collections; open, since clients begin here before they log in."""
    links = house.links.hal(
        self=[""],
        accounts=["accounts"],
        apps=["apps"],
        stacks=["stacks"],
        organizations=["organizations"],
        reauthenticate_organizations=["reauthenticate_organizations"],
        tokens=["tokens"],
    )
    return {"_links": links}
