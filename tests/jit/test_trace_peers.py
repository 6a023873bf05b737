"""Traces of the same program by PyTorch and optc: the same graphs, up to the numbers of values."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest

import optc
from tests.jit.both import canonical, run_program

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

CELL = """
    class Gate(nn.Module):
        def forward(self, x):
            if x.sum() > 0:
                return x
            else:
                return -x

    class Cell(nn.Module):
        def __init__(self, gate):
            super().__init__()
            self.dg = gate
            self.linear = nn.Linear(4, 4)

        def forward(self, x, h):
            new_h = torch.tanh(self.dg(self.linear(x)) + h)
            return new_h, new_h

    torch.manual_seed(0)
    x, h = torch.rand(3, 4), torch.rand(3, 4)
"""

MODULES = {
    "cell": CELL + "\n    traced = torch.jit.trace(Cell(Gate()), (x, h))",
    "cell with scripted gate": CELL + "\n    traced = torch.jit.trace(Cell(torch.jit.script(Gate())), (x, h))",
    "wrapped loop": CELL
    + """
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = torch.jit.trace(Cell(torch.jit.script(Gate())), (x, h))

        def forward(self, xs):
            h, y = torch.zeros(3, 4), torch.zeros(3, 4)
            for i in range(xs.size(0)):
                y, h = self.cell(xs[i], h)
            return y, h

    class Wrap(nn.Module):
        def __init__(self):
            super().__init__()
            self.loop = torch.jit.script(Loop())

        def forward(self, xs):
            y, h = self.loop(xs)
            return torch.relu(y)

    traced = torch.jit.trace(Wrap(), (torch.rand(10, 3, 4)))
""",
    "shared submodules, buffers and members of other modules": """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.seq = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
            self.register_buffer("buf", torch.ones(4))
            self.w = nn.Parameter(torch.ones(4))
            self.a = self.seq[0]

        def forward(self, x):
            return self.seq(x) * self.w + self.buf * 3 + self.a.weight.sum() + self.seq(x)

    traced = torch.jit.trace(Net(), (torch.rand(3, 4),))
""",
    "layers": """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.l = nn.Linear(4, 4)
            self.n = nn.LayerNorm(4)
            self.e = nn.Embedding(5, 4)
            self.g = nn.GELU()
            self.s = nn.Softmax(-1)
            self.sg = nn.Sigmoid()

        def forward(self, x, i):
            return self.sg(self.s(self.g(self.n(self.l(x)) + self.e(i))))

    traced = torch.jit.trace(Net(), (torch.rand(3, 4), torch.tensor([1, 2, 3])))
""",
    "values that pass from one submodule to another": """
    class Inner(nn.Module):
        def forward(self, x):
            self.kept = x * 2
            return x + 1, self.kept

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Inner()
            self.other = Inner()

        def forward(self, x):
            a, b = self.inner(x)
            c, d = self.other(a * self.inner.kept)
            return c + self.other.kept + self.inner.kept, b

    traced = torch.jit.trace(Outer(), (torch.rand(3),))
