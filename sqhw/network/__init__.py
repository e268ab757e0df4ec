"""Networks as data: float and quantized, their files, facts and exact simplification."""
