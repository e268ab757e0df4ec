"""Compiled functions: the layers of a plan, and the way of images into the arena and out of it."""

import hashlib
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
from numba.core import config

from sqhw.environment.kernel import kernel
from sqhw.sim import emit, plan_layout, vectors


def host_shape() -> vectors.Shape:
    """Return the shape of vectors for the machine that Numba compiles for, this one."""
    chosen = [vars(config).get(name) for name in ("CPU_NAME", "CPU_FEATURES")]
    if any(chosen):  # the user's, by Numba's variables
        named = str(chosen[1] or "").split(",")
        return vectors.shape_of({name[1:] for name in named if name.startswith("+")})
    try:
        features = llvm.get_host_cpu_features()
    except RuntimeError:  # unknown to LLVM
        return vectors.shape_of(set())
    return vectors.shape_of({name for name, there in features.items() if there})


#: Shape of vectors, and images of a vector.
SHAPE = host_shape()
LANES = SHAPE.lanes
#: Digest of the code that emits machine code. A kernel in the cache is of the same digest.
EMITTER = hashlib.sha256(
    b"".join(Path(str(module.__file__)).read_bytes() for module in (emit, plan_layout, vectors))
).hexdigest()


# not in a closure: it would make the key of the cache differ from process to process
run_layer = emit.layer_intrinsic(SHAPE)


def _run(emitted: tuple[str, vectors.Shape]) -> Any:
    block_segments = plan_layout.OP_FIELDS.index("block_segments")
    segments = plan_layout.OP_FIELDS.index("segments")

    @kernel(nogil=True)
    def run(plan, operations, split, arena, groups):  # type: ignore[no-untyped-def]
        """Run all layers on groups of images that are in the arena.

        Parameters
        ----------
        plan : ndarray of uint8
        operations : ndarray of int64, shape (operations, fields)
        split : int
            Number of operations that run group after group.
        arena : ndarray of uint8
        groups : int
        """
        assert emitted  # a part of the cache's key
        width = operations.shape[1] * 8
        record, memory, content = operations.ctypes.data, arena.ctypes.data, plan.ctypes.data
        for group in range(groups):
            for layer in range(split):
                op = operations[layer]
                blocks = -(-op[segments] // op[block_segments])
                run_layer(record + layer * width, memory, content, group, blocks)
        for layer in range(split, len(operations)):
            op = operations[layer]
            blocks = -(-op[segments] * groups // op[block_segments])
            run_layer(record + layer * width, memory, content, 0, blocks)

    return run


run = _run((EMITTER, SHAPE))


@kernel(nogil=True)
def pack(images, tensor, top, left):  # type: ignore[no-untyped-def]
    """Write images into a tensor of the arena; lanes without an image get zeros.

    Parameters
    ----------
    images : ndarray of uint8 or int32, shape (images, channels, height, width)
    tensor : ndarray of int16, shape (groups, pairs, padded height, padded width, lanes, 2)
    top, left : int
        Padding.
    """
    count, channels, height, width = images.shape
    lanes = tensor.shape[4]
    for group in range((count + lanes - 1) // lanes):
        live = min(lanes, count - group * lanes)
        for channel in range(channels):
            for row in range(height):
                for lane in range(lanes):
                    line = tensor[group, channel // 2, top + row, :, :, channel % 2]
                    if lane < live:
                        pixels = images[group * lanes + lane, channel, row]
                        for column in range(width):
                            line[left + column, lane] = pixels[column]
                    else:
                        for column in range(width):
                            line[left + column, lane] = 0


@kernel(nogil=True)
def unpack(tensor, top, left, maps):  # type: ignore[no-untyped-def]
    """Read images from a tensor of the arena.

    Parameters
    ----------
    tensor : ndarray of int16, shape (groups, pairs, padded height, padded width, lanes, 2)
    top, left : int
        Padding.
    maps : ndarray of int32, shape (images, channels, height, width)
        Overwritten.
    """
    count, channels, height, width = maps.shape
    lanes = tensor.shape[4]
    for image in range(count):
        group, lane = image // lanes, image % lanes
        for channel in range(channels):
            for row in range(height):
                line = tensor[group, channel // 2, top + row, :, :, channel % 2]
                for column in range(width):
                    maps[image, channel, row, column] = line[left + column, lane]
