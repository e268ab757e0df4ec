"""What to do instead of operators that are not supported, by their kind."""

from sqhw.frontends.onnx_file.node import Node

_RELU = "train with ReLU or ReLU6"
_NORM = "train with batch normalisation"
_STATIC = "quantize statically, with QuantizeLinear and DequantizeLinear (QDQ)"
_FLOW = "export the model without control flow"
_NO_LAYER = "the engine has no such layer; change the network"

_INSTEAD = {
    **dict.fromkeys(
        ("Celu", "Selu", "Softsign", "ThresholdedRelu"),
        _RELU,
    ),
    **dict.fromkeys(
        (
            *("GroupNormalization", "InstanceNormalization", "LayerNormalization", "LRN"),
            *("LpNormalization", "MeanVarianceNormalization", "RMSNormalization"),
        ),
        _NORM,
    ),
    **dict.fromkeys(("ConvInteger", "DynamicQuantizeLinear", "MatMulInteger"), _STATIC),
    **dict.fromkeys(("If", "Loop", "Scan"), _FLOW),
    **dict.fromkeys(
        (
            *("Attention", "ConvTranspose", "DepthToSpace", "Einsum", "GRU", "Gather"),
            *("LSTM", "RNN", "Resize", "SpaceToDepth", "Split", "Upsample"),
        ),
        _NO_LAYER,
    ),
    "MultiThreshold": "import the QONNX model as it was before FINN's streamlining",
    "FusedConv": "save the model without ONNX Runtime's optimisations",
    "NonMaxSuppression": "cut the network before it, by naming its output",
}


def instead_of(node: Node) -> str:
    """Return what to do instead of a node; nothing if no answer is known."""
    if node.kind in _INSTEAD:
        return _INSTEAD[node.kind]
    if node.domain.startswith("com.microsoft"):
        return "save the model without ONNX Runtime's optimisations"
    if node.domain:
        return f"the domain {node.domain!r} is unknown; inline functions with onnx.inliner"
    return ""
