"""Limits of what a file may hold: one set for every reader.

They lie far above what any network, data set or device on record needs and bound the time and the
memory that reading an unknown file takes. What a network itself may be is in `sqhw.network.limits`.
"""

#: JSON: manifests, accounts, calibrations, the headers of networks (unit: byte).
MAX_JSON_BYTES = 8 << 20
#: TOML: devices, technologies (unit: byte).
MAX_TOML_BYTES = 64 << 10
#: The header of a safetensors file, which holds JSON as a text within JSON (unit: byte).
MAX_HEADER_BYTES = 16 << 20
#: Networks, plain weights (unit: byte). 500 million weights of 32 bits.
MAX_NETWORK_BYTES = 2 << 30
#: Checkpoints of a training: weights, optimizer and best network (unit: byte).
MAX_CHECKPOINT_BYTES = 8 << 30
#: A file of a data set, decompressed (unit: byte).
MAX_DATA_BYTES = 2 << 30
#: A ROM image as text: 2**24 words, the most that an engine addresses, of 16 digits (unit: byte).
MAX_HEX_BYTES = 17 << 24

#: Lists and objects within one another, in JSON and TOML.
MAX_NESTING = 32
#: Digits of a whole number: those of 2**64 - 1.
MAX_INTEGER_DIGITS = 20
#: Characters of a number with a point or an exponent.
MAX_NUMBER_CHARS = 64
#: Characters of a name: of a network, a layer, a tensor.
MAX_NAME_CHARS = 1000
#: Values that are counted, in facts about a network: weights, bits, images.
MAX_COUNT = 1 << 53

#: Largest value of weights, scales, energies; the smallest of those that must be positive.
MAX_REAL = 2.0**40
MIN_REAL = 2.0**-40

#: Of anything that a device file counts: LUTs, blocks, bits of a cell. Devices have 10**7.
MAX_DEVICE_COUNT = 10**9
