"""Images that are built to be looked at, and what was measured of them."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workshop import BASE, Workshop

BUILD_SECONDS = 3600


@dataclass(frozen=True)
class Measured:
    """One image: bytes on top of the base, seconds to build, and what its smoke printed."""

    image: str
    added: int
    build_s: float
    smoke: dict[str, float]


@dataclass(frozen=True)
class Container:
    """An image that was built, and a container of it that runs nothing yet."""

    name: str
    root: Path
    config: dict[str, object]
    added: int
    build_s: float


@contextmanager
def built(
    shop: Workshop, image: str, file: str, *more: str, context: str = "."
) -> Iterator[Container]:
    """Builds an image; it is there for as long as the context lasts."""
    tag = f"localhost/koubo-{image}:verify"
    started = time.monotonic()
    build = ("--quiet", "--network", "host", "--arch", shop.arch, "--build-arg", f"BASE={BASE}")
    shop.buildah("build", *build, *more, "-t", tag, "-f", file, context, seconds=BUILD_SECONDS)
    build_s = time.monotonic() - started
    config = json.loads(shop.buildah("inspect", "--type", "image", tag))["Docker"]["config"]
    name = shop.buildah("from", "--pull-never", tag)
    root = Path(shop.buildah("mount", name))
    added = disk_use(shop, root) - disk_use(shop, shop.base_root)
    yield Container(name, root, config, added, build_s)
    shop.buildah("rm", name)
    shop.buildah("rmi", tag)


def free_port() -> int:
    """A port that nobody listens on; the containers share the machine's network."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def disk_use(shop: Workshop, root: Path) -> int:
    """Bytes of all files under a folder, each counted once."""
    return int(shop.run("du", "-sb", str(root)).split()[0])
