"""The end of a bitstream of an ECP5, written bit by bit."""

HEAD = bytes.fromhex("ff00") + b"Part: LFE5U-25F-6CABGA381\0" + bytes.fromhex("ffffffbdb3")
END = bytes.fromhex("5e000000ffffffff")


def crc16(data):
    """Return the CRC-16/UMTS of bytes."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x8005 if crc & 0x8000 else 0)) & 0xFFFF
    return crc


def block(number, values):
    """Return the commands that write 2,048 values of 9 bits into a block RAM."""
    bits = "".join(f"{value:09b}" for value in values)
    data = bytes.fromhex("f6000000") + (number << 11).to_bytes(4, "big") + bytes.fromhex("b2d00100")
    data += int(bits, 2).to_bytes(len(bits) // 8, "big")
    return data + crc16(data).to_bytes(2, "big")


def bitstream(blocks):
    """Return a bitstream whose block RAMs have values by their numbers, and no logic."""
    return HEAD + b"".join(block(number, values) for number, values in blocks.items()) + END
