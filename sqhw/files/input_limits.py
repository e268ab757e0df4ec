"""Limits of what a file may hold: one set for every reader.

They lie far above what any network, data set or device on record needs and bound the time and the
memory that reading an unknown file takes. What a network itself may be is in `sqhw.network.limits`.
"""

#: Largest JSON text: manifests, accounts, calibrations, headers of networks (unit: byte).
MAX_JSON_BYTES = 8 << 20
#: Largest TOML file: devices, technologies (unit: byte).
MAX_TOML_BYTES = 64 << 10
#: Largest header of a safetensors file, which holds JSON as a text within JSON (unit: byte).
MAX_HEADER_BYTES = 16 << 20
#: Largest file of a network or of plain weights: 500 million weights of 32 bits (unit: byte).
MAX_NETWORK_BYTES = 2 << 30
#: Largest checkpoint of a training: weights, optimizer and best network (unit: byte).
MAX_CHECKPOINT_BYTES = 8 << 30
#: Largest file of a data set, decompressed (unit: byte).
MAX_DATA_BYTES = 2 << 30
#: Largest file of one picture (unit: byte), and most pixels of one.
MAX_PICTURE_BYTES, MAX_PICTURE_PIXELS = 64 << 20, 1 << 26
#: Most pictures of a data set.
MAX_PICTURES = 1 << 20
#: Most arrays in a file of a data set, and the largest header of one (unit: byte).
MAX_ARRAYS, MAX_ARRAY_HEADER_BYTES = 256, 10_000
#: Largest ROM image as text (unit: byte): 2**24 words, the most that an engine addresses, of 16
#: digits each.
MAX_HEX_BYTES = 17 << 24

#: Deepest nesting of lists and objects in JSON and TOML.
MAX_NESTING = 32
#: Most digits of a whole number: those of 2**64 - 1.
MAX_INTEGER_DIGITS = 20
#: Most characters of a number with a point or an exponent.
MAX_NUMBER_CHARS = 64
#: Most characters of the name of a network, a layer or a tensor.
MAX_NAME_CHARS = 1000
#: Largest count in the facts about a network: weights, bits, images.
MAX_COUNT = 1 << 53

#: Largest weight, scale or energy, and the smallest where it must be positive.
MAX_REAL = 2.0**40
MIN_REAL = 2.0**-40

#: Largest count in a device file: LUTs, blocks, bits of a cell. Devices have 10**7.
MAX_DEVICE_COUNT = 10**9
