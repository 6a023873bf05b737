"""What the script language does not have is refused with the user's line, whatever else the program does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

import optc
import optc.jit
from optc.errors import ScriptError
from tests.jit.both import run_program

HEAD = "from typing import *\nTensor = torch.Tensor\nSIZE = 3\n"

REFUSED = {
    "try": ("def program(x):\n    try:\n        return x\n    except ValueError:\n        return x\n", "try blocks"),
    "lambda": ("def program(x):\n    f = lambda y: y\n    return f(x)\n", "Lambda aren't supported"),
    "yield": ("def program(x):\n    yield x\n", "Yield aren't supported"),
    "nested function": ("def program(x):\n    def g(y):\n        return y\n    return g(x)\n", "function definitions"),
    "for else": (
        "def program(x):\n    for i in range(2):\n        x = x + i\n    else:\n        x = -x\n    return x\n",
        "else branches of for loops",
    ),
    "starred parameter": ("def program(*xs):\n    return xs\n", "variable number of arguments"),
    "keyword expansion": ("def program(x):\n    return torch.relu(**x)\n", "keyword-arg expansion"),
    "filtered comprehension": ("def program(x: List[int]):\n    return [i for i in x if i > 0]\n", "Comprehension ifs"),
    "formatted f-string": ("def program(x: float):\n    return f'{x:.2f}'\n", "Don't support formatting"),
    "walrus": ("def program(x: int):\n    if (y := x) > 1:\n        return y\n    return x\n", "NamedExpr"),
    "annotation without value": ("def program(x):\n    y: int\n    return x\n", "without assigned value"),
    "unknown name": ("def program(x):\n    return missing(x)\n", "undefined value missing"),
    "unknown method": ("def program(x):\n    return x.missing()\n", "no attribute or method 'missing'"),
    "unknown operator": ("def program(x):\n    return torch.missing(x)\n", "Unknown builtin op: aten::missing"),
    "unknown type": ("def program(x: 'Missing'):\n    return x\n", "Unknown type name 'Missing'"),
    "global number": ("def program(x):\n    return x + SIZE\n", "closed over global variable"),
    "wrong argument": ("def program(x):\n    return torch.relu(x, 3)\n", "Expected at most 1 arguments"),
    "wrong return": ("def program(x) -> int:\n    return x > 0, 1\n", "annotated as having type int"),
    "missing return": (
        "def program(x: int) -> int:\n    if x > 1:\n        return x\n",
        "does not return along all paths",
    ),
    "returns that disagree": (
        "def program(x: int):\n    if x > 1:\n        return x\n    return 'no'\n",
        "Previous return statement returned",
    ),
    "branches that disagree": (
        "def program(c: bool):\n    if c:\n        y = 1\n    else:\n        y = 'a'\n    return y\n",
        "y is set to type int in the true branch and type str in the false branch",
    ),
    "one branch": (
        "def program(c: bool):\n    if c:\n        y = 1\n    return y\n",
        "y is not defined in the false branch",
    ),
    "changed type in a loop": (
        "def program(x):\n    y = 1\n    for i in range(3):\n        y = 'a'\n    return y\n",
        "Variable 'y' previously had type int",
    ),
    "optional as it is": ("def program(x: Optional[Tensor]):\n    return x + 1\n", "Optional[Tensor]"),
    "empty list of ints": (
        "def program(x: int):\n    y = []\n    y.append(x)\n    return y\n",
        "previously matched to type Tensor",
    ),
    "unpacking": ("def program(x: Tuple[int, int]):\n    a, b, c = x\n    return a\n", "need 3 values to unpack"),
    "tuple index": ("def program(x: Tuple[int, int]):\n    return x[2]\n", "Tuple index out of range"),
    "condition": (
        "def program(x: Optional[int]):\n    if x:\n        return 1\n    return 2\n",
        "Could not cast value",
    ),
    "recursion": ("def program(n: int) -> int:\n    return program(n - 1)\n", "called recursively"),
    "mutable default": (
        "def program(x, d: List[int] = [1, 2]):\n    return x * d[0]\n",
        "Mutable default parameters are not supported",
    ),
    "module made inside": ("def program(x):\n    return nn.Linear(2, 2)(x)\n", "Cannot instantiate class 'Linear'"),
    "raise a string": ("def program(x):\n    raise 'no'\n", "must derive from BaseException"),
    "setting a new attribute": (
        "class Model(nn.Module):\n    def forward(self, x):\n        self.new = x\n        return x\nprogram = Model()\n",
        "nonexistent attribute: new",
    ),
    "missing attribute": (
        "class Model(nn.Module):\n    def forward(self, x):\n        return self.new\nprogram = Model()\n",
        "Module 'Model' has no attribute 'new'",
    ),
    "attribute without a type": (
        (
            "class Model(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.a = []\n"
            "    def forward(self, x):\n        return x + len(self.a)\nprogram = Model()\n"
        ),
        "failed to convert Python type: 'list'",
    ),
    "dynamic index of modules": (
        (
            "class Model(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
            "        self.layers = nn.ModuleList([nn.ReLU()])\n"
            "    def forward(self, x, i: int):\n        return self.layers[i](x)\nprogram = Model()\n"
        ),
        "Expected integer literal for index",
    ),
    "break in an unrolled loop": (
        (
            "class Model(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
            "        self.layers = nn.ModuleList([nn.ReLU()])\n"
            "    def forward(self, x):\n        for layer in self.layers:\n            break\n        return x\nprogram = Model()\n"
        ),
        "unrolled loops",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_line(name: str) -> None:
    text, message = REFUSED[name]
    space = run_program(HEAD + text, optc, f"refused {name}")
    with pytest.raises(ScriptError) as caught:
        optc.jit.script(space["program"])
    shown = str(caught.value)
    assert message in shown
    assert f'File "<refused {name}>", line ' in shown
    assert "<--- HERE" in shown


def test_an_error_in_a_callee_shows_the_call_too() -> None:
    text = "def inner(x):\n    return x.missing()\n\ndef outer(x):\n    return inner(x) + 1\n"
    space = run_program(HEAD + text, optc, "call chain")
    with pytest.raises(ScriptError) as caught:
        optc.jit.script(space["outer"])
    shown = str(caught.value)
    assert "    return x.missing()\n           ~~~~~~~~~ <--- HERE" in shown
    assert "'inner' is being compiled since it was called from 'outer'" in shown
    assert "    return inner(x) + 1\n           ~~~~~ <--- HERE" in shown


def test_a_program_nested_too_deeply_is_refused() -> None:
    space = run_program("def program(x: int):\n    return " + " + ".join(["x"] * 900) + "\n", optc, "deep")
    try:
        scripted = optc.jit.script(space["program"])
    except ScriptError as error:
        assert "nested too deeply" in str(error)
    else:
        assert scripted(2) == 1800


def test_threads_compile_at_once() -> None:
    space = run_program(
        HEAD + "def helper(x):\n    return x * 2\n\ndef program(x):\n    return helper(x) + 1\n", optc, "threads"
    )
    with ThreadPoolExecutor(8) as pool:
        compiled = list(pool.map(lambda _: optc.jit.script(space["program"]), range(16)))
    assert len({id(each._function) for each in compiled}) == 1
    assert all(float(each(optc.ones(1))) == 3 for each in compiled)
