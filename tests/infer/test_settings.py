import pytest
from pydantic import ValidationError

from functions.infer.manifest import find_model
from functions.infer.settings import CannSettings, InferSettings


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one would in a shell; batch sizes end up in order."""
    monkeypatch.setenv("KOUBO_INFER_BACKENDS", "torch/npu:0, onnxruntime/cpu")
    monkeypatch.setenv("KOUBO_INFER_BATCHES", "8,1,4,4")
    settings = InferSettings()
    assert settings.backends == ("torch/npu:0", "onnxruntime/cpu")
    assert settings.batches == (1, 4, 8)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KOUBO_INFER_BACKENDS", "cpu"),
        ("KOUBO_INFER_BACKENDS", ","),
        ("KOUBO_INFER_BATCHES", "0"),
        ("KOUBO_INFER_POLICY", "hope"),
    ],
)
def test_what_makes_no_sense(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """It is refused at the start, not at the first segment."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        InferSettings()


def test_options_of_cann(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the provider's own names, as strings; what nobody set and has no default is left out."""
    assert CannSettings().options == {
        "arena_extend_strategy": "kNextPowerOfTwo",
        "precision_mode": "force_fp16",
        "op_select_impl_mode": "high_performance",
        "enable_cann_graph": "1",
        "enable_cann_subgraph": "0",
        "dump_om_model": "1",
    }
    monkeypatch.setenv("KOUBO_INFER_CANN_NPU_MEM_LIMIT", "4294967296")
    monkeypatch.setenv("KOUBO_INFER_CANN_PRECISION_MODE", "must_keep_origin_dtype")
    options = CannSettings().options
    assert options["npu_mem_limit"] == "4294967296"
    assert options["precision_mode"] == "must_keep_origin_dtype"


def test_the_default_model_ships() -> None:
    """What takes another model's place is there without anybody adding it."""
    settings = InferSettings()
    assert find_model(settings.default_model, settings.default_version).files
