"""Ways in: what makes float networks of models from elsewhere."""

from sqhw.frontends.onnx_file.importer import import_onnx

__all__ = ["import_onnx"]
