"""Names and widths that options can have: known without importing the modules that use them."""

#: Number formats of the products in training.
PRECISIONS = ("auto", "float32", "bf16")
#: Optimizers of the usual trainings.
OPTIMIZERS = ("sgd", "adam")
#: Devices that train. One of several is named by its number too, ``cuda:1``.
ACCELERATORS = ("cpu", "cuda")
#: Objectives that weight streams are chosen for.
OBJECTIVES = ("rom", "cycles")
#: Objectives that `sqhw size` chooses them for.
SIZE_OBJECTIVES = ("rom", "cycles", "energy")
#: Simulators of the RTL.
SIMULATORS = ("verilator", "icarus", "cxxrtl")
#: Range of the width of an engine's accumulators (unit: bit).
LEAST_ACC_BITS, MOST_ACC_BITS = 16, 32
#: Kinds of RAM of an engine's activation banks: block RAM with a write and a read port, or RAM of
#: one port, which takes one address a cycle.
BANK_RAMS = ("block", "single-port")
#: Formats of memory images.
ROM_FORMATS = (
    "hex", "bmem", "coe", "updatemem", "mif", "quartus-hex", "ihex", "srec", "lattice-mem",
    "gowin-mi", "bin", "c", "npy",
)  # fmt: skip
#: Formats of exported networks.
EXPORT_FORMATS = ("c", "qdq", "qonnx", "exact")
#: Name that stands for the format of the device's vendor.
NATIVE_FORMAT = "native"
#: Largest width and depth of a memory of one's own (units: bit, word).
MAX_MEMORY_WIDTH, MAX_MEMORY_DEPTH = 4096, 1 << 24
#: Orders of the bytes of a word.
BYTE_ORDERS = ("little", "big")
#: Programs whose logits the simulator's are compared with.
PYTORCH, REFERENCE = "PyTorch", "NumPy reference"
#: Samplers of a space, and clusters of submitit.
SAMPLERS = ("random", "optuna")
CLUSTERS = ("local", "slurm")
#: Figures of a point, and whether the small or the large ones are better.
DIRECTIONS = {
    "accuracy": "maximize",
    "images_per_second": "maximize",
    "payload": "minimize",
    "stream": "minimize",
    "rom": "minimize",
    "weight_blocks": "minimize",
    "blocks": "minimize",
    "dsps": "minimize",
    "luts": "minimize",
    "image_cycles": "minimize",
    "energy_uj": "minimize",
}
