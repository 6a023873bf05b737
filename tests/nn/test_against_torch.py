"""optc.nn held against PyTorch: text, names, random numbers, values, errors."""

from typing import Any

import numpy as np
import pytest

import optc

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

LAYERS = [
    "Linear(4, 3)", "Linear(4, 3, bias=False)", "Bilinear(4, 5, 3)", "Identity(3)",
    "Threshold(0.1, 2.0)", "ReLU()", "ReLU(True)", "RReLU()", "Hardtanh()", "Hardtanh(-2, 0.5, True)", "ReLU6()",
    "Sigmoid()", "Hardsigmoid()", "Tanh()", "SiLU()", "Mish()", "Hardswish()", "ELU(0.5)", "CELU(2.0)", "SELU()",
    "GLU()", "GELU()", "GELU('tanh')", "Hardshrink()", "LeakyReLU()", "LogSigmoid()", "Softplus(2.0, 3.0)",
    "Softshrink(0.2)", "PReLU()", "PReLU(4)", "Softsign()", "Tanhshrink()", "Softmin(1)", "Softmax(-1)", "Softmax()",
    "LogSoftmax(0)", "Dropout()", "Dropout(0.2)", "AlphaDropout(0.3)", "Dropout1d()", "FeatureAlphaDropout()",
    "Flatten()", "Flatten(0)", "Unflatten(1, (2, 2))",
    "LayerNorm(4)", "LayerNorm((3, 4), elementwise_affine=False)", "LayerNorm(4, 1e-3, bias=False)",
    "RMSNorm(4)", "RMSNorm(4, 1e-2, False)", "GroupNorm(2, 4)", "GroupNorm(4, 4, affine=False)",
    "BatchNorm1d(4)", "BatchNorm1d(4, momentum=None)", "BatchNorm1d(4, affine=False)",
    "BatchNorm1d(4, track_running_stats=False)", "BatchNorm2d(4)", "BatchNorm3d(4, bias=False)",
    "Embedding(7, 3)", "Embedding(7, 3, padding_idx=-2)", "Embedding(7, 3, max_norm=1.0)",
    "RNNCell(4, 3)", "RNNCell(4, 3, False, 'relu')", "LSTMCell(4, 3)", "LSTMCell(4, 3, bias=False)", "GRUCell(4, 3)",
    "MSELoss()", "L1Loss(reduction='sum')", "SmoothL1Loss(beta=0.5)", "CrossEntropyLoss(label_smoothing=0.1)",
    "NLLLoss(reduction='none')",
    "Sequential(N.Linear(4, 4), N.Sequential(N.ReLU(), N.Dropout()), N.Linear(4, 2))",
    "ModuleList([N.Linear(2, 2)] * 3 + [N.Tanh()] * 2 + [N.Linear(2, 2)])",
    "ModuleDict({'b': N.Linear(1, 2), 'a': N.GELU()})",
]  # fmt: skip

RECURRENT = [
    "RNN(4, 3)", "RNN(4, 3, nonlinearity='relu', bias=False)", "LSTM(4, 3)", "GRU(4, 3, 2, dropout=0.5)",
    "LSTM(4, 3, num_layers=2, bidirectional=True, proj_size=2, batch_first=True)",
]  # fmt: skip

SHAPES = {"BatchNorm2d": (3, 4, 2, 2), "BatchNorm3d": (2, 4, 2, 2, 1), "Dropout1d": (2, 3, 4), "Bilinear": (3, 4)}
"""The input of layers that do not take (3, 4)."""


def make(package: Any, expression: str) -> Any:
    package.manual_seed(1)
    return eval(expression, {**vars(package.nn), "N": package.nn})


def inputs_of(expression: str) -> list[Any]:
    generator = np.random.default_rng(3)

    def floats(*shape: int) -> Any:
        return generator.normal(size=shape).astype(np.float32)

    name = expression.partition("(")[0]
    if name == "Embedding":
        return [generator.integers(0, 7, (2, 3))]
    if name == "Bilinear":
        return [floats(3, 4), floats(3, 5)]
    if name in ("CrossEntropyLoss", "NLLLoss"):
        return [floats(3, 4), generator.integers(0, 4, 3)]
    if name.endswith("Loss"):
        return [floats(3, 4), floats(3, 4)]
    return [floats(*SHAPES.get(name, (3, 4)))]


