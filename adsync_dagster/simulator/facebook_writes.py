"""Writes as the official SDK sends them, so that it can drive a world: status, name, budget."""

from __future__ import annotations

from adsync_dagster.errors import UsageError
from adsync_dagster.simulator.entities import SimEntity
from adsync_dagster.simulator.facebook_errors import GraphError, invalid
from adsync_dagster.simulator.facebook_request import GraphRequest
from adsync_dagster.simulator.world import World


def write_entity(world: World, request: GraphRequest, entity: SimEntity) -> dict[str, bool]:
    """POST or DELETE on a campaign, ad set or ad. Needs the ads_management permission."""
    if "ads_management" not in request.token.permissions:
        raise GraphError("(#10) Requires ads_management permission", 10, http=403)
    try:
        if request.method == "DELETE":
            world.delete(entity.level, entity.id)
        else:
            _update(world, request, entity)
    except UsageError as error:
        raise invalid(str(error)) from None
    return {"success": True}


def _update(world: World, request: GraphRequest, entity: SimEntity) -> None:
    params = request.params
    if "status" in params:
        world.set_status(entity.level, entity.id, params["status"])
    if "name" in params:
        world.rename(entity.level, entity.id, params["name"])
    if "daily_budget" in params:
        if not params["daily_budget"].isdigit():
            raise invalid("Param daily_budget must be an integer in minor units")
        world.set_budget(entity.level, entity.id, int(params["daily_budget"]))
