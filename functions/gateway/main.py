"""The gateway's composition root."""

from functions.gateway.app import create_app
from functions.gateway.desk import Desk
from functions.gateway.lambda_http import lambda_for
from functions.gateway.settings import GatewaySettings
from functions.logs import set_up
from functions.settings import BucketSettings, LogSettings, StoreSettings


def open_desk(settings: GatewaySettings | None = None) -> Desk:
    """What the routes work with, by the environment."""
    set_up(LogSettings())
    chosen, store = settings or GatewaySettings(), StoreSettings()
    return Desk.open(store.open(), BucketSettings(), chosen, chosen.public_store(store).open())


app = create_app(open_desk)
lambda_handler = lambda_for(open_desk)
