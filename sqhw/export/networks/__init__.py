"""Quantized networks in formats that other programs run: C99 and ONNX."""