""",
}


def both(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return run_program(text, torch, "torch program"), run_program(text, optc, "optc program")


def submodule_graphs(module: Any) -> dict[str, str]:
    graphs: dict[str, str] = {}
    for name, child in module.named_modules():
        for method in ("forward", "forward1"):
            try:
                found = (
                    child._c._get_method(method) if hasattr(child._c, "_get_method") else child._c.type.methods[method]
                )
            except (RuntimeError, KeyError, AttributeError):
                continue
            graphs[f"{name}.{method}"] = canonical(found.graph)
    return graphs


@pytest.mark.parametrize("name", MODULES)
def test_modules(name: str) -> None:
    theirs, ours = both(MODULES[name])
    assert canonical(ours["traced"].graph) == canonical(theirs["traced"].graph)
    assert submodule_graphs(ours["traced"]) == submodule_graphs(theirs["traced"])
    assert canonical(ours["traced"].inlined_graph) == canonical(theirs["traced"].inlined_graph)
    assert str(ours["traced"]) == str(theirs["traced"])


FUNCTIONS = {
    "number operands": ("x + 1, x * 0.5, 1 - x, 1 / x, x ** 2, x > 0, x - 2, x / 3, -x",),
    "sizes": ("x.view(x.size(0), -1), x.reshape(x.shape[0] * 2, -1), x.reshape(-1, *x.shape[1:])",),
    "size arithmetic": ("x[: x.size(0) - 1], x.expand(x.size())",),
    "number of elements": ("x.view(x.numel())",),
    "captured tensor": ("x + k, (x * k) + k",),
    "indexing": ("x[0], x[1:], x[:, None], x[..., 0], x[0, 1:3], x[-1]",),
    "casts": ("x.to(torch.float64), x.double(), x.to(dtype=torch.float32), x.float()",),
    "reductions": ("x.mean(-1, keepdim=True), x.sum(), x.sum(dim=1), x.max(), x.max(1), x.argmax(dim=-1)",),
    "lists of tensors": ("torch.cat([x, x], dim=-1), torch.stack((x, x)), x.chunk(2, dim=1)[0]",),
    "softmax": ("x.softmax(-1), torch.softmax(x, dim=0), F.log_softmax(x, -1)",),
    "factories": (
        "x + torch.zeros(3, 4), x + torch.ones(4, dtype=torch.float64), torch.zeros_like(x), x.new_zeros(3)",
    ),
    "products": ("x @ x.t(), torch.mm(x, x.t()), torch.matmul(x, x.transpose(0, 1)), F.linear(x, k)",),
    "where": ("torch.where(x > 0, x, -x), x.masked_fill(x > 0.5, 0.0), x.clamp(0, 1), x.clamp(min=0.1)",),
    "the input itself": ("x",),
    "one output": ("x.relu()",),
    "nested outputs": ("(x, (x + 1, x * 2))",),
    "other operators with several names": (
        "torch.row_stack([x, x]), torch.moveaxis(x, 0, 1), torch.swapdims(x, 0, 1), torch.special.expit(x)",
    ),
    "operators with several names": (
        "torch.multiply(x, 2), torch.divide(x, x), torch.subtract(x, x), torch.absolute(x), torch.concat([x, x])",
    ),
    "names of linear algebra that went into a namespace": (
        "torch.det(x[:, :3]), torch.matrix_exp(x @ x.t()), torch.matrix_power(x[:, :3], 2), x.adjoint(), torch.linalg.det(x[:, 1:])",
    ),
    "names of special functions": (
        "torch.arctan2(x, x), torch.special.polygamma(1, x), torch.special.gammainc(x, x), torch.special.xlogy(2, x)",
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    program = f"""
    k = torch.ones(4)
    def f(x):
        return {FUNCTIONS[name][0]}
    traced = torch.jit.trace(f, (torch.full((3, 4), 0.3),), strict=False)
    """
    theirs, ours = both(program)
    assert canonical(ours["traced"].graph) == canonical(theirs["traced"].graph)


BODIES = {
    "in place": """
        x = x.clone()
        x[0] = 1
        x[:, 1] = x[:, 0]
        x.add_(1)
        x += x
        return x""",
    "bits in place": """
        mask = x > 0
        mask &= x < 1
        mask |= x == 2
        mask ^= x > 3
        return mask""",
    "a write to what nobody reads is dropped": """
        y = x.clone()
        y.add_(1)
        return x * 2""",
    "names of variables": """
        first = x * 2
        second = first + x
        third = torch.relu(second)
        return third * first""",
    "loops over rows": """
        total = x[0]
        for row in x:
            total = total + row
        return total""",
    "dictionaries": """
        return {"a": x, "b": x * x}""",
    "lists": """
        z = x + 1
        return [z, z * 2]""",
    "python numbers": """
        n = int(x.sum())
        return x + n""",
    "tensor from data": """
        return x + torch.tensor(3.0)""",
}


@pytest.mark.parametrize("name", BODIES)
def test_function_bodies(name: str) -> None:
    program = f"""
    def f(x):{BODIES[name]}
    traced = torch.jit.trace(f, (torch.full((3, 4), 0.3),), strict=False)
    """
    theirs, ours = both(program)
    assert canonical(ours["traced"].graph) == canonical(theirs["traced"].graph)


def test_nested_inputs() -> None:
    program = """
    x = torch.ones(3)
    def f(x, h):
        a, (b, c) = h
        return x + a, (b, c)
    def g(l, d):
        return l[0] + l[1] + d["k"]
    first = torch.jit.trace(f, (x, (x, (x, x))))
    second = torch.jit.trace(g, ([x, x + 1], {"k": x}))
    """
    theirs, ours = both(program)
    for name in ("first", "second"):
        assert canonical(ours[name].graph) == canonical(theirs[name].graph)


def test_calls_of_scripted_functions_stay_calls() -> None:
    program = """
    @torch.jit.script
    def clipped(x, n: int):
        if n > 2:
            return x
        return x + n
    def f(x):
        return clipped(x, 3) + clipped(x, x.size(0))
    traced = torch.jit.trace(f, (torch.ones(3),))
    """
    theirs, ours = both(program)
    assert canonical(ours["traced"].graph) == canonical(theirs["traced"].graph)


MISTAKES = [
    "torch.jit.trace(lambda x: x, (3,))",
    "torch.jit.trace(lambda x, y: x, (x, None))",
    "torch.jit.trace(lambda x: None, (x,))",
    "torch.jit.trace(lambda x: 3, (x,))",
    "torch.jit.trace(lambda x: (x, 3), (x,))",
    "torch.jit.trace(lambda x: {'a': x}, (x,))",
    "torch.jit.trace(lambda x, y: x, ('a', x))",
    "torch.jit.trace(lambda x, y: x, (x, {'a': 3}))",
    "torch.jit.trace(lambda x, y: x, (x,))",
    "torch.jit.trace_module(3, {})",
    "torch.jit.trace_module(nn.ReLU(), (x,))",
    "torch.jit.trace(nn.Linear(2, 2).reset_parameters, (x,))",
    "torch.jit.trace(nn.ReLU(), example_kwarg_inputs={'k': x})",
    "torch.jit.trace(lambda x: torch.jit.trace(lambda y: y, (x,))(x), (x,))",
    "torch.jit.trace(nn.Linear(2, 2), (x,))()",
    "torch.jit.trace(nn.Linear(2, 2), (x,))(1)",
    "torch.jit.trace(nn.Linear(2, 2), (x,))(x, x)",
    "torch.jit.trace(nn.Linear(2, 2), (x,))(y=x)",
    "torch.jit.trace(nn.Linear(2, 2), (x,)).nothing",
    "torch.jit.trace(nn.Sequential(nn.Linear(2, 2)), (x,))[0](x)",
]


@pytest.mark.parametrize("expression", MISTAKES)
def test_mistakes_are_answered_in_the_same_words(expression: str) -> None:
    errors = []
    for library in (torch, optc):
        space = {"torch": library, "nn": library.nn, "x": library.ones(2)}
        with pytest.raises(Exception) as caught:
            eval(expression, space)
        errors.append(caught.value)
    texts = [re.sub(r"___torch_mangle_\d+\.", "", str(error)) for error in errors]
    assert texts[1] == texts[0]
    assert isinstance(errors[1], type(errors[0])) or type(errors[0]).__name__ == "Error"


WARNINGS = [
    "bool(x.sum())", "int(x.sum())", "float(x.sum())", "len(x)", "x.sum().item()", "x.tolist()", "x.numpy()",
    "[row for row in x]", "torch.tensor(3.0)",
]  # fmt: skip


@pytest.mark.parametrize("expression", WARNINGS)
def test_warnings_are_given_in_the_same_words(expression: str) -> None:
    texts = []
    for library in (torch, optc):
        program = f"""
        def f(x):
            {expression}
            return x * 2
        """
        function = run_program(program, library, "warning program")["f"]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            library.jit.trace(function, (library.ones(3),), check_trace=False)
        texts.append([str(each.message) for each in caught if each.category.__name__ == "TracerWarning"])
    assert texts[1] == texts[0]
    assert len(texts[1]) == 1


def test_traces_compute_what_torch_computes() -> None:
    theirs, ours = both(MODULES["cell"])
    x = np.random.default_rng(0).standard_normal((3, 4), np.float32)
    expected = theirs["traced"](torch.from_numpy(x), torch.from_numpy(x))[0].detach().numpy()
    actual = ours["traced"](optc.from_numpy(x), optc.from_numpy(x))[0].detach().numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_numbers_weigh_nothing_beside_tensors_without_dimensions() -> None:
    source = """
    def scaled(x):
        total = x.sum()
        return total * 0.25, 2.5 - total, total / 3, 2 ** total, x.long().sum() + 1.5, x.long().sum() * 2, total > 0.5
    traced = torch.jit.trace(scaled, torch.ones(3))
    results = traced(torch.ones(3))
    """
    theirs, ours = run_program(source, torch, "scaled"), run_program(source, optc, "scaled")
    compiled = optc.compile(ours["traced"], fallback="error")(optc.ones(3))
    expected = [(str(result.dtype), result.item()) for result in theirs["results"]]
    for results in (ours["results"], compiled):
        assert [(str(result.dtype).replace("optc", "torch"), result.item()) for result in results] == expected
