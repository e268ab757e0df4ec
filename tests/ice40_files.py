"""Bitstreams of iCE40 devices without logic, byte by byte as icepack writes them."""

from binascii import crc_hqx

#: Devices: columns with block RAM, heights of the block RAMs of a bank of each half, width and
#: heights of the configuration's banks.
DEVICES = {
    "1k": ((3, 10), (4, 4), 332, (144, 144)),
    "8k": ((8, 25), (8, 8), 872, (272, 272)),
    "5k": ((6, 19), (10, 5), 692, (336, 176)),
}
HEAD = b"\xff\x00\x00\xff" + bytes.fromhex("7eaa997e")


def short(opcode, value, size):
    """Return a command."""
    return bytes([opcode << 4 | size]) + value.to_bytes(size, "big")


def blocks_of(device):
    """Return the places of a device's block RAMs, by bank."""
    columns, counts, _, _ = DEVICES[device]
    banks = []
    for x in columns:
        below, above = counts
        banks.append([(x, 1 + 2 * number) for number in range(below)])
        banks.append([(x, 1 + 2 * number) for number in range(below, below + above)])
    return banks


def bitstream(device, words):
    """Return a bitstream with 256 words of 16 bits in each block, by its place (x, y)."""
    _, counts, width, heights = DEVICES[device]
    equal = heights[0] == heights[1]  # then icepack writes heights and widths once
    first_rows, height = short(8, 0, 2), short(7, heights[0], 2)
    out = [short(9, 0x20, 2), short(6, width - 1, 2)]
    out += [height, first_rows] if equal else [first_rows, height]
    for bank in range(4):
        height = heights[bank % 2]
        if bank and not equal:
            out.append(short(7, height, 2))
        out += [short(1, bank, 1), short(0, 1, 1), bytes(width * height // 8 + 2)]
    bank_width = short(6, 16 * counts[0] - 1, 2)
    out += [bank_width, short(7, 128, 2)] if equal else [short(7, 128, 2)]
    for bank, places in enumerate(blocks_of(device)):
        out.append(short(1, bank, 1))
        for first in (0, 128):
            width_too = [] if equal else [short(6, 16 * len(places) - 1, 2)]
            out += [short(8, first, 2), *width_too, short(0, 3, 1)]
            for row in range(first, first + 128):
                out += [words[place][row].to_bytes(2, "big") for place in places]
            out.append(bytes(2))
    out.append(b"\x22")
    body = b"".join(out)
    crc = crc_hqx(body, 0xFFFF).to_bytes(2, "big")
    return HEAD + bytes.fromhex("51000105") + body + crc + bytes.fromhex("010600")


def text(device, words):
    """Return the same design as nextpnr writes it."""
    lines = [".comment test", f".device {device}"]
    for (x, y), block in words.items():
        lines.append(f".ram_data {x} {y}")
        for line in range(0, 256, 16):
            lines.append("".join(f"{word:04x}" for word in reversed(block[line : line + 16])))
    return "\n".join(lines) + "\n"


def some_words(device, seed):
    """Return words for all blocks of a device."""
    places = [place for bank in blocks_of(device) for place in bank]
    return {
        place: [(seed * 7919 + number * 40503 + row * 2654435 >> 3) % 65536 for row in range(256)]
        for number, place in enumerate(places)
    }
