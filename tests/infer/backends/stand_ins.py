"""Stand-ins for CANN's `acl` and for `ais_bench`: the documented calls, on this machine's memory.

They run one model, `y = 2 x`, and say no to calls out of order and to handles that nobody gave.
"""

import ctypes
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace

import numpy as np

BATCH_INPUT = "ascend_mbatch_shape_data"
FLOAT, LARGEST, WIDTH = 0, 4, 3
ROW_BYTES = WIDTH * 4


@dataclass
class Ascend:
    """The state behind `acl`.

    Args:
        batches: profiles of the model; none is a model for one batch of `LARGEST`.
        fails: error codes by the call that returns them.
        calls: every call, in order.
        memory: live allocations by their address.
        batch: what was set.
        open: handles that were given and not taken back.
    """

    batches: tuple[int, ...] = (1, 4)
    fails: dict[str, int] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    memory: dict[int, ctypes.Array] = field(default_factory=dict)
    batch: int = LARGEST
    open: set[int] = field(default_factory=set)
    buffers: dict[int, tuple[int, int]] = field(default_factory=dict)
    sets: dict[int, list[int]] = field(default_factory=dict)

    def told(self, call: str) -> int:
        """Takes down a call; the code that it returns."""
        self.calls.append(call)
        return self.fails.get(call, 0)

    def give(self) -> int:
        """A new handle."""
        handle = max(self.open, default=100) + 1
        self.open.add(handle)
        return handle

    def allocate(self, size: int) -> int:
        block = ctypes.create_string_buffer(size)
        self.memory[ctypes.addressof(block)] = block
        return ctypes.addressof(block)


def make_acl(state: Ascend) -> ModuleType:
    """A module that works like `acl`."""
    acl = ModuleType("acl")
    acl.init = lambda: state.told("init")
    acl.rt, acl.util, acl.mdl = _rt(state), _util(), _mdl(state)

    def create_data_buffer(address: int, size: int) -> int:
        assert address in state.memory
        handle = state.give()
        state.buffers[handle] = (address, size)
        return handle

    acl.create_data_buffer = create_data_buffer
    acl.destroy_data_buffer = lambda handle: state.open.remove(handle) or 0
    return acl


def _rt(state: Ascend) -> SimpleNamespace:
    def memcpy(to: int, room: int, source: int, count: int, kind: int) -> int:
        assert kind in (1, 2)
        assert (to if kind == 1 else source) in state.memory
        assert count <= room
        if code := state.told("memcpy"):
            return code
        ctypes.memmove(to, source, count)
        return 0

    def malloc(size: int, policy: int) -> tuple[int, int]:
        assert policy == 0
        code = state.told("malloc")
        return (0, code) if code else (state.allocate(size), 0)

    return SimpleNamespace(
        set_device=lambda index: state.told("set_device"),
        create_context=lambda index: (state.give(), state.told("create_context")),
        set_context=lambda context: state.told("set_context") if context in state.open else 107002,
        destroy_context=lambda context: state.open.remove(context) or 0,
        malloc=malloc,
        free=lambda address: state.memory.pop(address) and 0,
        malloc_host=lambda size: (state.allocate(size), 0),
        free_host=lambda address: state.memory.pop(address) and 0,
        memcpy=memcpy,
    )


def _util() -> SimpleNamespace:
    def bytes_to_ptr(data: bytes) -> int:
        return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0

    return SimpleNamespace(bytes_to_ptr=bytes_to_ptr, ptr_to_bytes=ctypes.string_at)


def _mdl(state: Ascend) -> SimpleNamespace:
    names = ["x", BATCH_INPUT] if state.batches else ["x"]

    def create_dataset() -> int:
        handle = state.give()
        state.sets[handle] = []
        return handle

    def add_dataset_buffer(handle: int, data: int) -> tuple[int, int]:
        state.sets[handle].append(data)
        return handle, 0

    def set_dynamic_batch_size(model: int, given: int, index: int, batch: int) -> int:
        assert names[index] == BATCH_INPUT
        if batch not in state.batches:
            return 100000
        state.batch = batch
        return state.told("set_dynamic_batch_size")

    def execute(model: int, given: int, made: int) -> int:
        if code := state.told("execute"):
            return code
        source, target = (state.buffers[state.sets[each][0]][0] for each in (given, made))
        x = np.frombuffer(ctypes.string_at(source, state.batch * ROW_BYTES), np.float32)
        data = (2 * x).tobytes()
        ctypes.memmove(target, data, len(data))
        return 0

    rows = -1 if state.batches else LARGEST
    return SimpleNamespace(
        load_from_file=lambda path: (state.give(), state.told("load_from_file")),
        unload=lambda model: state.open.remove(model) or 0,
        create_desc=state.give,
        destroy_desc=lambda desc: state.open.remove(desc) or 0,
        get_desc=lambda desc, model: 0 if {desc, model} <= state.open else 100000,
        get_dynamic_batch=lambda desc: (
            {"batchCount": len(state.batches), "batch": [*state.batches, 0, 0]},
            0,
        ),
        get_num_inputs=lambda desc: len(names),
        get_num_outputs=lambda desc: 1,
        get_input_name_by_index=lambda desc, place: names[place],
        get_output_name_by_index=lambda desc, place: "y",
        get_input_index_by_name=lambda desc, name: (names.index(name), 0),
        get_input_dims=lambda desc, place: ({"name": "", "dimCount": 2, "dims": [rows, WIDTH]}, 0),
        get_output_dims=lambda desc, place: (
            {"name": "", "dimCount": 2, "dims": [LARGEST, WIDTH]},
            0,
        ),
        get_input_data_type=lambda desc, place: FLOAT,
        get_output_data_type=lambda desc, place: FLOAT,
        get_input_size_by_index=lambda desc, place: LARGEST * ROW_BYTES if place == 0 else 8,
        get_output_size_by_index=lambda desc, place: LARGEST * ROW_BYTES,
        create_dataset=create_dataset,
        destroy_dataset=lambda handle: state.open.remove(handle) or 0,
        add_dataset_buffer=add_dataset_buffer,
        set_dynamic_batch_size=set_dynamic_batch_size,
        execute=execute,
    )


@dataclass
class InferSession:
    """As `ais_bench.infer.interface.InferSession`, for the same model.

    Args:
        device_id: of the NPU.
        model_path: the file.
    """

    device_id: int
    model_path: str
    rows: int = -1
    modes: list[str] = field(default_factory=list)

    def get_inputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name="x", shape=[self.rows, WIDTH], datatype="float32")]

    def get_outputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name="y", shape=[self.rows, WIDTH], datatype="float32")]

    def infer(self, feeds: list[np.ndarray], mode: str = "static") -> list[np.ndarray]:
        self.modes.append(mode)
        if "lost" in self.model_path:
            raise RuntimeError("acl call failed, error code is 507901")
        return [feeds[0] * 2]
