"""After every import, module and network are run and compared, layer by layer."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from import_cases import Net
from random_modules import SHAPE, RandomModule
from torch import nn
from typer.testing import CliRunner

from sqhw.cli.commands import app
from sqhw.compress import import_module, save_float
from sqhw.errors import SqhwError
from sqhw.frontends.torch_module import convert
from sqhw.frontends.torch_module.builder import Builder
from sqhw.frontends.torch_module.float_module import FloatModule
from sqhw.frontends.zoo.catalogue import build, entry


@pytest.fixture(autouse=True)
def seed():
    """Fix the weights: by chance a mistake has no effect."""
    torch.manual_seed(0)


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16, 3),
    ).eval()


def faulty(monkeypatch, change):
    """Let the importer make a mistake in its result."""
    right = Builder.result

    def result(self, node, x):
        return tuple(change(layer) for layer in right(self, node, x))

    monkeypatch.setattr(Builder, "result", result)


def scaled(name, factor):
    def change(layer):
        if layer.name != name:
            return layer
        return replace(layer, weight=layer.weight * factor)

    return change


@pytest.mark.parametrize("name", ["0", "4", "7"])
def test_weights_that_are_off_by_a_hundred_thousandth_are_seen(monkeypatch, name):
    faulty(monkeypatch, scaled(name, 1 + 1e-5))
    with pytest.raises(
        SqhwError, match=rf"^layer '{name}': the imported network differs from the module by "
    ):
        import_module(network(), (2, 8, 8))


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [("0", "relu", False), ("4", "bias", np.full(4, 1e-3)), ("4", "ceiling", 0.1)],
)
def test_other_mistakes_are_seen(monkeypatch, name, field, value):
    faulty(
        monkeypatch,
        lambda layer: replace(layer, **{field: value}) if layer.name == name else layer,
    )
    with pytest.raises(SqhwError, match=rf"^layer '{name}': the imported network differs"):
        import_module(network(), (2, 8, 8))


def test_a_mistake_behind_a_pool_that_changed_places_is_seen(monkeypatch):
    """The tensor between has no value in the module; the pool's has."""
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(3, 2, 1))
    import_module(module, (2, 8, 8))
    faulty(monkeypatch, scaled("0", 1.001))
    with pytest.raises(SqhwError, match=r"^layer '0': the imported network differs"):
        import_module(module, (2, 8, 8))


def test_a_mistake_in_the_normalisation_is_seen(monkeypatch):
    monkeypatch.setattr(convert.Builder, "normalisation", lambda _, mean, std, note: ((0.1,), std))
    with pytest.raises(SqhwError, match=r"^the normalised input: the imported network differs"):
        import_module(network(), (2, 8, 8))


def test_an_operation_that_the_trace_drops_is_seen(monkeypatch):
    """A change in place that nothing reads, had it been taken for one without effect."""

    def drop(graph, root, image):
        for node in graph.nodes:
            if node.target == "relu_":
                graph.erase_node(node)

    monkeypatch.setattr(convert, "make_functional", drop)

    def function(m, x):
        x = m.a(x)
        x.relu_()
        return m.b(x)

    module = Net(function, a=nn.Conv2d(2, 2, 1), b=nn.Conv2d(2, 2, 1))
    with pytest.raises(SqhwError, match=r"^network 'network': forward\(\) as traced gives another"):
        import_module(module, (2, 8, 8))


def test_weights_in_the_range_of_floats_only():
    module = network().double()
    module[4].weight.data[0] = 1e200
    with pytest.raises(SqhwError, match=r"^layer '4': "):
        import_module(module, (2, 8, 8))


