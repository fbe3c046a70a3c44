"""What is known about TensorFlow's operations. One that is in none of these tables has no rule: an error."""

from __future__ import annotations

from typing import Any

from attribeval import _tf as tf

# The result depends on the shape of the input but not on its values.
SHAPE_ONLY = frozenset({"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"})

# Every output value is the input value at the same place. (IdentityN: what `tf.custom_gradient` wraps a result in;
# StopGradient: values pass, and these rules are about values.)
SAME = frozenset({"Identity", "IdentityN", "StopGradient", "EnsureShape", "Cast", "CheckNumerics", "Snapshot"})

# Every output value is one input value, or a constant; an input value may go to several places or to none.
MOVING = frozenset(
    {
        "Reshape", "Squeeze", "ExpandDims", "Transpose", "Pad", "PadV2", "MirrorPad", "ConcatV2", "Pack", "Unpack",
        "Split", "SplitV", "Slice", "StridedSlice", "GatherV2", "Tile", "BroadcastTo", "SpaceToBatchND",
        "BatchToSpaceND", "SpaceToDepth", "DepthToSpace", "ReverseV2", "Roll", "ResizeNearestNeighbor",
    }
)  # fmt: skip

# Sums of input values with positive constant weights.
AVERAGING = frozenset({"AvgPool", "Mean", "Sum", "ResizeBilinear"})

ADDING = frozenset({"AddV2", "Add", "AddN", "Sub", "Neg", "BiasAdd"})
SCALING = frozenset({"Mul", "RealDiv", "FusedBatchNormV3"})

# Operation → (position of the data, position of the weights).
WEIGHTED = {
    "Conv2D": (0, 1),
    "DepthwiseConv2dNative": (0, 1),
    "Conv2DBackpropInput": (2, 1),  # a transposed convolution
    "MatMul": (0, 1),
    "Einsum": (0, 1),
}

# Products of two tensors, of which either may be the data; of two feature maps in attention.
PRODUCTS = frozenset({"MatMul", "BatchMatMulV2", "Einsum"})

# At most quadratic in their inputs together: the gradient at the midpoint of two inputs gives their exact difference.
QUADRATIC = frozenset(
    {"Mul", "MatMul", "BatchMatMulV2", "Einsum", "Conv2D", "DepthwiseConv2dNative", "Square", "SquaredDifference"}
)

# The output is the largest input: of a window, of an axis, of two tensors.
LARGEST = frozenset({"MaxPool", "Max", "Maximum"})

# Elementwise functions of one input value → (relative, absolute) difference of inputs below which the quotient of
# differences says less than the derivative at their midpoint. Those with a kink are piecewise linear, where the
# quotient is good down to rounding; the smooth ones have derivatives of order 1, those of the last line near 0 do not.
ELEMENTWISE = (
    dict.fromkeys(("Relu", "Relu6", "LeakyRelu", "Selu", "Abs", "Maximum", "Minimum", "ClipByValue"), (1e-7, 0.0))
    | dict.fromkeys(("Sigmoid", "Tanh", "Softplus", "Softsign", "Elu", "Erf", "Erfc", "Exp", "Sin", "Cos"), (0.0, 1e-4))
    | dict.fromkeys(("Expm1", "Atan"), (0.0, 1e-4))
    | dict.fromkeys(("Log", "Log1p", "Sqrt", "Rsqrt", "Reciprocal", "Inv", "Pow"), (1e-4, 0.0))
)

# Elementwise functions that LRP takes for activations.
ACTIVATIONS = frozenset(
    {
        "Relu", "Relu6", "LeakyRelu", "Selu", "Elu", "Softplus", "Softsign", "Sigmoid", "Tanh", "Maximum", "Minimum",
        "ClipByValue",
    }
)  # fmt: skip

# Factors that weigh a signal without being one, the likeliest first: normalisation, attention, swish, gelu, mish,
# hard swish (Arras et al. 2017: the signal takes the relevance of a product, the gate none).
GATES = ("Rsqrt", "Softmax", "Sigmoid", "Erf", "Erfc", "Tanh", "Relu6", "ClipByValue", "Minimum")

NON_NEGATIVE = frozenset({"Relu", "Relu6", "Sigmoid", "Softplus", "Softmax", "Square", "Abs", "Exp"})

_CHOSEN = "attribeval_chosen"


def chosen(tensor: Any) -> Any:
    """A choice that a score makes by the outputs (which region, which box): part of the question, not of the answer.

    No slope goes through it, and no relevance: what a score only chooses by is no part of any path to the image.
    """
    return tf.stop_gradient(tensor, name=_CHOSEN)


def is_chosen(op: Any) -> bool:
    """Whether an operation is that of `chosen`."""
    return op.type == "StopGradient" and op.name.rsplit("/", 1)[-1].startswith(_CHOSEN)
