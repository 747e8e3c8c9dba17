import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import jsonschema_rs
import pytest
import schemathesis
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)

from functions.errors import RetryableError
from functions.gateway.views import (
    Accepted,
    NewRuns,
    NewUpload,
    RunEvent,
    RunView,
    Uploaded,
    UploadPlace,
)
from functions.storage import Store

from .conftest import BUCKETS, Gateway


def test_every_route_describes_its_answers(gateway: Gateway) -> None:
    """The document has every route, with words, and refusals as problem+json."""
    document = gateway.client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation.get("summary"), (method, path)
            if not path.startswith("/v1"):
                continue
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"], (path, status)


@pytest.mark.parametrize(
    "model", [Accepted, NewRuns, NewUpload, RunEvent, RunView, Uploaded, UploadPlace]
)
def test_examples_are_what_they_are_examples_of(gateway: Gateway, model: Any) -> None:
    """Each example in the document fits its own schema, and is read as the model."""
    schemas = gateway.client.get("/openapi.json").json()["components"]["schemas"]
    schema = schemas[model.__name__]
    model.model_validate(schema["example"])
    text = json.dumps(schemas).replace("#/components/schemas/", "#/$defs/")
    whole = {**json.loads(json.dumps(schema).replace("#/components/schemas/", "#/$defs/"))}
    jsonschema_rs.validate({**whole, "$defs": json.loads(text)}, schema["example"])


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "no_such_route"),
        ("PATCH", "/v1/runs", 405, "no_such_method"),
        ("GET", "/v1/uploads", 405, "no_such_method"),
        ("POST", "/v1/runs", 415, "bad_type"),
    ],
)
def test_errors_of_the_framework_are_ours(
    gateway: Gateway, method: str, path: str, status: int, code: str
) -> None:
    """What no route of ours refuses is refused in the same form."""
    answer = gateway.client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["fix"]


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> Iterator[None]:
    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        for name in ("get", "head", "entries", "put", "exists"):
            patch.setattr(Store, name, fail)
        yield


def test_a_store_that_is_down(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store is out of reach clients are told when to come again, and nothing is ready."""
    with failing(monkeypatch, RetryableError("secret address refused")):
        answer = gateway.client.get("/v1/runs/0123456789abcdef0123")
        ready = gateway.client.get("/readyz")
        assert gateway.client.get("/healthz").status_code == 200
    assert (answer.status_code, answer.json()["code"]) == (503, "store")
    assert int(answer.headers["Retry-After"]) > 0
    assert "secret address" not in answer.text
    assert ready.status_code == 503
    assert gateway.client.get("/readyz").status_code == 200


def test_a_surprise_says_nothing_of_our_insides(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody foresaw is a problem too, and its text stays in the log."""
    with failing(monkeypatch, ZeroDivisionError("inside")):
        answer = gateway.client.get("/v1/runs/0123456789abcdef0123")
    assert (answer.status_code, answer.json()["code"]) == (500, "broken")
    assert "inside" not in answer.text


def test_requests_are_counted_by_route(gateway: Gateway) -> None:
    """The counts name routes, not the ids in them, so that they stay few."""
    gateway.client.get("/v1/runs/0123456789abcdef0123")
    gateway.client.get("/v1/runs/0123456789abcdef0124")
    text = gateway.client.get("/metrics").text
    assert 'koubo_http_requests_total{method="GET",route="/v1/runs/{run}",status="404"}' in text
    assert "0123456789abcdef" not in text


@pytest.mark.parametrize("examples", [15, pytest.param(200, marks=pytest.mark.slow)])
def test_anything_that_the_document_allows_or_not(
    open_gateway: Any, tmp_path: Path, examples: int
) -> None:
    """Requests made from the document, good and bad ones, get answers that it describes, no 500."""
    gateway = open_gateway(Store.folder(tmp_path), token="secret", poll_seconds=0.01)
    gateway.ask("a.mp4", "b.mp4", Authorization="Bearer secret")
    schema = schemathesis.openapi.from_asgi("/openapi.json", gateway.client.app)
    seen: Counter[int] = Counter()
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in schemathesis.GenerationMode:
            _try(operation.as_strategy(generation_mode=mode), seen, examples)
    assert seen.total() > 400
    # They came further than the door.
    assert {200, 201, 404, 422} <= set(seen), seen


def _try(cases: Any, seen: Counter[int], examples: int) -> None:
    @hypothesis.seed(1)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=cases)
    def attempt(case: Any) -> None:
        answer = case.call(headers={"Authorization": "Bearer secret"})
        seen[answer.status_code] += 1
        checks = [
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
        ]
        case.validate_response(answer, checks=checks)

    attempt()


def test_nothing_that_was_sent_is_left_over(gateway: Gateway) -> None:
    """A bad request leaves neither objects nor a request behind."""
    gateway.client.post("/v1/runs", json={"voice": {}, "faces": []})
    assert gateway.keys(BUCKETS.input) == []
    assert gateway.keys(BUCKETS.work) == []
