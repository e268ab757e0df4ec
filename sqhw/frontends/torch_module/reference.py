"""The user's module as it runs: a copy, in eval mode and double precision, with its hooks."""

import copy
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.supported import leaves, unreal

#: Difference of two runs of the module that counts, relative to the largest output.
RELATIVE = {torch.float64: 1e-9, torch.float32: 1e-4}


@dataclass
class Reference:
    """A copy of a module, and what it made of some images.

    Parameters
    ----------
    module : nn.Module
        The copy: eval mode, no hooks, weights as the last forward pass used them.
    images : Tensor, shape (n, channels, height, width)
        Normalised, in the precision in which the module ran.
    output : Tensor, optional
        What the module returned for them; None if it failed.
    failure : Exception, optional
        Why it failed.
    unstable : SqhwError, optional
        If its output is not a function of one image and the weights.
    """

    module: nn.Module
    images: Tensor
    output: Tensor | None = None
    failure: Exception | None = None
    unstable: SqhwError | None = None

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the run: float64, or float32 if the module allows no other."""
        return self.images.dtype

    def run(self, images: Tensor) -> Tensor | None:
        """Return what the module makes of other normalised images; None if it failed before."""
        if self.output is None:
            return None
        with torch.no_grad():
            output: Tensor = self.module(images.to(self.dtype))
        return output


def run_reference(module: nn.Module, images: Tensor, name: str) -> Reference:
    """Copy a module and run the copy, with its hooks, on all images and again on the first.

    Parameters
    ----------
    module : nn.Module
        Left as it is.
    images : Tensor of float64, shape (n, channels, height, width)
        At least two normalised images.
    name : str
        Name of the network, for errors.

    Raises
    ------
    SqhwError
        If the module cannot be copied, or a hook changes what a layer reads or makes.
    """
    module = _unwrapped(module)
    _require_values(module)
    result = _run(module, images, name)
    if result.failure is not None:  # perhaps its forward() insists on single precision
        single = _run(module, images.float(), name)
        result = single if single.failure is None else result
    return result


def _unwrapped(module: nn.Module) -> nn.Module:
    """Return the module inside what spreads it over devices or compiles it."""
    while True:
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            module = module.module
        elif isinstance(getattr(module, "_orig_mod", None), nn.Module):
            module = module._orig_mod  # type: ignore[assignment]
        else:
            return module


def _require_values(module: nn.Module) -> None:
    for path, tensor in (*module.named_parameters(), *module.named_buffers()):
        if isinstance(tensor, UninitializedParameter | UninitializedBuffer) or tensor.is_meta:
            raise SqhwError(
                f"layer {path.rpartition('.')[0]!r}: {path.rpartition('.')[2]} has no values yet; "
                "load the trained weights first"
            )
        if reason := unreal(tensor):
            owner, _, title = path.rpartition(".")
            raise SqhwError(f"layer {owner or type(module).__name__!r}: its {title} is {reason}")
    if isinstance(module, torch.jit.ScriptModule):
        raise SqhwError("a scripted module cannot be traced; import the module it was made from")
    for path, part in module.named_modules():
        changed = vars(part).get("forward")
        users = not type(part).__module__.startswith("torch.nn")
        if changed is None or (users and getattr(changed, "__self__", None) is part):
            continue  # a method that is bound to the module is copied with it
        raise SqhwError(
            f"layer {path or type(part).__name__!r}: its forward() is replaced; write the "
            "change as a module of its own before or after it, or into its class"
        )


def _run(module: nn.Module, images: Tensor, name: str) -> Reference:
    made = _copied(module, name).to(images.dtype)
    result = Reference(made, images)
    changes = _watch(made)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            torch.manual_seed(0)
            output = made(images.clone())
            state = _state(made)
            torch.manual_seed(1)
            again = made(images[:1].clone())
        except SqhwError:
            raise
        except Exception as error:  # whatever the user's forward() raises
            result.failure = error
    if changes:
        raise changes[0]
    _drop_hooks(made)
    if result.failure is None and isinstance(output, Tensor):
        result.output = output
        result.unstable = _changed(made, state)
        if output.is_complex():
            result.unstable = SqhwError(
                f"network {name!r}: forward() returns values of type {output.dtype}, not "
                "floating point; return the logits"
            )
        if not isinstance(again, Tensor) or differs(again, output[:1], images.dtype):
            result.unstable = result.unstable or SqhwError(
                f"network {name!r}: forward() gives another output for the same image when it is "
                "called again in another batch: it draws random numbers, keeps a state, or mixes "
                "the images of a batch; make forward() a function of one image and the weights "
                "(dropout: training=self.training)"
            )
    return result


def differs(a: Tensor, b: Tensor, dtype: torch.dtype) -> bool:
    """Whether two tensors differ by more than the rounding of their computation."""
    if a.shape != b.shape:
        return True
    if not a.numel():
        return False
    limit = RELATIVE[dtype] * float(b.abs().max())
    return not float((a - b).abs().max()) <= limit


def _copied(module: nn.Module, name: str) -> nn.Module:
    """Return a deep copy on the CPU in eval mode."""
    memo: dict[int, Any] = {}
    for part in module.modules():
        for tensor in leaves(vars(part)):
            if not tensor.is_leaf:  # torch copies no results, such as weights made by hooks
                memo[id(tensor)] = tensor.detach().clone()
    try:
        return copy.deepcopy(module, memo).cpu().eval()
    except Exception as error:  # whatever the user's attributes raise
        raise SqhwError(
            f"network {name!r}: the module cannot be copied ({type(error).__name__}: {error}); "
            "delete the attributes that are no part of the network before the import"
        ) from None


def _watch(module: nn.Module) -> list[SqhwError]:
    """Make every hook report, into the list that is returned, what it changes."""
    found: list[SqhwError] = []
    for path, part in module.named_modules():
        for hooks, reads in ((part._forward_pre_hooks, True), (part._forward_hooks, False)):
            for key, hook in hooks.items():
                hooks[key] = _watched(hook, path or type(part).__name__, reads, found)
    return found


def _watched(
    hook: Callable[..., Any], path: str, reads: bool, found: list[SqhwError]
) -> Callable[..., Any]:
    def call(module: nn.Module, *rest: Any) -> Any:
        before = [(tensor, tensor._version) for tensor in leaves(rest)]
        result = hook(module, *rest)
        given = leaves(rest) if reads else leaves(rest[-1])
        kept = result is None or _identical(leaves(result), given)
        if not kept or any(tensor._version != version for tensor, version in before):
            said = getattr(hook, "__qualname__", type(hook).__name__)
            kind, what = ("forward pre-hook", "input") if reads else ("forward hook", "output")
            found.append(
                SqhwError(
                    f"layer {path!r}: its {kind} {said!r} changes the {what}; write what it does "
                    "into forward(), or remove it, before the import"
                )
            )
        return result

    return call


def _identical(a: list[Tensor], b: list[Tensor]) -> bool:
    return len(a) == len(b) and all(x is y for x, y in zip(a, b, strict=True))


def _drop_hooks(module: nn.Module) -> None:
    for part in module.modules():
        part._forward_pre_hooks.clear()
        part._forward_hooks.clear()


def _named_state(module: nn.Module) -> Iterable[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _state(module: nn.Module) -> dict[str, Tensor]:
    return {path: tensor.detach().clone() for path, tensor in _named_state(module)}


def _changed(module: nn.Module, state: dict[str, Tensor]) -> SqhwError | None:
    """Return the error for a parameter or buffer that is no longer as in `state`, if one is."""
    for path, tensor in _named_state(module):
        before = state.get(path)
        if before is None or not torch.equal(before.nan_to_num(), tensor.nan_to_num()):
            return SqhwError(
                f"buffer {path!r}: forward() changes it in eval mode too; the engine keeps "
                "nothing from image to image: change it only `if self.training`, and pass "
                "training=self.training to batch_norm"
            )
    return None


def require_one_input(module: nn.Module) -> None:
    """Raise SqhwError if `forward` needs more than one argument."""
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return
    needed = [
        p.name
        for p in parameters
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if len(needed) > 1:
        raise SqhwError(
            f"layer {needed[1]!r}: a second input is not supported; forward() must take images "
            "alone"
        )