@pytest.mark.parametrize("expression", LAYERS + RECURRENT)
def test_text_names_and_parameters(expression: str) -> None:
    ours, theirs = make(optc, expression), make(torch, expression)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert dict(ours.state_dict()._metadata) == dict(theirs.state_dict()._metadata)
    assert [name for name, _ in ours.named_modules()] == [name for name, _ in theirs.named_modules()]
    for key, value in theirs.state_dict().items():
        assert np.array_equal(ours.state_dict()[key].numpy(), value.numpy()), key
    assert sorted(getattr(ours, "__constants__", [])) == sorted(getattr(theirs, "__constants__", []))
    assert type(ours).__module__.replace("optc.", "torch.") == type(theirs).__module__


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("expression", [each for each in LAYERS if not each.startswith("Module")])
def test_values(expression: str, training: bool) -> None:
    ours, theirs = make(optc, expression).train(training), make(torch, expression).train(training)
    arrays = inputs_of(expression)
    torch.manual_seed(2)
    with torch.no_grad():
        expected = theirs(*[torch.from_numpy(array.copy()) for array in arrays])
    optc.manual_seed(2)
    with optc.no_grad():
        result = ours(*[optc.from_numpy(array.copy()) for array in arrays])
    pairs = zip(result, expected) if isinstance(expected, tuple) else [(result, expected)]
    for got, wanted in pairs:
        assert str(got.dtype) == str(wanted.dtype)
        np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=2e-6, atol=2e-6)
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key].numpy(), value.numpy(), rtol=1e-6, err_msg=key)


INITIALISERS = [
    "uniform_(t)", "uniform_(t, -2, 3)", "normal_(t)", "normal_(t, 1, 0.1)", "constant_(t, 0.3)", "ones_(t)", "zeros_(t)",
    "xavier_uniform_(t, 2.0)", "xavier_normal_(t)", "kaiming_uniform_(t, 0.1)",
    "kaiming_normal_(t, mode='fan_out', nonlinearity='relu')", "trunc_normal_(t)", "trunc_normal_(t, 0, 1, 0.0, 2.0)",
    "trunc_normal_(t, 0, 1, 1.0, 3.0)",
    "trunc_normal_(t, 0.5, 2.0, -0.1, 0.2)",
]  # fmt: skip
EXACT_BUT_FOR_ROUNDING = ["orthogonal_(t)", "orthogonal_(t, 0.5)"]


@pytest.mark.parametrize("shape", [(3, 5), (40, 17), (6, 3, 3), (16, 4, 3, 3)])
@pytest.mark.parametrize("expression", INITIALISERS + EXACT_BUT_FOR_ROUNDING)
def test_initialisers_draw_the_same_numbers(expression: str, shape: tuple[int, ...]) -> None:
    drawn = []
    for package in (optc, torch):
        package.manual_seed(7)
        tensor = package.nn.Parameter(package.empty(shape))
        eval(expression, vars(package.nn.init), {"t": tensor})
        drawn.append((tensor.detach().numpy(), package.rand(3).numpy()))
    (ours, ours_after), (theirs, theirs_after) = drawn
    if expression in EXACT_BUT_FOR_ROUNDING:
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    else:
        assert np.array_equal(ours, theirs)
    assert np.array_equal(ours_after, theirs_after)


@pytest.mark.parametrize("expression", ["sparse_(t, 0.3)", "eye_(t)"])
def test_matrix_initialisers(expression: str) -> None:
    results = []
    for package in (optc, torch):
        package.manual_seed(7)
        results.append(eval(expression, vars(package.nn.init), {"t": package.empty(7, 4)}).numpy())
    assert np.array_equal(*results)


MISTAKES = [
    "net.weight = package.ones(1)", "net.weight = 3", "net.weight = package.nn.ReLU()", "net.linear = package.nn.ReLU",
    "net.register_buffer('weight', None)", "net.register_buffer('a.b', None)", "net.register_buffer('', None)",
    "net.register_buffer(1, None)", "net.register_buffer('x', package.nn.ReLU())", "net.count = 'x'",
    "net.register_parameter('x', package.ones(1))", "net.register_parameter('count', None)", "net.add_module('a.b', None)",
    "net.add_module('x', int)", "net.add_module(3, package.nn.ReLU())", "net.nothing", "del net.nothing",
    "net.load_state_dict({'a': 1})", "net.load_state_dict(3)", "net.linear.load_state_dict({'weight': package.ones(3)})",
    "net.linear.load_state_dict({'weight': 3, 'bias': package.ones(2)})", "net.get_submodule('linear.x')",
    "net.get_submodule('weight')", "net.get_parameter('count')", "net.get_buffer('weight')", "net.set_submodule('', net)",
    "net.set_submodule('x', 3)", "net.set_submodule('x', package.nn.ReLU(), strict=True)",
    "net.set_submodule('weight', package.nn.ReLU())", "net.train(3)", "net(1)", "net.to(package.int32)",
    "package.nn.Module(1)", "package.nn.Module(a=1)", "package.nn.Linear(2, 2, True, None, None, 3)",
    "package.nn.Sequential(3)", "package.nn.Sequential(package.nn.ReLU())[1]", "package.nn.ModuleList(3)",
    "package.nn.ModuleList([3])", "package.nn.ModuleDict({1: 2})", "package.nn.ModuleDict([(1,)])",
    "package.nn.Sequential() + 3", "package.nn.Sequential() * 0", "package.nn.Sequential() * 'x'",
    "package.nn.ParameterList(3)", "package.nn.ParameterList([1])[1]", "package.nn.ParameterList()(1)",
    "package.nn.ParameterDict()[3]", "package.nn.ParameterDict({'a': 1})(2)", "package.nn.ParameterDict([(1, 2, 3)])",
    "package.nn.Parameter(package.ones(1, dtype=package.int64))", "package.nn.Parameter([1])",
    "package.nn.Dropout(2)", "package.nn.functional.dropout(package.ones(1), -1)", "package.nn.GroupNorm(2, 3)",
    "package.nn.Embedding(2, 2, 3)", "package.nn.Embedding(2, 2, _weight=package.ones(3, 3))",
    "package.nn.functional.hardtanh(package.ones(1), 2, 1)", "package.nn.functional.glu(package.tensor(1.0))",
    "package.nn.functional.mse_loss(package.ones(1), package.ones(1), reduction='x')",
    "package.nn.BatchNorm2d(2)(package.ones(2, 2))", "package.nn.BatchNorm1d(2, eps=-1.0).eval()(package.ones(2, 2))",
    "package.nn.functional.group_norm(package.ones(2), 1)", "package.nn.init.calculate_gain('x')",
    "package.nn.init.dirac_(package.ones(1))", "package.nn.init.eye_(package.ones(1))",
    "package.nn.LSTMCell(2, 2)(package.ones(1, 2), (package.ones(1, 2), package.ones(1, 1, 1)))",
    "package.nn.GRUCell(2, 2)(package.ones(1, 2), package.ones(1, 1, 1))", "package.nn.Bilinear(0, 1, 1)",
]  # fmt: skip


