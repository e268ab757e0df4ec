"""Number formats of the products in training, and how far they are exact."""

PRECISIONS = ("float32", "bf16")
FLOAT32_EXACT = 1 << 24  # integers below it are exact in float32
