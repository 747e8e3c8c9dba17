"""The gateway's composition root."""

from functions.gateway.app import create_app
from functions.gateway.desk import Desk
from functions.gateway.settings import GatewaySettings
from functions.logs import set_up
from functions.settings import BucketSettings, LogSettings, StoreSettings


def open_desk() -> Desk:
    """What the routes work with, by the environment."""
    set_up(LogSettings())
    settings, store = GatewaySettings(), StoreSettings()
    public = store
    if settings.public_endpoint is not None:
        public = store.model_copy(update={"endpoint": settings.public_endpoint})
    return Desk.open(store.open(), BucketSettings(), settings, public.open())


app = create_app(open_desk)
