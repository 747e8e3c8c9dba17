import dataclasses
from functools import cache
from itertools import chain, repeat

import numpy as np
import pytest

from functions import documents
from functions.chain import Surroundings
from functions.errors import Code, RejectedInput, RetryableError
from functions.events import ObjectCreated
from functions.infer.backends import OnnxRuntime
from functions.infer.backends.faults import DeviceLost, UnsupportedGraph
from functions.infer.build import build
from functions.infer.families.wav2lip import Wav2Lip
from functions.infer.handler import Infer
from functions.infer.router import Router
from functions.infer.viseme import Viseme
from functions.input_cache import InputCache
from functions.layout import FootageKeys
from functions.patches import Patches
from functions.plans import Model
from functions.progress import silent
from functions.settings import BucketSettings
from tests.infer.backends import small_model
from tests.infer.scripted import Unreliable

BUCKETS = BucketSettings()
WORK = BUCKETS.work
FRAMES, SEGMENT = 30, 12


@pytest.fixture(scope="module")
def load(manifest):
    return cache(lambda wanted: Viseme.load(manifest, OnnxRuntime(), 8))


@pytest.fixture
def infer(store, load, tmp_path):
    return Infer(store, BUCKETS, load, tmp_path / "scratch", silent)


def event(plan, index):
    return ObjectCreated(WORK, plan.keys.segment(index))


def test_a_segment_becomes_patches(infer, plan, store, tmp_path):
    """One object with a patch and a place for each output frame, and who rendered it."""
    for index in range(3):
        infer.handle(event(plan, index))
    sizes = []
    for index in range(3):
        patches = Patches.load(store.get(WORK, plan.keys.patches(index)))
        frames = list(patches.frames())
        sizes.append(len(frames))
        assert all(frame.shape == (3, 256, 256) for frame in frames)
        assert len(frames) == len(patches.placement.affine) == len(patches.placement.opacity)
        header = patches.header
        assert (header.first, header.last) == (index * 12, min(index * 12 + 12, FRAMES))
        assert header.served.model == "viseme 1"
        assert header.served.backend == "onnxruntime/CPUExecutionProvider"
    assert sizes == [12, 12, 6]
    opacity = Patches.load(store.get(WORK, plan.keys.patches(0))).placement.opacity
    assert opacity[1] == 0
    assert opacity[6] == 1
    assert list((tmp_path / "scratch").iterdir()) == []


def test_an_event_that_comes_again_makes_nothing(infer, plan, store):
    """The second delivery leaves the object as the first one made it."""
    infer.handle(event(plan, 0))
    first = store.head(WORK, plan.keys.patches(0))
    infer.handle(event(plan, 0))
    assert store.head(WORK, plan.keys.patches(0)) == first
    assert not store.exists(WORK, plan.keys.patches(1))


@pytest.mark.parametrize("end", ["done", "failed", "cancelled", "part"])
def test_what_is_settled_is_left_alone(infer, plan, store, end):
    """A run that ended, or a segment that is encoded already, is not rendered again."""
    key = plan.keys.part(0) if end == "part" else getattr(plan.keys, end)
    store.put(WORK, key, b"{}")
    infer.handle(event(plan, 0))
    assert not store.exists(WORK, plan.keys.patches(0))


@pytest.mark.parametrize(
    ("bucket", "key"),
    [
        (WORK, "default/runs/rrr/plan.json"),
        (WORK, "default/runs/rrr/0000.patches.zip"),
        ("koubo-input", "default/runs/rrr/0000.segment.json"),
        (WORK, "default/footage/x/footage.json"),
    ],
)
def test_other_objects_are_none_of_its_business(infer, store, bucket, key):
    """Only segment objects of the work bucket are looked at."""
    infer.handle(ObjectCreated(bucket, key))
    assert list(store.entries(WORK, "")) == []


def test_what_is_missing_comes_again(infer, plan, store):
    """Without the plan, the voice or the windows the event is to be delivered again."""
    footage = FootageKeys("default", plan.face.digest)
    for key in (footage.window(0), footage.document, plan.keys.plan):
        kept = store.get(WORK, key)
        store.delete(WORK, key)
        with pytest.raises(RetryableError, match=r"0000\.segment\.json"):
            infer.handle(event(plan, 0))
        store.put(WORK, key, kept)
    assert not store.exists(WORK, plan.keys.patches(0))
    infer.handle(event(plan, 0))
    assert store.exists(WORK, plan.keys.patches(0))


def test_footage_is_prepared_once(infer, plan, store):
    """The reference lies with the footage, and later segments and runs use it."""
    key = FootageKeys("default", plan.face.digest).prepared("viseme", "1", "bank.npz")
    infer.handle(event(plan, 0))
    first = store.head(WORK, key)
    infer.handle(event(plan, 1))
    assert store.head(WORK, key) == first


def test_progress_ends_at_the_segments_frames(store, load, plan, tmp_path):
    """Whoever watches hears of every few frames and of the last one."""
    said = []
    watched = Infer(store, BUCKETS, load, tmp_path, lambda done, total: said.append((done, total)))
    watched.handle(event(plan, 0))
    assert said[-1] == (12, 12)
    assert all(total == 12 for _, total in said)
    assert [done for done, _ in said] == sorted(done for done, _ in said)


def test_the_composition_root_gives_the_same(store, infer, plan, tmp_path):
    """`build` puts together a handler that renders what this one does."""
    around = Surroundings(
        store, BUCKETS, InputCache(tmp_path / "cache", 0), tmp_path, tmp_path / "s", silent
    )
    infer.handle(event(plan, 0))
    one = Patches.load(store.get(WORK, plan.keys.patches(0)))
    store.delete(WORK, plan.keys.patches(0))
    build(around)(event(plan, 0))
    other = Patches.load(store.get(WORK, plan.keys.patches(0)))
    assert np.array_equal(one.placement.affine, other.placement.affine)
    pairs = zip(one.frames(), other.frames(), strict=True)
    assert all(np.array_equal(first, second) for first, second in pairs)
    assert documents.dump(one.header.mask) == documents.dump(other.header.mask)


