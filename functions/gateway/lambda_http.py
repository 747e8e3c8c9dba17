"""The gateway as AWS Lambda runs it: behind a function URL, API Gateway or a load balancer.

Lambda takes and gives at most 6 MB at a time. So files go into the store and results come out of
it by presigned links, which is what the gateway gives wherever the store is S3; a form with small
files still works.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from functions.gateway.app import create_app, tidy
from functions.gateway.desk import Desk
from functions.gateway.settings import GatewaySettings

LambdaHandler = Callable[[dict[str, Any], Any], Any]
"""What AWS calls: an event and a context."""

_ANYWHERE = "0.0.0.0"  # noqa: S104 -- nothing is bound; it says who can reach us
_FOLLOW_SECONDS = 20.0
"""API Gateway cuts what takes half a minute."""


def lambda_for(open_desk: Callable[[GatewaySettings], Desk]) -> LambdaHandler:
    """The gateway's `lambda_handler`; settings are read at the first request.

    A scheduled event has it tidy up, which a server does by itself from time to time.
    """

    @cache
    def opened() -> tuple[Desk, LambdaHandler]:
        from mangum import Mangum  # noqa: PLC0415 -- only where Lambda is the platform

        chosen = GatewaySettings()
        follow = chosen.follow_seconds or _FOLLOW_SECONDS
        # Whatever is listened on, everybody can reach it, so a token is needed.
        settings = chosen.model_copy(update={"host": _ANYWHERE, "follow_seconds": follow})
        desk = open_desk(settings)
        app = create_app(lambda: desk)
        app.state.desk = desk
        # Mangum would start and stop the app around every single request.
        return desk, Mangum(app, lifespan="off")

    def lambda_handler(event: dict[str, Any], context: Any) -> Any:  # noqa: ANN401 -- AWS's own
        desk, adapter = opened()
        if event.get("detail-type") == "Scheduled Event":
            for tenant in sorted(desk.tenants.names):
                tidy(desk, tenant)
            return {"tidied": len(desk.tenants.names)}
        return adapter(event, context)

    return lambda_handler
