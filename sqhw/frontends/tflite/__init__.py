"""TensorFlow Lite files: a reader on NumPy alone, and the arithmetic of the reference kernels."""

from sqhw.frontends.tflite.reader import read_tflite

__all__ = ["read_tflite"]
