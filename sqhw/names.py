"""Names and widths that options can have: known without importing the modules that use them."""

#: Number formats of the products in training.
PRECISIONS = ("float32", "bf16")
#: How weights go.
PRUNING = ("auto", "gradual", "oneshot")
#: What trains; of several of a kind also ``cuda:1``.
ACCELERATORS = ("cpu", "cuda")
#: What streams are chosen for.
OBJECTIVES = ("rom", "cycles")
#: What `sqhw size` chooses them for.
WORTHS = ("rom", "cycles", "energy")
#: What runs the RTL.
SIMULATORS = ("verilator", "icarus", "cxxrtl")
#: Width of an engine's accumulators (unit: bit).
LEAST_ACC_BITS, MOST_ACC_BITS = 16, 32