def test_own_images_are_compared_too():
    module = network()
    pixels = np.random.default_rng(0).integers(0, 256, (5, 2, 8, 8))
    first = import_module(module, (2, 8, 8))
    second = import_module(module, (2, 8, 8), images=pixels.astype(np.uint8))
    third = import_module(module, (2, 8, 8), images=torch.from_numpy(pixels))
    for layer, other, last in zip(first.convs, second.convs, third.convs, strict=True):
        assert (layer.weight == other.weight).all()
        assert (layer.weight == last.weight).all()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((3, 1, 8, 8)), r"images must have shape \(n, 2, 8, 8\), not \(3, 1, 8, 8\)$"),
        (np.zeros((0, 2, 8, 8)), r"images must have shape"),
        (np.full((1, 2, 8, 8), 17), r"images must be pixels from 0 to 16 \(input_max\), before"),
        (np.full((1, 2, 8, 8), -0.5), r"images must be pixels from 0 to 16"),
        (np.full((1, 2, 8, 8), np.nan), r"images must be pixels from 0 to 16"),
        ("digits", r"images must be an array of pixels: "),
        (np.zeros((1, 2, 8, 8), complex), r"images must have shape"),
    ],
)
def test_own_images_that_are_no_pixels_are_refused(images, message):
    with pytest.raises(SqhwError, match=message):
        import_module(network(), (2, 8, 8), input_max=16, images=images)


def test_the_state_of_the_random_numbers_is_left():
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    import_module(build("digits-cnn").eval(), (1, 8, 8))
    torch.manual_seed(5)
    import_module(network(), (2, 8, 8))
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("name", ["resnet110", "mobilenetv2"])
def test_deep_networks_pass_and_their_faults_are_seen(monkeypatch, name):
    form = entry(name)
    torch.manual_seed(0)
    module = build(name)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
    made = import_module(module, form.input_shape, mean=form.mean, std=form.std)
    middle = made.convs[len(made.convs) // 2].name
    faulty(monkeypatch, scaled(middle, 1.001))
    with pytest.raises(SqhwError, match=rf"^layer '{middle}': the imported network differs"):
        import_module(module, form.input_shape, mean=form.mean, std=form.std)


class Branch(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1)
        self.function = function

    def forward(self, x):
        return self.function(self.conv(x))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x if x.sum() > 0 else -x, "branches on a tensor's values or size in .*"),
        (lambda x: x if x.shape[1] == 2 else -x, "branches on a tensor's values or size in .*"),
        (lambda x: x.view(len(x), -1), r"takes len\(\) of a tensor in .*; write x.shape\[0\]"),
        (lambda x: next(iter(x)), r"iterates over a tensor or its size in .*; index it"),
        (lambda x: x[:, : int(x.shape[1] / 1)], r"turns a tensor or its size into a Python num"),
        (lambda x: [*range(x.shape[1])], r"turns a tensor or its size into a Pyt"),
        (lambda x: torch.from_numpy(x.numpy()), r"cannot be traced \(TypeError: .*\) in "),
    ],
)
def test_what_cannot_be_traced_is_named_with_module_and_line(function, message):
    line = function.__code__.co_firstlineno
    module = nn.Sequential(nn.Conv2d(2, 2, 1), nn.Sequential(nn.ReLU(), Branch(function)))
    with pytest.raises(SqhwError, match=rf"^layer '1\.1': forward\(\) {message}") as error:
        import_module(module, (2, 8, 8))
    assert f"in {__file__.rpartition('/')[2]}, line {line}, `" in str(error.value)
    assert "Proxy" not in str(error.value)


def test_random_modules_are_equal_or_refused():
    taken = [seed for seed in range(60) if equal_after_import(seed)]
    assert len(taken) >= 30, taken  # 32; the others are refused, which tells nothing of equality


def equal_after_import(seed):
    """Return whether a random module is taken; then its network must be equal to it."""
    module = RandomModule(seed).eval()
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (3, *SHAPE), generator=generator).float()
    try:
        made = import_module(module, SHAPE)
    except SqhwError:
        return False
    with torch.no_grad():
        wanted = module(pixels / 255).flatten(1)
        found = FloatModule(made)(pixels)
    notes = made.metadata.get("notes", "")
    for name, function in (("softmax", lambda x: x.softmax(1)), ("sigmoid", torch.sigmoid)):
        if f"the {name} at the end" in notes:
            found = function(found)
    tolerance = 1e-3 * float(wanted.abs().max())
    torch.testing.assert_close(
        found, wanted, rtol=1e-3, atol=tolerance, msg=lambda text: f"seed {seed}: {text}"
    )
    return True


def test_notes_reach_the_command_line(tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 10), nn.Softmax(1))
    source = tmp_path / "float.safetensors"
    save_float(import_module(module, (1, 8, 8), input_max=16), source)
    out = tmp_path / "net.safetensors"
    result = CliRunner().invoke(app, ["quantize", str(source), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "note: layer '3': the softmax at the end is left out" in result.output
