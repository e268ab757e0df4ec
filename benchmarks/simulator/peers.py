"""Other programs that run the same topology: PyTorch in float32, ONNX Runtime in 8 bits."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

Images = npt.NDArray[np.uint8]
Run = Callable[[Images], object]

CALIBRATION_IMAGES = 16


def folded(model: nn.Module) -> nn.Module:
    """Return a network for inference, batch normalisation folded, channels last."""
    found: nn.Module = fuse(model.eval())
    return found.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def compiled(model: nn.Module) -> nn.Module:
    """Return a network that PyTorch compiles at its first call."""
    found: nn.Module = torch.compile(model, dynamic=False)  # type: ignore[assignment]
    return found


def torch_run(model: nn.Module, batch: int) -> Run:
    """Return a function that runs images through PyTorch, `batch` at a time."""

    def run(images: Images) -> None:
        with torch.inference_mode():
            for start in range(0, len(images), batch):
                x = torch.from_numpy(images[start : start + batch]).float()
                model(x.to(memory_format=torch.channels_last))

    return run


def onnx_run(model: nn.Module, images: Images, batch: int, folder: Path) -> Run | None:
    """Return a function that runs images through ONNX Runtime in 8 bits, if it is installed.

    Weights are signed and of a scale for each channel, activations unsigned; one thread.
    """
    if any(find_spec(name) is None for name in ("onnx", "onnxruntime", "onnxscript")):
        return None
    import onnxruntime as ort
    from onnxruntime.quantization import QuantType, quantize_static

    first = torch.from_numpy(images[:batch]).float()
    source, quantized = folder / "float.onnx", folder / "int8.onnx"
    torch.onnx.export(model, (first,), str(source), input_names=["x"], verbose=False)
    quantize_static(
        str(source),
        str(quantized),
        _Reader(images, batch),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(quantized), options, providers=["CPUExecutionProvider"])

    def run(images: Images) -> None:
        for start in range(0, len(images) - batch + 1, batch):
            session.run(None, {"x": images[start : start + batch].astype(np.float32)})

    return run


class _Reader:
    """Images for the calibration of ONNX Runtime."""

    def __init__(self, images: Images, batch: int) -> None:
        starts = range(0, min(len(images), CALIBRATION_IMAGES + batch - 1) - batch + 1, batch)
        self.batches: Iterator[dict[str, Any]] = iter(
            [{"x": images[start : start + batch].astype(np.float32)} for start in starts]
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self.batches, None)
