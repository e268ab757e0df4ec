"""A decoder of sqhw's files, written from docs/format.md alone: it imports nothing of sqhw."""

import base64
import hashlib
import json
import re
import struct
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs" / "format.md").read_text()
SIZES = {"I8": (1, "b"), "I32": (4, "i"), "F32": (4, "f"), "F64": (8, "d")}
NUMPY = {"I8": "int8", "I32": "int32", "F32": "float32", "F64": "float64"}


def block(label):
    """Return the text of a fenced block of the page."""
    (text,) = re.findall(rf"^```\w+ {re.escape(label)}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return text


def table(section, header):
    """Return the rows of a table of the page, each a list of cells without back quotes."""
    text = PAGE[re.search(rf"^#+ {section}$", PAGE, re.MULTILINE).end() :]
    lines = text[text.index(f"\n| {header} |") + 1 :].splitlines()
    end = next((n for n, line in enumerate(lines) if not line.startswith("|")), len(lines))
    return [
        [cell.strip().replace("`", "") for cell in line.split("|")[1:-1]] for line in lines[2:end]
    ]


def example_file():
    return base64.b64decode(block("tiny.safetensors"))


def example_roms():
    """Return the words of the example's ROMs by name."""
    names = ("weights", "codebook", "params")
    return {name: [int(word, 16) for word in block(f"{name}.hex").split()] for name in names}


# Network files


def network_file(data):
    """Return key, description and tensors (type, shape, flat values) of a network file.

    The checksum is checked.
    """
    (length,) = struct.unpack_from("<Q", data)
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    ((key, text),) = header.pop("__metadata__").items()
    description = json.loads(text)
    tensors, raw = {}, {}
    for name, entry in header.items():
        first, end = entry["data_offsets"]
        size, code = SIZES[entry["dtype"]]
        raw[name] = body[first:end]
        values = list(struct.unpack(f"<{(end - first) // size}{code}", raw[name]))
        tensors[name] = entry["dtype"], tuple(entry["shape"]), values
    digest = hashlib.sha256(json.dumps(description["network"], sort_keys=True).encode())
    for name in sorted(tensors):
        kind, shape, _ = tensors[name]
        sizes = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
        digest.update(f"\n{name} {NUMPY[kind]} ({sizes})\n".encode() + raw[name])
    assert digest.hexdigest() == description["sha256"]
    return key, description, tensors


# ROM images


def bits(words, word_bits, first, width):
    """Return the number in `width` bits of a sequence of words, from bit `first` upwards."""
    if not width:
        return 0
    low, high = first // word_bits, (first + width - 1) // word_bits
    number = sum(word << k * word_bits for k, word in enumerate(words[low : high + 1]))
    return number >> first % word_bits & ((1 << width) - 1)


def signed(value, width):
    return value - (1 << width) if width and value >> (width - 1) else value


def symbols(engine):
    """Return the values of the symbols that widths are written in."""
    log2 = {name: engine[name].bit_length() - 1 for name in ("bank_depth", "lanes", "max_batch")}
    return {
        **engine,
        "row": log2["bank_depth"],
        "lane": log2["lanes"],
        "dim": engine["dim_bits"],
        "width": engine["word_bits"].bit_length(),
        "batch": log2["max_batch"].bit_length(),
    }


def descriptor_layout(engine):
    """Return name, width and type of each field of a descriptor of an engine, in order."""
    values = symbols(engine)
    rows = table("Descriptor", "field | bits | type | if | meaning")
    return [
        (name, number(width, values), kind)
        for name, width, kind, condition, _ in rows
        if not condition or holds(condition, values)
    ]


def number(text, values):
    """Return a sum of numbers and symbols, such as ``dim + 1``."""
    parts = text.split(" + ")
    return sum(int(part) if part.isdigit() else values[part] for part in parts)


def holds(condition, values):
    """Return whether the condition ``field`` or ``field > number`` holds."""
    name, _, bound = condition.partition(" > ")
    return values.get(name, 0) > int(bound or 0)


def descriptors(params, engine):
    """Return the fields of all descriptors by name."""
    layout, word = descriptor_layout(engine), engine["word_bits"]
    length = -(-sum(width for _, width, _ in layout) // word) * word
    found, first = [], 0
    while not found or not found[-1]["last"]:
        at, fields = first, {}
        for name, width, kind in layout:
            value = bits(params, word, at, width)
            fields[name] = signed(value, width) if kind == "s" else value
            at += width
        found.append(fields)
        first += length
    return found


def records(params, engine, layer):
    """Return count, bias, multiplier and shift of each output channel of a layer."""
    word, at, found = engine["word_bits"], layer["param_addr"] * engine["word_bits"], []
    names = [
        (name, layer[width]) for name, width, _ in table("Channel records", "field | bits | value")
    ]
    high = layer["bias_lo_width"] + layer["bias_hi_width"]
    for _ in range(layer["last_channel"] + 1):
        fields = {}
        for name, width in names:
            fields[name] = bits(params, word, at, width)
            at += width
        bias = signed(fields["bias_hi"] << layer["bias_lo_width"] | fields["bias_lo"], high)
        found.append(
            {
                "count": fields["count"] + layer["count_base"],
                "bias": bias << layer["bias_shift"],
                "multiplier": fields["multiplier"] + layer["multiplier_base"],
                "shift": fields["shift"] + layer["shift_base"],
            }
        )
    return found


def activation(params, engine, layer, is_signed):
    """Return the outputs of a layer's table for the integers from -128 on; none if it has none."""
    if not layer.get("table", 0):
        return []
    at, word = layer["table_addr"] * engine["word_bits"], engine["word_bits"]
    found = [bits(params, word, at + 8 * n, 8) for n in range(256)]
    found = [signed(value, 8) if is_signed else value for value in found]
    return found[128:] + found[:128]


def weights(roms, engine, layer):
    """Return the weights of each output channel of a convolution: value by position."""
    word, gap_bits = engine["word_bits"], layer.get("gap_bits", 0)
    book = [signed(value, 8) for value in roms["codebook"][layer["codebook_addr"] :]]
    at, found = layer["weight_addr"] * word, []
    ones, quotient_at = layer.get("filler_ones", 0), layer.get("quotient_addr", 0) * word
    for record in records(roms["params"], engine, layer):
        position, channel = 0, {}
        for _ in range(record["count"]):
            quotient = 0
            while quotient < ones and bits(roms["weights"], word, quotient_at + quotient, 1):
                quotient += 1
            quotient_at += quotient + (quotient < ones)
            position += quotient << gap_bits
            if ones and quotient == ones:
                continue
            entry = bits(roms["weights"], word, at, layer["entry_bits"])
            at += layer["entry_bits"]
            gap, code = entry & ((1 << gap_bits) - 1), entry >> gap_bits
            position += gap
            if gap_bits and not ones and gap == (1 << gap_bits) - 1:
                assert code == 0
                continue
            channel[position] = book[code]
            position += 1
        found.append(channel)
    return found


def dense(channels, shape):
    """Return weights by position as a flat list in the order of a tensor of that shape."""
    _, inputs, height, width = shape
    return [
        channel.get((i * width + j) * inputs + c, 0)
        for channel in channels
        for c in range(inputs)
        for i in range(height)
        for j in range(width)
    ]


# Arithmetic


def run(network, tensors, image):
    """Return the maps of all layers, nested lists of (channel, row, column), by name."""
    maps = {"input": image}
    for layer in network["layers"]:
        function = maximum if layer["kind"] == "maxpool" else convolution
        maps[layer["name"]] = function(layer, tensors, maps)
    return maps


def convolution(layer, tensors, maps):
    source, skip = maps[layer["source"]], layer["residual"]
    tensor = {name: tensors[f"{layer['name']}.{name}"] for name in ("weight", "bias")}
    (outputs, inputs, kh, kw), weight = tensor["weight"][1:]
    top, bottom, left, right = layer["padding"]
    stride, fmt = layer["stride"], layer["output"]
    half = 1 << (fmt["bits"] - 1)
    lowest, highest = (-half, half - 1) if fmt["signed"] else (0, 2 * half - 1)
    height, width = len(source[0]), len(source[0][0])
    rows, columns = (
        (height + top + bottom - kh) // stride + 1,
        (width + left + right - kw) // stride + 1,
    )

    def output(o, y, x):
        g = o // (outputs // layer["groups"]) * inputs
        acc = tensor["bias"][2][o]
        for c in range(inputs):
            for i in range(kh):
                for j in range(kw):
                    r, s = stride * y + i - top, stride * x + j - left
                    if 0 <= r < height and 0 <= s < width:
                        acc += weight[((o * inputs + c) * kh + i) * kw + j] * source[g + c][r][s]
        if skip and 0 <= o - skip["first"] < len(maps[skip["source"]]):
            added = maps[skip["source"]][o - skip["first"]]
            acc += skip["weight"] * added[skip["stride"] * y][skip["stride"] * x]
        shift = tensors[f"{layer['name']}.shift"][2][o]
        value = acc * tensors[f"{layer['name']}.multiplier"][2][o]
        value = value + (1 << (shift - 1)) >> shift if shift else value
        if layer.get("table"):
            return layer["table"][max(-128, min(127, value)) + 128]
        return max(lowest, min(highest, value))

    return [
        [[output(o, y, x) for x in range(columns)] for y in range(rows)] for o in range(outputs)
    ]


def maximum(layer, tensors, maps):
    kernel, stride = layer["kernel"], layer["stride"]
    return [
        [
            [
                max(channel[y + i][x + j] for i in range(kernel) for j in range(kernel))
                for x in range(0, len(channel[0]) - kernel + 1, stride)
            ]
            for y in range(0, len(channel) - kernel + 1, stride)
        ]
        for channel in maps[layer["source"]]
    ]
