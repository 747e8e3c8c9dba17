"""Who is asking: a token names a tenant, and what is another's does not exist."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from functions.gateway.problems import ProblemError, Refusal
from functions.gateway.settings import DEFAULT_TENANT, is_loopback

_BEARER = {"WWW-Authenticate": "Bearer"}


@dataclass(frozen=True)
class Tenants:
    """Tells tenants by their tokens.

    Args:
        tokens: from tokens to tenants; without any, everybody on this machine is `default`.
    """

    tokens: Mapping[str, str] = field(repr=False)

    @property
    def names(self) -> set[str]:
        """Every tenant that there can be."""
        return set(self.tokens.values()) or {DEFAULT_TENANT}

    def of(self, request: HTTPConnection) -> str:
        """The tenant that a request is from.

        Raises:
            ProblemError: it shows no token that we know, or comes from where none is no excuse.
        """
        if not self.tokens:
            _check_local(request)
            return DEFAULT_TENANT
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        found = None
        for token, tenant in self.tokens.items():
            # All are compared, each in constant time, so that time tells nothing about any.
            if hmac.compare_digest(_digest(token), _digest(given.strip())):
                found = tenant
        if scheme.lower() != "bearer" or found is None:
            raise ProblemError(Refusal.UNAUTHORIZED, "The token is missing or wrong.", _BEARER)
        return found


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _check_local(request: HTTPConnection) -> None:
    """Lets in this machine alone, and no web page that a browser on it has open."""
    origin = urlsplit(request.headers.get("origin", ""))
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    client = request.client.host if request.client else ""
    if not is_loopback(client) or not is_loopback(host):
        raise ProblemError(
            Refusal.FORBIDDEN, "Without a token the gateway serves its own machine alone."
        )
    if origin.netloc and not is_loopback(origin.hostname or ""):
        raise ProblemError(
            Refusal.FORBIDDEN, f"Without a token the gateway serves no page of {origin.netloc}."
        )
