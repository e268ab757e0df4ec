"""The state of a network during compression as tensors and plain data, for checkpoints."""

from dataclasses import asdict
from typing import Any

from torch import Tensor

from sqhw.compress.qat.convolution import LearningConv, QatConv
from sqhw.compress.qat.folding import normalise
from sqhw.compress.qat.input import QatInput
from sqhw.compress.qat.integer_layers import IntegerLayer, integer_layer
from sqhw.compress.qat.integer_plan import IntegerPlan
from sqhw.compress.qat.layer import LearningLayer
from sqhw.compress.qat.network import QatNetwork
from sqhw.compress.training.checkpoint import load_module
from sqhw.machine.config import EngineConfig
from sqhw.machine.number import ActivationFormat

FORMATS = ("source", "output", "skip")


def stage_facts(model: QatNetwork) -> list[dict[str, Any]]:
    """Return the stage of each layer, which its tensors do not tell.

    Parameters
    ----------
    model : QatNetwork

    Returns
    -------
    list of dict
        Plain data, for `load_state`.
    """
    facts = []
    for step in model.steps:
        fact: dict[str, Any] = {}
        if isinstance(step, IntegerLayer):
            fact["plan"] = asdict(step.plan)
        if isinstance(step, QatConv):
            fact["gain_bits"] = step.gain_bits
        if isinstance(step, LearningConv):
            fact["normalised"] = step.norm is not None
        facts.append(fact)
    return facts


def load_state(
    model: QatNetwork,
    tensors: dict[str, Tensor],
    facts: list[dict[str, Any]],
    engine: EngineConfig,
) -> None:
    """Restore a state.

    Parameters
    ----------
    model : QatNetwork
        Model on real numbers; its layers become integers if they were.
    tensors : dict of str to Tensor
        Tensors as ``model.state_dict()`` returned them.
    facts : list of dict
        Stages as `stage_facts` returned them.
    engine : EngineConfig
    """
    for step, fact in zip(model.steps, facts, strict=True):
        if isinstance(step, LearningConv):
            step.learn_gains(fact["gain_bits"])
            if fact.get("normalised"):
                normalise(step)
    load_module(model, tensors, next(model.parameters()).device)
    for index, (step, fact) in enumerate(zip(list(model.steps), facts, strict=True)):
        if isinstance(step, QatInput) and any("plan" in other for other in facts):
            step.whole = step.integers(engine)
        if isinstance(step, LearningConv) and "plan" in fact:
            step.freeze()
        if isinstance(step, LearningLayer) and "plan" in fact:
            model.steps[index] = integer_layer(step, _plan(fact["plan"]))


def _plan(fact: dict[str, Any]) -> IntegerPlan:
    formats = {name: fact[name] and ActivationFormat(**fact[name]) for name in FORMATS}
    return IntegerPlan(**fact | formats)
