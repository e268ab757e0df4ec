"""A quantized network as C99: integer arithmetic, no library, equal to the simulator."""

import re
from collections.abc import Iterable
from importlib import resources
from math import prod

import numpy as np
import numpy.typing as npt

from sqhw import __version__
from sqhw.export.networks.arena import places
from sqhw.export.networks.c_weights import entries
from sqhw.network.graph import INPUT, MaxPool
from sqhw.network.quantized import Layer, QuantizedNetwork
from sqhw.sim.simulator import Simulator

#: Largest sum that a 32-bit integer holds.
MAX_SUM = (1 << 31) - 1
#: Number of random images in the program, and their seed.
VECTORS, SEED = 4, 99
#: Constants of a line.
LINE = 20


def c_files(network: QuantizedNetwork, stem: str) -> dict[str, bytes]:
    """Return a C99 program by file: the network, its header, and a ``main`` with test vectors.

    Weights are decoded: all of a layer in one array, or its non-zero ones with the zeros before
    each, whichever is shorter. Activations are 16-bit integers, sums are 32-bit ones, or of 64
    bits if the static bound of a layer is beyond. No function is called but those of the file.

    Parameters
    ----------
    network : QuantizedNetwork
    stem : str
        Name of the files without suffix; functions and macros begin with it, characters that are
        none of an identifier replaced.

    Raises
    ------
    SqhwError
        If a layer is of a kind that the program does not have.
    """
    return {
        f"{stem}.h": _header(network, stem).encode(),
        f"{stem}.c": _source(network, stem).encode(),
        f"{stem}_main.c": _main(network, stem).encode(),
    }


def identifier(stem: str) -> str:
    """Return a name as an identifier of C."""
    name = re.sub("[^0-9A-Za-z_]", "_", stem)
    return name if name[:1].isalpha() else f"net_{name}"


def _title(network: QuantizedNetwork, text: str) -> str:
    """Return the comment at the top of a file; names of networks may have any character."""
    name = re.sub("[^0-9A-Za-z_.+ -]", "_", network.name)
    return f"/* {text} {name}, written by sqhw {__version__}. */"


def _header(network: QuantizedNetwork, stem: str) -> str:
    name = identifier(stem)
    upper = name.upper()
    channels, height, width = network.input_shape
    scores = prod(network.shapes()[network.layers[-1].name])
    pixel = "int8_t" if network.input_format.signed else "uint8_t"
    return f"""{_title(network, "Integer inference of network")}
#ifndef {upper}_H
#define {upper}_H

#include <stdint.h>

#define {upper}_CHANNELS {channels}
#define {upper}_HEIGHT {height}
#define {upper}_WIDTH {width}
#define {upper}_PIXELS {channels * height * width}
#define {upper}_SCORES {scores}

typedef {pixel} {name}_pixel;

/* Run one image: {upper}_PIXELS pixels of {network.input_format.lo} to \
{network.input_format.hi}, a channel after the other, each row by row,
   to {upper}_SCORES scores in the same order. Maps lie in static memory: one call at a time. */
void {name}_run(const {name}_pixel *pixels, int16_t *scores);

#endif
"""


def _source(network: QuantizedNetwork, stem: str) -> str:
    name = identifier(stem)
    offsets, values = places(network)
    shapes = network.shapes()
    bound = max([0, *network.acc_bounds().values()])
    planes = [prod(shapes[layer.name][1:]) for layer in network.convs] or [1]
    last = network.layers[-1].name
    arrays = [text for at, layer in enumerate(network.layers) for text in _arrays(at, layer)]
    rows = [_row(network, offsets, at, layer) for at, layer in enumerate(network.layers)]
    runtime = resources.files(__package__).joinpath("runtime.c").read_text(encoding="utf-8")
    return f"""{_title(network, "Integer inference of network")}
#include <stddef.h>

#include "{stem}.h"

/* Sums are at most {bound} in magnitude. */
typedef int{32 if bound <= MAX_SUM else 64}_t sum_t;

static int16_t maps[{values}];
static sum_t sums[{max(planes)}];

{runtime}
{"".join(arrays)}
static const struct layer layers[{len(rows)}] = {{
{"".join(rows)}}};

void {name}_run(const {name}_pixel *pixels, int16_t *scores)
{{
    long at;
    for (at = 0; at < {prod(network.input_shape)}; at++) {{
        maps[{offsets[INPUT]} + at] = pixels[at];
    }}
    for (at = 0; at < {len(rows)}; at++) {{
        if (layers[at].maximum) {{
            maximum(&layers[at]);
        }} else {{
            convolution(&layers[at]);
        }}
    }}
    for (at = 0; at < {prod(shapes[last])}; at++) {{
        scores[at] = maps[{offsets[last]} + at];
    }}
}}
"""


