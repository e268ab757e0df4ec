"""Activation functions that are operators of their own."""

from sqhw.frontends.neutral import Clip, Refused
from sqhw.frontends.tflite.building import BOUNDS, Building, clamp_of
from sqhw.frontends.tflite.layout import activation_grid
from sqhw.frontends.tflite.model import FileOperator


def clip(building: Building, operator: FileOperator) -> None:
    """Add a RELU, RELU6 or RELU_N1_TO_1."""
    (at,) = operator.outputs
    low, high = BOUNDS[operator.kind]
    grid = activation_grid(building.model.tensors[at])
    building.finish(
        operator,
        Clip(
            name=operator.name,
            inputs=(building.source(operator),),
            output=operator.name,
            clamp=None if grid is None else clamp_of(grid, operator.kind),
            low=low,
            high=high,
        ),
    )


def drop(building: Building, operator: FileOperator) -> None:
    """Leave out a softmax or sigmoid at the end, where the largest score stays the largest."""
    (at,) = operator.outputs
    if any(at in later.inputs for later in building.model.operators):
        raise Refused("stands in the middle of the network", "use it at the end only")
    building.shown[at] = building.source(operator)
    building.note(f"{operator.kind} at the end is left out: the largest score stays the largest")
