"""An offline model through pyACL, AscendCL's Python face. Calls as CANN's documentation has them.

Its functions return an error code, alone or last; nothing raises.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from functions.infer.backends import ascend
from functions.infer.backends.faults import BackendFault, UnsupportedGraph
from functions.infer.backends.graph import Outputs, TensorSpec

_ALREADY_INITIALISED = 100002
_HUGE_PAGES_FIRST = 0
_HOST_TO_DEVICE, _DEVICE_TO_HOST = 1, 2
_BATCH_INPUT = "ascend_mbatch_shape_data"
# aclDataType
_DTYPES = {
    0: "float32",
    1: "float16",
    2: "int8",
    3: "int32",
    4: "uint8",
    6: "int16",
    9: "int64",
    11: "float64",
    12: "bool",
}


class AclModel:
    """A loaded model with its buffers on the device; one thread at a time.

    Args:
        acl: the module.
        index: of the device.
        path: the `.om` file.

    Raises:
        BackendFault: the device or the file is at fault.
    """

    def __init__(self, acl: Any, index: int, path: Path) -> None:  # noqa: ANN401 -- it ships no types
        self._acl = acl
        self._buffers: list[tuple[Any, int]] = []
        self._data: list[Any] = []
        self._sets: list[Any] = []
        code = acl.init()
        if code != _ALREADY_INITIALISED:
            _check(code, "init")
        _check(acl.rt.set_device(index), "set_device")
        self._context = _value(acl.rt.create_context(index), "create_context")
        code_and_id = acl.mdl.load_from_file(str(path))
        try:
            self._model = _value(code_and_id, "load_from_file")
        except BackendFault as fault:
            if type(fault) is BackendFault:  # a code of the model's, not of the device's
                raise UnsupportedGraph(f"{path.name} can't be loaded: {fault}") from fault
            raise
        self._description = acl.mdl.create_desc()
        _check(acl.mdl.get_desc(self._description, self._model), "get_desc")
        self.batches = self._dynamic_batches()
        self.inputs = self._specs("input")
        self.outputs = self._specs("output")
        self._given = self._data_set("input")
        self._made = self._data_set("output")

    def run(self, arrays: Sequence[NDArray[Any]]) -> Outputs:
        """The outputs for inputs in the model's own order."""
        acl = self._acl
        _check(acl.rt.set_context(self._context), "set_context")  # of this thread
        for (buffer, size), array in zip(self._buffers, arrays, strict=False):
            data = np.ascontiguousarray(array).tobytes()
            if len(data) > size:
                raise UnsupportedGraph(f"an input has {len(data)} bytes, the model takes {size}")
            pointer = acl.util.bytes_to_ptr(data)
            code = acl.rt.memcpy(buffer, size, pointer, len(data), _HOST_TO_DEVICE)
            _check(code, "memcpy")
        rows = len(arrays[0])
        if self.batches:
            place = acl.mdl.get_input_index_by_name(self._description, _BATCH_INPUT)
            index = _value(place, "get_input_index_by_name")
            code = acl.mdl.set_dynamic_batch_size(self._model, self._given, index, rows)
            _check(code, "set_dynamic_batch_size")
        _check(acl.mdl.execute(self._model, self._given, self._made), "execute")
        return [self._fetch(place, rows) for place in range(len(self.outputs))]

    def close(self) -> None:
        """Gives the device's memory back; a lost device has none to give."""
        acl = self._acl
        acl.rt.set_context(self._context)
        for data in self._data:
            acl.destroy_data_buffer(data)
        for one in self._sets:
            acl.mdl.destroy_dataset(one)
        for buffer, _ in self._buffers:
            acl.rt.free(buffer)
        acl.mdl.unload(self._model)
        acl.mdl.destroy_desc(self._description)
        acl.rt.destroy_context(self._context)
        self._data, self._sets, self._buffers = [], [], []

    def _fetch(self, place: int, rows: int) -> NDArray[Any]:
        acl, spec = self._acl, self.outputs[place]
        shape = [rows if size is None else size for size in spec.shape]
        count = int(np.prod(shape)) * np.dtype(spec.dtype).itemsize
        buffer, _ = self._buffers[self._inputs_with_batch + place]
        host = _value(acl.rt.malloc_host(count), "malloc_host")
        try:
            _check(acl.rt.memcpy(host, count, buffer, count, _DEVICE_TO_HOST), "memcpy")
            filled = acl.util.ptr_to_bytes(host, count)
        finally:
            acl.rt.free_host(host)
        return np.frombuffer(filled, spec.dtype).reshape(shape)

    def _dynamic_batches(self) -> tuple[int, ...]:
        known = _value(self._acl.mdl.get_dynamic_batch(self._description), "get_dynamic_batch")
        return tuple(sorted(known["batch"][: known["batchCount"]]))

    def _specs(self, side: str) -> tuple[TensorSpec, ...]:
        mdl, description = self._acl.mdl, self._description
        count = getattr(mdl, f"get_num_{side}s")(description)
        found = []
        for place in range(count):
            name = getattr(mdl, f"get_{side}_name_by_index")(description, place)
            if name == _BATCH_INPUT:
                continue
            dims = _value(getattr(mdl, f"get_{side}_dims")(description, place), f"get_{side}_dims")
            kind = getattr(mdl, f"get_{side}_data_type")(description, place)
            sizes = [int(size) if size > 0 else None for size in dims["dims"]]
            if self.batches and side == "output" and sizes:
                sizes[0] = None  # it is told for the largest batch
            found.append(TensorSpec(name, tuple(sizes), _DTYPES.get(kind, f"aclDataType {kind}")))
        return tuple(found)

    def _data_set(self, side: str) -> Any:  # noqa: ANN401 -- a handle
        acl = self._acl
        made = acl.mdl.create_dataset()
        count = getattr(acl.mdl, f"get_num_{side}s")(self._description)
        for place in range(count):
            size = getattr(acl.mdl, f"get_{side}_size_by_index")(self._description, place)
            buffer = _value(acl.rt.malloc(size, _HUGE_PAGES_FIRST), "malloc")
            self._buffers.append((buffer, size))
            data = acl.create_data_buffer(buffer, size)
            self._data.append(data)
            _check(acl.mdl.add_dataset_buffer(made, data)[1], "add_dataset_buffer")
        self._sets.append(made)
        if side == "input":
            self._inputs_with_batch = count
        return made


def _check(code: int, call: str) -> None:
    if code:
        raise ascend.fault_of(code, f"acl's {call}: error code is {code}")


def _value(returned: tuple[Any, int], call: str) -> Any:  # noqa: ANN401 -- handles and numbers
    value, code = returned
    _check(code, call)
    return value