CPU = "onnxruntime/CPUExecutionProvider"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A model whose graph draws every frame, batch by batch; the default model's only hears."""
    return small_model.seal(tmp_path_factory.mktemp("model"))


@pytest.fixture
def drawn(plan, store):
    """The plan, with the small model asked for."""
    changed = dataclasses.replace(plan, model=Model("small", "1"))
    store.put(WORK, plan.keys.plan, documents.dump(changed))
    return changed


@pytest.fixture
def on_devices(store, small, tmp_path):
    """Infer with the small model on these backends, four frames a run."""

    def make(*backends, instead=None):
        router = Router(backends)
        infer = Infer(
            store, BUCKETS, lambda _: Wav2Lip.load(small, router, 4), tmp_path, silent, instead
        )
        return infer, router

    return make


def unreliable(*faults, name="torch/npu:0"):
    """A device that renders mouths, and fails so in its runs, one after the other."""
    script = chain(faults, repeat(None))
    return Unreliable(OnnxRuntime(), name, lambda _: next(script))


def load_patches(store, plan, index=0):
    return Patches.load(store.get(WORK, plan.keys.patches(index)))


def told_of(served):
    """Who tried the graph, how precisely, how often and with what success."""
    return [
        (each.graph, each.backend, each.precision, each.runs, each.outcome)
        for each in served.attempts
    ]


def test_a_device_lost_in_the_middle_of_a_segment(on_devices, drawn, store):
    """The segment is finished elsewhere, its patches are whole, and the report says it all."""
    on_devices(OnnxRuntime())[0].handle(event(drawn, 0))
    whole = list(load_patches(store, drawn).frames())
    store.delete(WORK, drawn.keys.patches(0))
    npu = unreliable(None, DeviceLost("error code is 507901"))
    on_devices(npu, OnnxRuntime())[0].handle(event(drawn, 0))
    patches = load_patches(store, drawn)
    pairs = zip(patches.frames(), whole, strict=True)
    assert all(np.array_equal(ours, theirs) for ours, theirs in pairs)
    told = patches.header.served
    assert told_of(told) == [
        ("generator", "torch/npu:0", "fp16", 1, "ok"),
        ("generator", "torch/npu:0", "fp16", 1, "device-lost"),
        ("generator", CPU, "fp32", 2, "ok"),
    ]
    assert told.attempts[1].says == "error code is 507901"
    assert all(each.batch > 0 and each.seconds >= 0 for each in told.attempts)
    assert told.backend == f"torch/npu:0, {CPU}"


def test_the_ears_device_is_lost(infer, store, plan, manifest, tmp_path):
    """So is what the default model hears: by another device, and the frames are the same."""
    infer.handle(event(plan, 0))
    whole = list(load_patches(store, plan).frames())
    store.delete(WORK, plan.keys.patches(0))
    router = Router((unreliable(None, DeviceLost("error code is 507901")), OnnxRuntime()))
    model = Viseme.load(manifest, router, 8)
    Infer(store, BUCKETS, lambda _: model, tmp_path, silent).handle(event(plan, 0))
    patches = load_patches(store, plan)
    pairs = zip(patches.frames(), whole, strict=True)
    assert all(np.array_equal(ours, theirs) for ours, theirs in pairs)
    assert [each[:2] + each[4:] for each in told_of(patches.header.served)] == [
        ("ear", "torch/npu:0", "ok"),
        ("ear", "torch/npu:0", "device-lost"),
        ("ear", CPU, "ok"),
    ]


def test_the_default_model_takes_over(on_devices, drawn, store, manifest):
    """Where the policy has it so and no backend is left, the whole segment is rendered by it."""
    default = Viseme.load(manifest, OnnxRuntime(), 8)
    npu = unreliable(None, DeviceLost("error code is 507901"))
    on_devices(npu, instead=lambda: default)[0].handle(event(drawn, 0))
    patches = load_patches(store, drawn)
    assert [frame.shape for frame in patches.frames()] == [(3, 256, 256)] * SEGMENT
    told = patches.header.served
    assert (told.model, told.instead_of, told.licence) == ("viseme 1", "small 1", "Apache-2.0")
    assert told.backend == CPU
    assert "device-lost" in {each.outcome for each in told.attempts}


def test_a_pinned_device_fails_loudly(on_devices, drawn, store):
    """Without another backend or policy nothing is rendered; the event comes again, and works."""
    infer, router = on_devices(unreliable(DeviceLost("error code is 507901")))
    with pytest.raises(RetryableError, match=r"generator\.onnx.*torch/npu:0: error code is 507901"):
        infer.handle(event(drawn, 0))
    assert not store.exists(WORK, drawn.keys.patches(0))
    with pytest.raises(RetryableError, match="507901"):
        infer.handle(event(drawn, 0))
    router.devices[0].regain()
    infer.handle(event(drawn, 0))
    assert load_patches(store, drawn).header.served.backend == "torch/npu:0"


def test_a_model_that_nobody_can_run(on_devices, drawn, store):
    """It is refused by its name at once: no retry makes it better."""
    refuses = unreliable(UnsupportedGraph("no such operator"))
    with pytest.raises(RejectedInput, match=r"small 1 can't be run.*no such operator") as caught:
        on_devices(refuses)[0].handle(event(drawn, 0))
    assert caught.value.code is Code.BAD_MODEL
    assert not store.exists(WORK, drawn.keys.patches(0))
