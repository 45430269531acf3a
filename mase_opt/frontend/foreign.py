"""Files of other programs that people take for models, recognized without running."""

from __future__ import annotations

import io
import pickletools
import zipfile
from typing import IO

_FACTORY = (
    "write a function that {} and returns model, (x,) with an example input x, and "
    "give FILE.py:FUNCTION"
)
_EXPORT = (
    "export the module that it was made from, with "
    "torch.export.save(torch.export.export(model.eval(), (x,)), 'model.pt2')"
)
_ONNX = "convert the model to ONNX, with tf2onnx for example"
_WEIGHTS = _FACTORY.format("builds the model, loads them")

_ZIP = b"PK\x03\x04"
_LEGACY = 0x1950A86A20F9469CFC6C
"""What files of torch.save begin with that are no archives."""


def foreign_model(data: bytes, suffix: str) -> str | None:
    """
    What `data` is, and what to do instead, if it is of a kind that is no input.

    The text continues "FILE is …". Nothing is unpickled.
    """
    try:
        if data.startswith(_ZIP):
            return _archive(zipfile.ZipFile(io.BytesIO(data)))
        if data.startswith(b"\x80"):
            return _pickle(_last_pickle(io.BytesIO(data)))
    except Exception:  # whatever a damaged file makes its readers raise
        return None
    if data.startswith(b"\x89HDF\r\n\x1a\n"):
        return f"an HDF5 file, of Keras probably: {_ONNX}"
    if data[4:8] == b"TFL3":
        return f"a TensorFlow Lite model: {_ONNX}"
    if suffix == ".pb":
        return f"a TensorFlow graph: {_ONNX}"
    header = int.from_bytes(data[:8], "little")
    if data[8:9] == b"{" and 8 + header <= len(data):
        return f"a safetensors file, weights without a model: {_WEIGHTS}"
    if data.startswith(b"GGUF"):
        return f"a GGUF file, weights without a model: {_WEIGHTS}"
    return None


def _archive(archive: zipfile.ZipFile) -> str | None:
    names = archive.namelist()
    # All that torch writes lies in a folder.
    inner = {name.partition("/")[2]: name for name in names}
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        return f"TorchScript, which torch.export does not take: {_EXPORT}"
    if "data.pkl" in inner:
        with archive.open(inner["data.pkl"]) as stream:
            return _pickle(stream)
    if "model.weights.h5" in names:
        return f"a Keras model: {_ONNX}"
    if names and all(name.endswith(".npy") for name in names):
        return "a NumPy archive: data, and no model"
    return None


def _last_pickle(stream: IO[bytes]) -> IO[bytes]:
    """Where the pickle of the object begins: behind three others in old files."""
    if _LEGACY not in [argument for _, argument, _ in pickletools.genops(stream)]:
        stream.seek(0)
        return stream
    for _ in range(2):
        list(pickletools.genops(stream))
    return stream


def _pickle(stream: IO[bytes]) -> str:
    """What a pickle holds, by what it begins with and the names in it."""
    strings: list[str] = []
    root: str | None = None
    for opcode, argument, _ in pickletools.genops(stream):
        if isinstance(argument, str):
            # A GLOBAL names module and object at once.
            strings += argument.split(" ", 1)
        if root is None:
            match opcode.name:
                case "GLOBAL" | "STACK_GLOBAL":
                    root = ".".join(strings[-2:])
                case "EMPTY_DICT" | "EMPTY_LIST":
                    root = opcode.name
                case _:
                    continue
    if root == "collections.OrderedDict":
        return f"a state dict, weights without a model: {_WEIGHTS}"
    if root == "EMPTY_DICT" and any("_rebuild_" in string for string in strings):
        return f"a dict of weights (a checkpoint) without a model: {_WEIGHTS}"
    if "_modules" in strings:
        load = _FACTORY.format("loads it (torch.load with weights_only=False)")
        return f"a pickled module ({root}), whose code is elsewhere: {load}"
    return "a pickle, but not of a model"
