"""Importing modules whose forward() has effects: in place, by hooks, by the mode, by a state."""

import copy

import pytest
import torch
from import_cases import Net, run_both
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from sqhw.compress import import_module
from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.float_module import FloatModule

SHAPE = (2, 6, 6)


@pytest.fixture(autouse=True)
def seed():
    """Fix the weights: by chance a convolution has no negative value for a ReLU to change."""
    torch.manual_seed(0)


def conv(kernel=1):
    return nn.Conv2d(2, 2, kernel)


def after(change):
    """A network whose forward() changes the output of its first convolution without rebinding."""

    def function(m, x):
        x = m.a(x)
        change(m, x)
        return m.b(x)

    return Net(function, a=conv(), b=conv(3), relu=nn.ReLU(inplace=True), drop=nn.Dropout())


def set_item(m, x):
    x[:, 0] = 0


def output(network, images):
    with torch.no_grad():
        return FloatModule(network)(images)


def test_a_relu_in_place_without_rebinding_counts():
    module = Net(lambda m, x: m.b(m.run(x)), a=nn.Conv2d(1, 1, 1), b=nn.Conv2d(1, 1, 1))
    for layer, bias in ((module.a, -0.5), (module.b, 0.0)):
        nn.init.ones_(layer.weight)
        nn.init.constant_(layer.bias, bias)

    def run(x):
        x = module.a(x)
        functional.relu(x, inplace=True)
        return x

    def function(m, x):
        x = m.a(x)
        functional.relu(x, inplace=True)
        return m.b(x)

    module.function = function
    assert output(import_module(module, (1, 1, 1)), torch.zeros(1, 1, 1, 1)).item() == 0.0


@pytest.mark.parametrize(
    "change",
    [
        lambda m, x: functional.relu(x, inplace=True),
        lambda m, x: functional.relu6(x, True),
        lambda m, x: x.relu_(),
        lambda m, x: torch.relu_(x),
        lambda m, x: x.clamp_(0, 0.1),
        lambda m, x: m.relu(x),
        lambda m, x: m.drop(x).relu_(),
        lambda m, x: x.detach().relu_(),
        lambda m, x: x.add_(0.5).relu_().mul_(3),
        lambda m, x: x.sub_(1).div_(2),
    ],
)
def test_changes_in_place_that_are_not_rebound_count(change):
    run_both(after(change), SHAPE)


def test_augmented_assignments_change_the_other_names_of_a_tensor_too():
    def function(m, x):
        x -= 0.5
        y = x = m.a(x)
        x *= 2
        x += 1
        y /= 4
        return m.b(x)

    run_both(Net(function, a=conv(), b=conv(3)), SHAPE)

    def added(m, x):
        y = x = m.a(x)
        x += m.b(x)
        return m.c(y)

    run_both(Net(added, a=conv(), b=conv(), c=conv(3)), SHAPE)


def test_what_is_read_before_the_change_keeps_its_values():
    def function(m, x):
        x = m.a(x)
        y = m.b(x)
        x.relu_()
        return y

    assert not import_module(Net(function, a=conv(), b=conv()), SHAPE).convs[0].relu

    def both(m, x):
        x = m.a(x)
        y = m.b(x)
        functional.relu(x, inplace=True)
        return y + x

    run_both(Net(both, a=conv(), b=conv()), SHAPE)


@pytest.mark.parametrize("change", [lambda m, x: torch.sigmoid_(x), lambda m, x: x.tanh_()])
def test_activation_functions_in_place_are_taken(change):
    assert import_module(after(change), SHAPE).convs[0].activation in ("sigmoid", "tanh")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_item, r"^layer 'setitem': setitem changes a part .* 'b' reads later; compute a new"),
        (lambda m, x: x[:, :1].relu_(), r"^layer 'relu_': relu changes a part or another shape"),
        (lambda m, x: x.flatten(1).relu_(), r"^layer 'relu_': relu changes a part or another"),
        (lambda m, x: x.zero_(), r"^layer 'zero_': zero_ changes a part or another shape"),
        (lambda m, x: x.copy_(torch.zeros(1)), r"^layer 'copy_': copy_ changes a part"),
        (lambda m, x: torch.add(x, 1, out=x), r"^layer 'add': add changes a part"),
        (lambda m, x: torch.selu_(x), r"^layer 'selu_': selu is not supported; train it with ReLU"),
        (lambda m, x: x.data.relu_(), r"^network 'network': forward\(\) as traced gives another"),
        (lambda m, x: setattr(x, "data", x), r"cannot be traced \(TypeError: sets attribute .data"),
    ],
)
def test_other_changes_in_place_are_refused_by_name(change, message):
    with pytest.raises(SqhwError, match=message):
        import_module(after(change), SHAPE)


