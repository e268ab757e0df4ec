"""Published compression methods with one interface, to compare them on the same terms."""

from sqhw.compress.methods import (  # noqa: F401  (they register)
    deep_compression,
    ecsq,
    joint,
    low_rank,
    oneshot,
    sql,
    sqs,
    structured,
)
from sqhw.compress.methods.base import (
    METHODS,
    MethodConfig,
    compress_with,
    configure,
    find_method,
    register,
)
from sqhw.compress.methods.result import CompressionResult
from sqhw.compress.training.options import Recipe
from sqhw.size.layer_result import LayerResult

__all__ = [
    "METHODS",
    "CompressionResult",
    "LayerResult",
    "MethodConfig",
    "Recipe",
    "compress_with",
    "configure",
    "find_method",
    "register",
]
