"""Compiled functions: the layers of a plan, and the way of images into the arena and out of it."""

import hashlib
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

from sqhw.environment.kernel import kernel
from sqhw.sim import emit, plan_layout


def host_lanes() -> int:
    """Return the images of a vector: as many float32 as a register of this machine has."""
    try:
        features = llvm.get_host_cpu_features()
    except RuntimeError:  # unknown to LLVM
        return 8
    return 16 if features.get("avx512f") else 8


#: Images of a vector.
LANES = host_lanes()
#: Digest of the code that emits machine code. A kernel in the cache is of the same digest.
EMITTER = hashlib.sha256(
    b"".join(Path(str(module.__file__)).read_bytes() for module in (emit, plan_layout))
).hexdigest()


# not in a closure: it would make the key of the cache differ from process to process
run_layer = emit.layer_intrinsic(LANES)


def _run(emitted: tuple[str, int]) -> Any:
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


run = _run((EMITTER, LANES))


@kernel(nogil=True)
def pack(images, tensor, top, left):  # type: ignore[no-untyped-def]
    """Write images into a tensor of the arena; lanes without an image get zeros.

    Parameters
    ----------
    images : ndarray of uint8 or int32, shape (images, channels, height, width)
    tensor : ndarray of float32, shape (groups, channels, padded height, padded width, lanes)
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
                    line = tensor[group, channel, top + row]
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
    tensor : ndarray of float32, shape (groups, channels, padded height, padded width, lanes)
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
                line = tensor[group, channel, top + row]
                for column in range(width):
                    maps[image, channel, row, column] = int(line[left + column, lane])