@pytest.mark.parametrize("statement", MISTAKES)
def test_mistakes_raise_the_same_errors(statement: str) -> None:
    errors = []
    for package in (optc, torch):
        net = package.nn.Module()
        net.weight = package.nn.Parameter(package.ones(1))
        net.register_buffer("count", package.ones(1))
        net.linear = package.nn.Linear(2, 2)
        with pytest.raises(Exception) as caught:
            exec(statement, {"net": net, "package": package})  # noqa: S102
        errors.append((caught.type, str(caught.value).replace("optc.", "torch.")))
    assert errors[0] == errors[1]


def hook_log(package: Any) -> list[Any]:
    """What hooks of all kinds see of two calls and of a failing one."""
    log: list[Any] = []

    class Add(package.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: int, y: int = 1) -> int:
            return x + y if x < 50 else log.undefined  # type: ignore[attr-defined]

    net = Add()
    registry = package.nn.modules.module
    handles = [
        registry.register_module_forward_pre_hook(lambda m, args: log.append(("global pre", args))),
        registry.register_module_forward_hook(
            lambda m, args, kwargs, out: log.append(("global", args, kwargs, out)), with_kwargs=True
        ),
        registry.register_module_forward_hook(lambda m, args, out: log.append(("always", out)), always_call=True),
    ]
    net.register_forward_pre_hook(lambda m, args: log.append(("pre", args)))
    net.register_forward_pre_hook(lambda m, args, kwargs: ((args[0] + 1,), kwargs), prepend=True, with_kwargs=True)
    net.register_forward_hook(lambda m, args, out: out * 2)
    net.register_forward_hook(lambda m, args, out: log.append(("first", args, out)), prepend=True)
    last = net.register_forward_hook(lambda m, args, kwargs, out: log.append((kwargs, out)), with_kwargs=True)
    log.append(net(1))
    last.remove()
    log.append(net(1, y=4))
    with pytest.raises(AttributeError):
        net(50)
    for handle in handles:
        handle.remove()
    log.append(net(2))
    return log


def test_hooks_run_in_the_same_order() -> None:
    assert hook_log(optc) == hook_log(torch)


def test_walks_agree() -> None:
    walks = []
    for package in (optc, torch):
        shared = package.nn.Linear(2, 2)
        net = package.nn.ModuleDict({"a": shared, "b": package.nn.Sequential(shared, package.nn.BatchNorm1d(2))})
        net.c = net["b"]
        walks.append([
            [name for name, _ in walk]
            for duplicates in (True, False)
            for walk in (
                net.named_modules(prefix="p", remove_duplicate=duplicates),
                net.named_parameters(prefix="p", remove_duplicate=duplicates),
                net.named_buffers(recurse=duplicates),
                net.named_children(),
            )
        ])  # fmt: skip
    assert walks[0] == walks[1]


@pytest.mark.parametrize("options", [{}, {"enforce_sorted": False}, {"batch_first": True, "enforce_sorted": False}])
def test_packed_sequences(options: dict[str, bool]) -> None:
    lengths = [4, 2, 1] if not options else [2, 4, 1]
    packed = []
    for package in (optc, torch):
        shape = (3, 4, 2) if "batch_first" in options else (4, 3, 2)
        rnn = package.nn.utils.rnn
        batch = package.arange(24.0).reshape(shape)
        sequence = rnn.pack_padded_sequence(batch, lengths, **options)
        padded = rnn.pad_packed_sequence(sequence, padding_value=-1.0, total_length=5)
        packed.append([None if part is None else part.tolist() for part in (*sequence, *padded)])
    assert packed[0] == packed[1]