def stack(*, wrap=lambda layer: layer):
    return nn.Sequential(wrap(conv(3)), nn.ReLU(), wrap(conv(3)))


def test_pruned_weights_are_those_of_the_forward_pass():
    module = stack()
    prune.l1_unstructured(module[0], "weight", 0.5)
    prune.random_structured(module[2], "weight", 1, dim=0)
    prune.l1_unstructured(module[2], "bias", 1)
    trained = {key: value * 3 for key, value in module.state_dict().items()}
    trained |= {key: value for key, value in module.state_dict().items() if "mask" in key}
    module.load_state_dict(trained)  # `weight` is stale from here to the next forward pass
    network = import_module(module, SHAPE)
    for layer, index in zip(network.convs, (0, 2), strict=True):
        kept = module[index].weight_mask.numpy()
        original = module[index].weight_orig.detach().numpy()
        assert (layer.weight == original * kept).all()
        assert (layer.weight[kept == 0] == 0).all()
        assert (kept == 0).sum() == kept.size // 2
    images = torch.rand(3, *SHAPE)
    torch.testing.assert_close(output(network, images), module(images / 255).detach().flatten(1))


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "wrap",
    [
        weight_norm,
        spectral_norm,
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        parametrizations.orthogonal,
    ],
)
def test_weights_that_are_computed_from_others(wrap):
    module = stack(wrap=wrap)
    module(torch.rand(2, *SHAPE))  # power iterations
    module.load_state_dict({key: value * 1.5 for key, value in module.state_dict().items()})
    network = import_module(module, SHAPE)
    images = torch.rand(3, *SHAPE)
    wanted = module.eval()(images / 255).detach().flatten(1)
    torch.testing.assert_close(output(network, images), wanted)


def hooked(hook, kind="forward_hook", index=0, **options):
    module = stack()
    part = module if index is None else module[index]
    getattr(part, f"register_{kind}")(hook, **options)
    return module


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (hooked(lambda m, x, y: 2 * y), r"^layer '0': its forward hook '.*' changes the output; w"),
        (hooked(lambda m, x, y: y.clamp_(-1e9, 1e9)), r"^layer '0': its forward hook '.*' changes"),
        (hooked(lambda m, x, y: x[0][:, :, 1:-1, 1:-1]), r"^layer '0': its forward hook"),
        (hooked(lambda m, x, y: 2 * y, index=None), r"^layer 'Sequential': its forward hook"),
        (
            hooked(lambda m, x, k, y: 2 * y, with_kwargs=True, index=2),
            r"^layer '2': its forward hook '.*' changes the output; write what it does into",
        ),
        (
            hooked(lambda m, x: (x[0] + 1,), "forward_pre_hook"),
            r"^layer '0': its forward pre-hook '.*<lambda>' changes the input; write what it does",
        ),
    ],
)
def test_hooks_that_change_values_are_refused_by_name(module, message):
    with pytest.raises(SqhwError, match=message):
        import_module(module, SHAPE)


def test_hooks_that_only_look_are_left_alone():
    seen = []
    module = hooked(lambda m, x, y: seen.append(float(y.mean())))
    module[2].register_forward_pre_hook(lambda m, x: None)
    module[1].register_forward_hook(lambda m, x, y: y)
    run_both(module, SHAPE)
    assert seen
    assert len(module[0]._forward_hooks) == 1


def test_a_pre_hook_that_makes_the_weight_of_the_input_is_seen():
    def scale(module, inputs):
        module.weight.data.copy_(kept * inputs[0].mean())

    module = hooked(scale, "forward_pre_hook")
    kept = module[0].weight.detach().clone()
    with pytest.raises(SqhwError, match=r"^buffer '0.weight': forward\(\) changes it in eval mode"):
        import_module(module, SHAPE)


