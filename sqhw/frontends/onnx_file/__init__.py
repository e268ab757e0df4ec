"""ONNX files in: float and quantized models, read with the `onnx` package alone."""
