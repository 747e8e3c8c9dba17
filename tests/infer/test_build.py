import pytest

from functions.chain import Surroundings
from functions.errors import RetryableError
from functions.events import ObjectCreated
from functions.infer.build import build
from functions.input_cache import InputCache
from functions.patches import Patches
from functions.progress import silent
from functions.settings import BucketSettings

BUCKETS = BucketSettings()


@pytest.fixture
def render(store, plan, tmp_path, monkeypatch):
    """Renders a run's first segment with infer as these settings make it; who served it."""
    around = Surroundings(
        store, BUCKETS, InputCache(tmp_path / "cache", 0), tmp_path, tmp_path / "s", silent
    )

    def handle(**settings: str):
        for name, value in settings.items():
            monkeypatch.setenv(f"KOUBO_INFER_{name.upper()}", value)
        build(around)(ObjectCreated(BUCKETS.work, plan.keys.segment(0)))
        return Patches.load(store.get(BUCKETS.work, plan.keys.patches(0))).header.served

    return handle


def test_the_cpu_stands_behind_what_is_asked_for(render):
    """The NPU isn't here: the same model is rendered on the CPU, and the report says why."""
    served = render(backends="onnxruntime/cann:0")
    assert (served.model, served.backend) == ("viseme 1", "onnxruntime/CPUExecutionProvider")
    first = served.attempts[0]
    assert (first.backend, first.outcome) == ("onnxruntime/cann:0", "absent")
    assert "has no CANNExecutionProvider" in first.says


def test_a_pinned_device_fails(render):
    """With the policy `fail` nothing stands behind it."""
    with pytest.raises(RetryableError, match=r"ear\.onnx.*has no CANNExecutionProvider"):
        render(backends="onnxruntime/cann:0", policy="fail")


def test_the_default_model_needs_no_device(render):
    """With the policy `default-model` it stands behind whatever is asked for."""
    served = render(backends="om/npu:0", policy="default-model")
    assert (served.model, served.backend) == ("viseme 1", "onnxruntime/CPUExecutionProvider")
    assert [each.outcome for each in served.attempts] == ["no-artefact"]