def test_the_mode_is_eval_whatever_the_module_is_in():
    module = nn.Sequential(conv(3), nn.BatchNorm2d(2), nn.ReLU(), nn.Dropout(0.9), conv())
    module.train()
    module(torch.rand(4, *SHAPE))
    before = copy.deepcopy(module.state_dict())
    network = import_module(module, SHAPE)
    assert module.training
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    images = torch.rand(3, *SHAPE)
    wanted = module.eval()(images / 255).detach().flatten(1)
    torch.testing.assert_close(output(network, images), wanted)


class Counting(nn.Module):
    """A convolution with a function of the module after it."""

    def __init__(self, function):
        super().__init__()
        self.conv = conv(3)
        self.register_buffer("count", torch.zeros(1))
        self.calls = 0
        self.function = function

    def forward(self, x):
        return self.function(self, self.conv(x))


def counted(m, x):
    m.count += 1
    return x


def counted_in_python(m, x):
    m.calls += 1
    return 2 * x if m.calls > 1 else x


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (counted, r"^buffer 'count': forward\(\) changes it in eval mode"),
        (lambda m, x: m.count.add_(1) * 0 + x, r"^buffer 'count': forward"),
        (counted_in_python, r"^network 'network': forward\(\) gives another output for the same"),
        (lambda m, x: x + torch.rand(1), r"^network 'network': forward\(\) gives another output"),
        (lambda m, x: x * x.shape[0], r"^layer 'mul': arithmetic "),
        (
            lambda m, x: functional.batch_norm(x, torch.zeros(2), torch.ones(2), training=True),
            r"^layer 'batch_norm': batch_norm with training=True, which mixes the images",
        ),
        (
            lambda m, x: x if isinstance(x, torch.Tensor) else 2 * x,
            r"^network 'network': forward\(\) as traced gives another output than the module",
        ),
        (lambda m, x: 1 / 0, r"^network 'network': forward\(\) cannot be traced \(ZeroDivision"),
    ],
)
def test_a_state_and_chance_are_refused(function, message):
    with pytest.raises(SqhwError, match=message):
        import_module(Counting(function), SHAPE)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_precisions(dtype):
    module = nn.Sequential(conv(3), nn.BatchNorm2d(2), nn.ReLU(), conv(3)).to(dtype)
    network = run_both(module, SHAPE)
    assert (network.convs[1].weight == module[3].weight.float().detach().numpy()).all()


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda module: module])
def test_wrapped_modules(wrap):
    network = import_module(wrap(nn.Sequential(conv(3))), SHAPE)
    assert [layer.name for layer in network.layers] == ["0"]


@pytest.mark.parametrize(
    "mode", [torch.inference_mode, torch.no_grad, lambda: torch.autocast("cpu", torch.bfloat16)]
)
def test_modes_around_the_import_do_not_matter(mode):
    torch.manual_seed(0)
    module = stack()
    plain = import_module(module, SHAPE)
    with mode():
        within = import_module(module, SHAPE)
    for layer, other in zip(plain.convs, within.convs, strict=True):
        assert (layer.weight == other.weight).all()


def test_single_precision_inside_forward():
    run_single = Net(lambda m, x: m.a(x.float()), a=conv(3))
    network = import_module(run_single, SHAPE)
    assert (network.convs[0].weight == run_single.a.weight.detach().numpy()).all()


@pytest.mark.parametrize("given", ["net.pth", stack().state_dict(), lambda x: x])
def test_what_is_no_module_is_refused_with_the_way_in(given):
    with pytest.raises(SqhwError, match=r"^import_module takes a torch.nn.Module, not a .*; load"):
        import_module(given, SHAPE)


def test_modules_that_cannot_be_run_say_why():
    with pytest.raises(SqhwError, match=r"^layer '0': weight has no values yet; load the trained"):
        import_module(nn.Sequential(nn.LazyConv2d(2, 3)), SHAPE)
    module = stack()
    module[0].forward = lambda x: 2 * x
    with pytest.raises(SqhwError, match=r"^layer '0': its forward\(\) is replaced; write"):
        import_module(module, SHAPE)
    module = stack()
    module.lock = (value for value in ())
    with pytest.raises(SqhwError, match=r"the module cannot be copied \(TypeError: cannot pickle"):
        import_module(module, SHAPE)
