"""KOUBO_GATEWAY_*: runs over HTTP."""

import json
from ipaddress import ip_address
from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from functions.errors import NotSetUpError
from functions.settings import StoreSettings

DEFAULT_TENANT = "default"


class GatewaySettings(BaseSettings):
    """The gateway's settings.

    Args:
        host: the address to listen on; beyond loopback a token is required. uvicorn's own
            UVICORN_HOST counts too, so that a server started by it is held to the same.
        port: to listen on; 0 takes a free one.
        token: lets in whoever shows it, as the tenant `default`.
        token_file: the same, from a file.
        tokens: a JSON object from tokens to tenants.
        tokens_file: the same, from a file.
        max_upload_bytes: of one file.
        max_faces: of one request.
        uploads: files that may come in through the gateway at a time.
        followers: event streams that may be open at a time.
        presign_seconds: for which a link into the store works.
        public_endpoint: the store's address as clients see it, where it isn't as the gateway does.
        upload_hours: after which an upload that nobody used is removed.
        poll_seconds: between looks at a run that somebody follows.
        heartbeat_seconds: after which an event stream says that it is still there.
        follow_seconds: after which an event stream ends, and the client comes back by itself; for
            proxies and platforms that cut long answers. None lets it last.
    """

    model_config = SettingsConfigDict(env_prefix="KOUBO_GATEWAY_", frozen=True)

    host: str = Field(
        default="127.0.0.1",
        validation_alias=AliasChoices("host", "KOUBO_GATEWAY_HOST", "UVICORN_HOST"),
    )
    port: int = Field(default=8008, ge=0, le=65535)
    token: SecretStr | None = None
    token_file: Path | None = None
    tokens: SecretStr | None = None
    tokens_file: Path | None = None
    max_upload_bytes: int = Field(default=16 << 30, gt=0)
    max_faces: int = Field(default=100, ge=1, le=9999)
    uploads: int = Field(default=16, ge=1)
    followers: int = Field(default=200, ge=1)
    presign_seconds: int = Field(default=3600, ge=1, le=7 * 24 * 3600)
    public_endpoint: str | None = None
    upload_hours: float = Field(default=24, gt=0)
    poll_seconds: float = Field(default=0.5, gt=0)
    heartbeat_seconds: float = Field(default=15, gt=0)
    follow_seconds: float | None = Field(default=None, gt=0)

    def tenants(self) -> dict[str, str]:
        """Tokens and whom they let in; empty where none is needed.

        Raises:
            NotSetUpError: there is no token and we listen beyond loopback, or a token can't be one.
        """
        found = self._of_map() | dict.fromkeys(self._single(), DEFAULT_TENANT)
        if any(not token.isascii() or not token or " " in token for token in found):
            raise NotSetUpError("a KOUBO_GATEWAY token is empty, or has other than ASCII letters")
        if any(not tenant or "/" in tenant for tenant in found.values()):
            raise NotSetUpError("KOUBO_GATEWAY_TOKENS names a tenant that is empty or has a slash")
        if not found and not is_loopback(self.host):
            raise NotSetUpError(
                f"the gateway would let everybody in who reaches {self.host}: "
                "set KOUBO_GATEWAY_TOKEN or KOUBO_GATEWAY_TOKEN_FILE, or listen on 127.0.0.1"
            )
        return found

    def public_store(self, store: StoreSettings) -> StoreSettings:
        """The store by the address that clients reach it at, for links into it."""
        if self.public_endpoint is None:
            return store
        return store.model_copy(update={"endpoint": self.public_endpoint})

    def _single(self) -> list[str]:
        found = [] if self.token is None else [self.token.get_secret_value()]
        if self.token_file is not None:
            found.append(_read(self.token_file))
        return found

    def _of_map(self) -> dict[str, str]:
        texts = [] if self.tokens is None else [self.tokens.get_secret_value()]
        if self.tokens_file is not None:
            texts.append(_read(self.tokens_file))
        found: dict[str, str] = {}
        for text in texts:
            try:
                pairs = json.loads(text)
            except ValueError as error:
                raise NotSetUpError("KOUBO_GATEWAY_TOKENS is no JSON") from error
            if not isinstance(pairs, dict) or any(type(to) is not str for to in pairs.values()):
                raise NotSetUpError("KOUBO_GATEWAY_TOKENS is no object from tokens to tenants")
            found |= pairs
        return found


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host.rpartition(".")[2] == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _read(secret: Path) -> str:
    try:
        return secret.read_text("utf-8").strip()
    except OSError as error:
        raise NotSetUpError(f"the secret {secret} can't be read: {error.strerror}") from error
