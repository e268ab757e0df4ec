"""How far the number formats of the products in training are exact."""

FLOAT32_EXACT = 1 << 24  # integers below it are exact in float32
