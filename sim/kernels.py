"""Numba kernels of the simulator: a weight is a scalar, a row of positions is a vector."""

import numpy as np
from numba import prange

from sqhw.environment.kernel import kernel


@kernel(parallel=True)
def conv(x, starts, ys, xs, channels, weights, preload, multiplier, shift, stride, lo, hi, y):  # type: ignore[no-untyped-def]
    """Run a sparse convolution over a batch, one image a thread.

    Parameters
    ----------
    x : ndarray of int32, shape (images, in_channels, height, width)
        Input, padding included.
    starts : ndarray of int64, shape (out_channels + 1,)
        First non-zero of each output channel in the four arrays that follow.
    ys, xs, channels, weights : ndarray of int32, shape (non_zeros,)
        Kernel row, kernel column, input channel and value of each non-zero weight.
    preload : ndarray of int32, shape (images, out_channels, out_height or 1, out_width or 1)
        What the accumulators begin with: the bias, and a residual if there is one.
    multiplier, shift : ndarray of int64, shape (out_channels,)
    stride, lo, hi : int
    y : ndarray of int32, shape (images, out_channels, out_height, out_width)
        Output, overwritten.
    """
    images, outputs, height, width = y.shape
    for image in prange(images):
        acc = np.empty((height, width), dtype=np.int32)
        for output in range(outputs):
            acc[:] = preload[image % preload.shape[0], output]
            for at in range(starts[output], starts[output + 1]):
                weight = weights[at]
                for row in range(height):
                    line = x[image, channels[at], row * stride + ys[at]]
                    if stride == 1:
                        for column in range(width):
                            acc[row, column] += weight * line[column + xs[at]]
                    else:
                        for column in range(width):
                            acc[row, column] += weight * line[column * stride + xs[at]]
            half = np.int64(0)
            if shift[output] > 0:
                half = np.int64(1) << (shift[output] - 1)
            for row in range(height):
                for column in range(width):
                    value = (np.int64(acc[row, column]) * multiplier[output] + half) >> shift[
                        output
                    ]
                    y[image, output, row, column] = min(max(value, lo), hi)


@kernel(parallel=True)
def maxpool(x, kernel, stride, y):  # type: ignore[no-untyped-def]
    """Run max pooling over a batch.

    Parameters
    ----------
    x : ndarray of int32, shape (images, channels, height, width)
    kernel, stride : int
    y : ndarray of int32, shape (images, channels, out_height, out_width)
        Output, overwritten.
    """
    images, channels, height, width = y.shape
    for image in prange(images):
        for channel in range(channels):
            for row in range(height):
                for column in range(width):
                    best = x[image, channel, row * stride, column * stride]
                    for i in range(kernel):
                        for j in range(kernel):
                            best = max(
                                best, x[image, channel, row * stride + i, column * stride + j]
                            )
                    y[image, channel, row, column] = best