def _arrays(at: int, layer: Layer) -> list[str]:
    """Return the definitions of a layer's constants."""
    if isinstance(layer, MaxPool):
        return []
    made = entries(layer.weight)
    parts = [] if made.gap is None else [_array("uint8_t", f"gap_{at}", made.gap)]
    return [
        *parts,
        _array("int8_t", f"weight_{at}", made.weight),
        _array("int32_t", f"bias_{at}", layer.bias),
        _array("uint16_t", f"multiplier_{at}", layer.multiplier),
        _array("uint8_t", f"shift_{at}", layer.shift),
        *([_array("int16_t", f"table_{at}", np.array(layer.table))] if layer.table else []),
    ]


def _array(kind: str, name: str, values: npt.NDArray[np.integer]) -> str:
    numbers = [_number(int(value)) for value in values] or ["0"]
    lines = (", ".join(numbers[at : at + LINE]) for at in range(0, len(numbers), LINE))
    body = ",\n    ".join(lines)
    return f"static const {kind} {name}[{len(numbers)}] = {{\n    {body}\n}};\n"


def _number(value: int) -> str:
    """Return a constant; the lowest 32-bit integer has none of its own in C."""
    return str(value) if value > -(1 << 31) else "-2147483647 - 1"


def _row(network: QuantizedNetwork, offsets: dict[str, int], at: int, layer: Layer) -> str:
    """Return the record of a layer, in the order of the fields of `struct layer`."""
    shapes, form = network.shapes(), network.formats()[layer.name]
    head: list[object] = [int(isinstance(layer, MaxPool))]
    head += [offsets[layer.source], offsets[layer.name], *shapes[layer.source], *shapes[layer.name]]
    if isinstance(layer, MaxPool):
        top, _, left, _ = layer.padding
        fields = [*head, *layer.window, *layer.strides, top, left, 1, 0]
        fields += [*["NULL"] * 5, form.lo, form.hi, "NULL"]
    else:
        made = entries(layer.weight)
        top, _, left, _ = layer.padding
        fields = [*head, *layer.kernel, *layer.strides, top, left, layer.groups]
        fields += [len(made.weight), "NULL" if made.gap is None else f"gap_{at}"]
        fields += [f"{name}_{at}" for name in ("weight", "bias", "multiplier", "shift")]
        fields += [layer.clamped.lo, layer.clamped.hi]
        fields += [f"table_{at}" if layer.table else "NULL"]
    skip = None if isinstance(layer, MaxPool) else layer.residual
    if skip is None:
        fields += [0] * 7
    else:
        fields += [skip.weight, offsets[skip.source], *shapes[skip.source], skip.stride, skip.first]
    return f"    {{{_joined(fields)}}},\n"


def _joined(fields: Iterable[object]) -> str:
    return ", ".join(map(str, fields))


def _main(network: QuantizedNetwork, stem: str) -> str:
    name = identifier(stem)
    upper = name.upper()
    form = network.input_format
    shape = (VECTORS, *network.input_shape)
    images = np.random.default_rng(SEED).integers(form.lo, form.hi + 1, shape)
    scores = Simulator(network).run(images)[network.layers[-1].name]
    return f"""{_title(network, "A program that runs network")}
#include <stdio.h>

#include "{stem}.h"

/* Random images, and the scores of sqhw's simulator. */
{_array(f"{name}_pixel", "images", images.reshape(-1))}\
{_array("int16_t", "expected", scores.reshape(-1))}
static int run_vectors(void)
{{
    int16_t scores[{upper}_SCORES];
    int image, at, wrong = 0;
    for (image = 0; image < {VECTORS}; image++) {{
        {name}_run(images + (long)image * {upper}_PIXELS, scores);
        for (at = 0; at < {upper}_SCORES; at++) {{
            wrong += scores[at] != expected[(long)image * {upper}_SCORES + at];
        }}
    }}
    printf("%s: %d of %d scores of {VECTORS} images differ\\n", wrong ? "FAIL" : "PASS", wrong,
           {VECTORS} * {upper}_SCORES);
    return wrong != 0;
}}

/* Without an argument: the images above. With a file: its images, a byte a pixel. */
int main(int arguments, char **argument)
{{
    static {name}_pixel pixels[{upper}_PIXELS];
    int16_t scores[{upper}_SCORES];
    int at;
    FILE *file;
    if (arguments < 2) {{
        return run_vectors();
    }}
    file = fopen(argument[1], "rb");
    if (!file) {{
        fprintf(stderr, "%s: cannot be read\\n", argument[1]);
        return 1;
    }}
    while (fread(pixels, 1, {upper}_PIXELS, file) == {upper}_PIXELS) {{
        {name}_run(pixels, scores);
        for (at = 0; at < {upper}_SCORES; at++) {{
            printf(at ? " %d" : "%d", scores[at]);
        }}
        printf("\\n");
    }}
    fclose(file);
    return 0;
}}
"""
