import os
import subprocess
import sys

import pytest
from fastapi.testclient import TestClient

from functions.errors import NotSetUpError
from functions.gateway import main


def test_importing_needs_nothing_of_the_other_functions() -> None:
    """The gateway's image holds neither another function nor what only they need."""
    code = (
        "import sys, functions.gateway.main\n"
        "names = {'ingest', 'infer', 'encode'}\n"
        "ours = [m for m in sys.modules if m.split('.')[:2] in [['functions', n] for n in names]]\n"
        "theirs = [m for m in ('numpy', 'cv2', 'av', 'onnxruntime', 'PIL') if m in sys.modules]\n"
        "print(ours + theirs)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.strip() == "[]"


def test_it_serves_what_the_environment_says(
    tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Store, token and limits come from the environment when it starts, not when it is imported."""
    monkeypatch.setenv("KOUBO_STORE_ROOT", str(tmp_path))
    monkeypatch.setenv("KOUBO_GATEWAY_TOKEN", "secret")
    with TestClient(main.app) as client:
        assert client.get("/v1/runs").status_code == 401
        headers = {"Authorization": "Bearer secret"}
        place = client.post("/v1/uploads", json={"file": "v.wav"}, headers=headers).json()
        assert client.put(place["url"], content=b"v", headers=headers).status_code == 201
    assert any("v.wav" in name for _, _, names in os.walk(tmp_path) for name in names)


def test_it_does_not_start_open_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond loopback and without a token it refuses to start, and says what to set."""
    monkeypatch.setenv("UVICORN_HOST", "0.0.0.0")
    with pytest.raises(NotSetUpError, match="KOUBO_GATEWAY_TOKEN"), TestClient(main.app):
        pass
