"""Geometry of windows: kernels, strides and padding of convolutions and poolings."""

from dataclasses import dataclass

from sqhw.frontends.neutral.operators import Padding, Pair
from sqhw.frontends.onnx_file.node import Node, Unsupported

#: Ways of padding (attribute auto_pad) that have the size of the input divided by the stride.
SAME = ("SAME_UPPER", "SAME_LOWER")


@dataclass(frozen=True)
class Windows:
    """Windows on maps of two axes; maps of one axis have 1 along the other.

    Parameters
    ----------
    kernel, stride, dilation : tuple of int (down, right)
    padding : tuple of int (top, bottom, left, right)
        With what lies beyond the border in ceil mode.
    own : tuple of int (top, bottom, left, right)
        The padding without that.
    """

    kernel: Pair
    stride: Pair
    dilation: Pair
    padding: Padding
    own: Padding


def windows_of(
    node: Node, shape: tuple[int, ...], axis: int, kernel: tuple[int, ...] | None
) -> Windows:
    """Return the windows of a node.

    Parameters
    ----------
    node : Node
        A convolution or pooling.
    shape : tuple of int
        Shape of its input: images, channels, then one or two sizes.
    axis : int
        Axis of the tensor along which a map of one axis lies: 1 is down, 2 is right.
    kernel : tuple of int, optional
        Size of the window, if no attribute says it.
    """
    sizes = shape[2:]
    count = len(sizes)
    window = node.integers("kernel_shape", kernel)
    strides = node.integers("strides", (1,) * count)
    dilations = node.integers("dilations", (1,) * count)
    pads = node.integers("pads", (0,) * (2 * count))
    if window is None or strides is None or dilations is None or pads is None:
        raise Unsupported("has no kernel_shape")
    if not len(window) == len(strides) == len(dilations) == count or len(pads) != 2 * count:
        raise Unsupported(f"has windows of {len(window)} axes on a map of {count}")
    if min(*window, *strides, *dilations) < 1 or min(pads) < 0:
        raise Unsupported(
            f"has kernel {window}, strides {strides}, dilations {dilations}, pads {pads}",
            "use positive numbers",
        )
    ceil = node.integer("ceil_mode", 0)
    auto = node.text("auto_pad", "NOTSET")
    parts = []
    for at in range(count):
        extent = (window[at] - 1) * dilations[at] + 1
        before, after = pads[at], pads[count + at]
        if auto in SAME:
            total = max(0, (-(-sizes[at] // strides[at]) - 1) * strides[at] + extent - sizes[at])
            small, large = total // 2, total - total // 2
            before, after = (small, large) if auto == "SAME_UPPER" else (large, small)
        elif auto == "VALID":
            before = after = 0
        elif auto != "NOTSET":
            raise Unsupported(f"has auto_pad {auto!r}")
        span = sizes[at] + before + after - extent
        more = 0
        if ceil and span > 0 and span % strides[at]:
            # a last window counts only if it begins inside the map or its padding before
            if -(-span // strides[at]) * strides[at] < sizes[at] + before:
                more = strides[at] - span % strides[at]
        parts.append((window[at], strides[at], dilations[at], before, after, more))
    if count == 1:
        one = (1, 1, 1, 0, 0, 0)
        parts = [one, parts[0]] if axis == 2 else [parts[0], one]
    (kh, sh, dh, top, bottom, low), (kw, sw, dw, left, right, east) = parts
    return Windows(
        kernel=(kh, kw),
        stride=(sh, sw),
        dilation=(dh, dw),
        padding=(top, bottom + low, left, right + east),
        own=(top, bottom, left, right),
    )


def line_axis(axes: tuple[int | None, ...]) -> int:
    """Return the axis of the tensor along which a map lies that may have one axis only."""
    return 1 if len(axes) == 2 and axes[1] == 1 else 2
