"""infra/compose.yaml: what it names exists, and what its services run, runs."""

import json
import re
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from functions.gateway.settings import GatewaySettings
from functions.ingest.face_models import FaceModels
from functions.settings import EventSettings, StoreSettings

from .minio_server import ROOT, Process, free_port

FILE = ROOT / "infra" / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SERVERS = ("ingest", "infer", "encode", "gateway")
SECRET = "only-for-this-test"


def dockerfile(service: str) -> Path:
    build = SERVICES[service]["build"]
    path: Path = FILE.parent / build["context"] / build.get("dockerfile", "Dockerfile")
    return path


def command(service: str) -> list[str]:
    """What the service's image runs: its Dockerfile's last CMD."""
    found = re.findall(r"^CMD (\[.*\])$", dockerfile(service).read_text(), re.MULTILINE)
    return [str(word) for word in json.loads(found[-1])]


def test_the_services() -> None:
    """MinIO, the wiring and the four functions, and nothing that the specification lacks."""
    assert set(SERVICES) == {"minio", "wire", *SERVERS}
    assert COMPOSE.keys() <= {"name", "services", "secrets", "volumes", "x-store", "x-function"}
    known = {
        *("build", "restart", "read_only", "cap_drop", "security_opt", "depends_on"),
        *("environment", "secrets", "healthcheck", "ports", "volumes"),
    }
    for service in SERVICES.values():
        assert service.keys() <= known


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_names_exists(name: str) -> None:
    """Its Dockerfile, its secrets, its volumes and what it waits for are there."""
    service = SERVICES[name]
    assert dockerfile(name).is_file()
    for secret in service["secrets"]:
        assert (FILE.parent / COMPOSE["secrets"][secret]["file"]).parent.is_dir()
    for volume in service.get("volumes", ()):
        assert volume.partition(":")[0] in COMPOSE["volumes"]
    for other, condition in service.get("depends_on", {}).items():
        healthy = condition["condition"] == "service_healthy"
        assert not healthy or "healthcheck" in SERVICES[other]
    if name != "wire":
        assert service["healthcheck"]["test"][0] == "CMD"
        assert service["restart"] == "unless-stopped"
    assert service["cap_drop"] == ["ALL"]
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:"), "nothing is offered to the network by default"


@pytest.mark.parametrize("name", ["wire", *SERVERS])
def test_settings_are_known(name: str) -> None:
    """Every variable is a setting that some class defines, and no secret stands in the file."""
    fields = {
        f"{settings.model_config['env_prefix']}{field.upper()}"
        for settings in (StoreSettings, EventSettings, GatewaySettings)
        for field in settings.model_fields
    }
    for variable in SERVICES[name]["environment"]:
        assert variable in fields
        assert not variable.endswith(("SECRET_KEY", "TOKEN"))


def test_links_lead_to_a_port_that_is_published() -> None:
    """What the gateway tells clients of the store is where this machine offers it."""
    endpoint = SERVICES["gateway"]["environment"]["KOUBO_GATEWAY_PUBLIC_ENDPOINT"]
    (published,) = SERVICES["minio"]["ports"]
    assert endpoint == f"http://localhost:{published.split(':')[1]}"


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name in COMPOSE["secrets"]:
        (folder / name).write_text(f"{SECRET}-{name}\n")
    return folder


@pytest.fixture
def ports() -> dict[str, int]:
    return {name: free_port() for name in ("minio", *SERVERS)}


def _environment(name: str, ports: dict[str, int], secrets: Path, scratch: Path) -> dict[str, str]:
    """A service's environment, with names and paths of its container moved to this machine."""
    found = {key: str(value) for key, value in SERVICES[name].get("environment", {}).items()}
    for key, value in found.items():
        moved = re.sub(
            r"http://(\w+):(?:8080|9000)",
            lambda url: f"http://127.0.0.1:{ports.get(url[1], ports['minio'])}",
            value,
        )
        found[key] = moved.replace("/run/secrets", str(secrets))
    found |= {"TMPDIR": str(scratch), "KOUBO_CACHE_INPUTS": str(scratch / "inputs")}
    if name in ports:
        found |= {"UVICORN_HOST": "127.0.0.1", "UVICORN_PORT": str(ports[name])}
    return found


def test_each_command_runs(
    tmp_path: Path, secrets: Path, ports: dict[str, int], face_models: FaceModels
) -> None:
    """Started in compose's order by its own commands, every service answers as its check asks."""

    def process(name: str, words: list[str], path: str) -> Process:
        environment = _environment(name, ports, secrets, tmp_path) | {"OMP_NUM_THREADS": "1"}
        port = ports.get(name, ports["minio"])
        return Process(
            words, environment, tmp_path / f"{name}.log", f"http://127.0.0.1:{port}{path}"
        )

    with ExitStack() as entered:

        def start(made: Process) -> Process:
            entered.callback(made.kill)
            return made.start()

        words = command("minio")
        assert words == ["serve", "/data"]
        minio = process(
            "minio", ["infra/minio/serve", str(tmp_path / "data")], "/minio/health/live"
        )
        minio.environment = {**minio.environment, "MINIO_ADDRESS": f"127.0.0.1:{ports['minio']}"}
        start(minio).wait()
        words = command("wire")
        assert words[0] == "python"
        wire = start(process("wire", [sys.executable, *words[1:]], ""))
        assert wire.ended() == 0, wire.tail()
        for name in SERVERS:
            words = command(name)
            assert words[0] == "uvicorn"
        started = [
            start(process(name, [sys.executable, "-m", *command(name)], "/readyz"))
            for name in SERVERS
        ]
        for server in started:
            server.wait()
        url = f"http://127.0.0.1:{ports['gateway']}/v1/runs"
        token = {"Authorization": f"Bearer {SECRET}-gateway-token"}
        with urllib.request.urlopen(urllib.request.Request(url, headers=token), timeout=20) as ok:
            assert ok.status == 200
