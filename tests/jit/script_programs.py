"""Small programs in the script language: each defines `program`, a function or module, and says what to call it with.

`torch` is whichever library runs them, so that the same text serves optc and PyTorch.
"""

from __future__ import annotations

import linecache
import re
import sys
import textwrap
import types
from pathlib import Path
from typing import Any, NamedTuple

HEAD = """\
from typing import Any, Dict, Final, List, NamedTuple, Optional, Tuple, Union
import math
from enum import Enum
Tensor = torch.Tensor
"""


def load(name: str, library: Any, folder: Path) -> dict[str, Any]:
    """Run one of the programs below with a library as `torch`."""
    return load_text(textwrap.dedent(PROGRAMS[name].text), library, folder)


def load_text(text: str, library: Any, folder: Path) -> dict[str, Any]:
    """Run a program with a library as `torch`; it lies in a file of its own, where its source can be found."""
    path = folder / f"{library.__name__}_program.py"
    path.write_text(f"import {library.__name__} as torch\nfrom {library.__name__} import nn\n{HEAD}{text}")
    linecache.checkcache(str(path))
    module = types.ModuleType(re.sub(r"\W", "_", folder.name))
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    exec(compile(path.read_text(), str(path), "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    return module.__dict__


class Program(NamedTuple):
    """The text, and the arguments of the call as text."""

    text: str
    arguments: str


PROGRAMS = {
    "gate": Program(
        """
        class Gate(nn.Module):
            def forward(self, x):
                if x.sum() > 0:
                    return x
                else:
                    return -x

        program = Gate()
        """,
        "torch.arange(4.0) - 3",
    ),
    "gates inside loops inside gates": Program(
        """
        class Gate(nn.Module):
            def __init__(self, inner: bool):
                super().__init__()
                self.inner = nn.Sequential(nn.Linear(3, 3), nn.Tanh()) if inner else nn.Identity()

            def forward(self, x, steps: int = 2):
                total = torch.zeros(3)
                for i in range(steps):
                    if float(x.mean()) > 0.1 * i:
                        total = total + self.inner(x)
                    elif i == 1:
                        continue
                    else:
                        total -= x
                return total

        class Outer(nn.Module):
            def __init__(self):
                super().__init__()
                self.gates = nn.ModuleList([Gate(False), Gate(False)])

            def forward(self, xs):
                outputs = []
                for i in range(xs.size(0)):
                    y = xs[i]
                    for gate in self.gates:
                        y = gate(y, 3)
                    outputs.append(y)
                return torch.stack(outputs)

        program = Outer()
        """,
        "torch.arange(12.0).reshape(4, 3) / 10 - 0.4",
    ),
    "hooks on one of two modules of a kind": Program(
        """
        def twice(self, input: Tuple[Tensor], output: Tensor):
            return output * 2

        class Pair(nn.Module):
            def __init__(self):
                super().__init__()
                self.plain = nn.ReLU()
                self.hooked = nn.ReLU()
                self.hooked.register_forward_hook(twice)

            def forward(self, x):
                return self.plain(x) + self.hooked(x)

        program = Pair()
        """,
        "torch.arange(4.0) - 1",
    ),
    "a union that may be None": Program(
        """
        def program(x: Union[int, Tensor, None], y: Optional[Union[float, str]] = None):
            if x is None:
                if y is None:
                    return 0
                if isinstance(y, float):
                    return int(y)
                return len(y)
            if isinstance(x, Tensor):
                return int(x.sum())
            return x
        """,
        "None, 'four'",
    ),
    "the length of a tuple of anything": Program(
        """
        class Pair(NamedTuple):
            first: Tensor
            count: int

        def program(x):
            pair = Pair(x, 2)
            return len(pair), len((x, 1, "a"))
        """,
        "torch.ones(2)",
    ),
    "early return in a loop": Program(
        """
        def program(x, limit: int):
            for i in range(limit):
                if i * 2 > limit:
                    return x + i, i
                x = x * 2
            return x, -1
        """,
        "torch.ones(2), 7",
    ),
    "break and continue in a while loop": Program(
        """
        def program(n: int) -> List[int]:
            found: List[int] = []
            i = 0
            while True:
                i += 1
                if i % 3 == 0:
                    continue
                if i > n:
                    break
                found.append(i)
            return found
        """,
        "10",
    ),
    "return in nested loops": Program(
        """
        def program(rows: List[List[int]], wanted: int) -> Tuple[int, int]:
            for i, row in enumerate(rows):
                for j, item in enumerate(row):
                    if item == wanted:
                        return i, j
            return -1, -1
        """,
        "[[1, 2], [3, 4], [5]], 4",
    ),
    "optional refined": Program(
        """
        def program(x: Tensor, bias: Optional[Tensor], scale: Optional[float] = None):
            if bias is not None:
                x = x + bias
            if scale is None:
                scale = 2.0
            return x * scale
        """,
        "torch.ones(2), torch.ones(2)",
    ),
    "assert refines": Program(
        """
        def program(x: Optional[int]) -> int:
            assert x is not None, f"no number but {x}"
            return x + 1
        """,
        "4",
    ),
    "isinstance refines a union": Program(
        """
        def program(x: Union[int, str]) -> int:
            if isinstance(x, str):
                return len(x)
            return x
        """,
        "'four'",
    ),
    "one branch declares the type of both": Program(
        """
        def program(x: Union[Tensor, List[Tensor]]) -> Union[Tensor, List[Tensor]]:
            if isinstance(x, Tensor):
                y: Union[Tensor, List[Tensor]] = x + 1
            else:
                y = [item + 1 for item in x]
            return y
        """,
        "torch.ones(2)",
    ),
    "short circuit and chained comparison": Program(
        """
        def program(a: int, b: int, xs: List[int]) -> bool:
            return 0 < a <= b and (len(xs) > a or not xs[0] == 1) and b not in xs
        """,
        "1, 2, [1, 3]",
    ),
    "ternary": Program(
        """
        def program(x: Tensor, up: bool):
            return x + 1 if up else x - 1
        """,
        "torch.ones(2), False",
    ),
    "tuples": Program(
        """
        def program(x: Tensor) -> Tuple[Tensor, int]:
            pair = (x, 3)
            a, (b, c) = pair[0], (4, 5)
            first, *rest = (1, 2, 3)
            t = pair + (b,)
            return a + rest[1], t[2] + c + first + len(rest)
        """,
        "torch.ones(2)",
    ),
    "lists": Program(
        """
        def program(n: int) -> List[int]:
            squares = [i * i for i in range(n)]
            squares.extend([7, 8])
            squares[0] = 5
            squares[1] += 1
            del squares[2]
            evens = squares[::2]
            evens.reverse()
            return evens + [len(squares), max(squares), sum(squares)]
        """,
        "5",
    ),
    "dicts": Program(
        """
        def program(words: List[str]) -> Dict[str, int]:
            counts: Dict[str, int] = {}
            for word in words:
                if word in counts:
                    counts[word] += 1
                else:
                    counts[word] = 1
            total = 0
            for key, value in counts.items():
                total += value * len(key)
            counts["total"] = total
            return counts
        """,
        "['a', 'bb', 'a']",
    ),
    "tensor indexing": Program(
        """
        def program(x: Tensor):
            y = x.clone()
            y[0, 1:] = 7
            y[1] = x[0]
            y[:, 0] += 1
            return y[1:, ..., None], x[-1][0], x[:, 1]
        """,
        "torch.arange(6.0).reshape(2, 3)",
    ),
    "in-place operators": Program(
        """
        def program(x: Tensor):
            y = x + 1
            y += 2
            y *= x
            y -= 1.5
            y /= 2
            n = 3
            n += 1
            n *= 2
            return y, n
        """,
        "torch.arange(3.0)",
    ),
    "numbers and tensors": Program(
        """
        def program(x: Tensor, k: float):
            n = int(x.sum())
            return 2 - x, 1 / (x + 1), 3 > x, float(x[0]) + k, bool(x[1] > 0), n // 2, n % 3, -n
        """,
        "torch.arange(3.0), 2.5",
    ),
    "iteration": Program(
        """
        def program(xs: List[Tensor], text: str):
            total = torch.zeros(2)
            for i, (x, c) in enumerate(zip(xs, text), 1):
                total = total + x * i
                if c == "b":
                    total += 1
            for row in torch.ones(3, 2):
                total += row
            for k in (1, 2.0):
                total = total * k
            for i in range(6, 0, -2):
                total = total + i
            return total
        """,
        "[torch.ones(2), torch.ones(2)], 'ab'",
    ),
    "strings": Program(
        """
        def program(name: str, n: int) -> str:
            text = f"{name}: {n}" + " items".upper()
            return ", ".join([text, name[1:], "{}-{}".format(n, name)])
        """,
        "'box', 3",
    ),
    "functions calling functions": Program(
        """
        def helper(x, scale: float = 2.0, *, shift: int):
            return x * scale + shift

        def program(x):
            return helper(x, shift=1) + helper(x, 3.0, shift=2)
        """,
        "torch.ones(2)",
    ),
    "type comment": Program(
        """
        def program(x, n):
            # type: (Tensor, int) -> Tensor
            return x * n
        """,
        "torch.ones(2), 3",
    ),
    "named tuple": Program(
        """
        class Point(NamedTuple):
            x: Tensor
            y: int

        def program(x):
            p = Point(y=3, x=x)
            return p.x * p.y
        """,
        "torch.ones(2)",
    ),
    "enumeration": Program(
        """
        class Mode(Enum):
            ADD = 1
            MULTIPLY = 2

        def program(x: Tensor, n: int):
            mode = Mode.ADD
            if n > 2:
                mode = Mode.MULTIPLY
            if mode == Mode.ADD:
                return x + n
            return x * n
        """,
        "torch.ones(2), 3",
    ),
    "script class": Program(
        """
        class Counter:
            def __init__(self, start: int):
                self.count = start

            def step(self, by: int = 1) -> int:
                self.count += by
                return self.count

        def program(x: Tensor):
            counter = Counter(3)
            counter.step()
            return x * counter.step(2) + counter.count
        """,
        "torch.ones(2)",
    ),
    "attributes": Program(
        """
        class Model(nn.Module):
            scale: Final[float]
            limit: Optional[int]

            def __init__(self):
                super().__init__()
                self.scale = 0.5
                self.limit = None
                self.steps = 0
                self.sizes = [1, 2]
                self.names = {"a": 1}
                self.register_buffer("total", torch.zeros(2))
                self.weight = nn.Parameter(torch.ones(2))

            @torch.jit.export
            def reset(self) -> None:
                self.steps = 0

            def helper(self, x):
                return x * self.scale

            def forward(self, x):
                self.steps += 1
                self.total = self.total + x
                limit = self.limit
                if limit is not None:
                    x = x.clamp(max=limit)
                if self.training:
                    x = self.helper(x)
                return x * self.weight + self.sizes[1] + self.names["a"] + self.steps

        program = Model()
        """,
        "torch.ones(2)",
    ),
    "containers of modules": Program(
        """
        class Model(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([nn.ReLU(), nn.Tanh(), nn.Identity()])
                self.named = nn.ModuleDict({"a": nn.ReLU(), "b": nn.Sigmoid()})
                self.nothing = None

            def forward(self, x):
                for i, layer in enumerate(self.layers):
                    x = layer(x) + i
                for name, module in self.named.items():
                    x = module(x)
                if self.nothing is not None:
                    x = self.nothing(x)
                if hasattr(self, "missing"):
                    x = self.missing(x)
                return self.layers[-1](x) + len(self.layers)

        program = Model()
        """,
        "torch.ones(2)",
    ),
    "properties and static methods": Program(
        """
        class Model(nn.Module):
            def __init__(self):
                super().__init__()
                self.factor = 3

            @property
            def doubled(self) -> int:
                return self.factor * 2

            @staticmethod
            def shifted(x: Tensor, by: int) -> Tensor:
                return x + by

            def forward(self, x):
                return self.shifted(x, self.doubled)

        program = Model()
        """,
        "torch.ones(2)",
    ),
    "hooks": Program(
        """
        def before(self, inputs: Tuple[Tensor]) -> Tuple[Tensor]:
            return (inputs[0] + 1,)

        def after(self, inputs: Tuple[Tensor], output: Tensor):
            return output * 2

        class Inner(nn.Module):
            def forward(self, x: Tensor):
                return x * 3

        class Model(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = Inner()
                self.inner.register_forward_pre_hook(before)
                self.inner.register_forward_hook(after)

            def forward(self, x: Tensor):
                return self.inner(x)

        program = Model()
        """,
        "torch.ones(2)",
    ),
    "raise": Program(
        """
        def program(x: Tensor, n: int):
            if n < 0:
                raise ValueError("negative: " + str(n))
            elif n == 0:
                y = x
            else:
                y = x * n
            return y
        """,
        "torch.ones(2), 2",
    ),
    "static conditions": Program(
        """
        def program(x: Tensor):
            if torch.jit.is_scripting() and isinstance(x, Tensor):
                y = x + 1
            else:
                y = not_there(x)
            if False:
                y = y.missing()
            return y
        """,
        "torch.ones(2)",
    ),
    "no_grad": Program(
        """
        def program(x: Tensor):
            with torch.no_grad():
                y = x * 2
            return y
        """,
        "torch.ones(2)",
    ),
    "comprehension of tuples": Program(
        """
        def program(xs: List[Tensor]) -> Tuple[List[int], Dict[int, int]]:
            sizes = [x.size(0) for x in xs]
            return sizes, {i: size for i, size in enumerate(sizes)}
        """,
        "[torch.ones(2), torch.ones(3)]",
    ),
    "variables of branches": Program(
        """
        def program(x: Tensor, n: int):
            if n > 0:
                a = x
                b = 1
            else:
                b = 2
                a = -x
            for i in range(n):
                b = b * 2
                if i == 1:
                    a = a + b
            return a * b
        """,
        "torch.ones(2), 3",
    ),
    "writing through data": Program(
        """
        class Tracker(nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer("mean", torch.zeros(3))

            def forward(self, x):
                self.mean.data.mul_(0.5).add_(x)
                self.mean.data.copy_(self.mean + 1)
                y = x.data
                y += 1
                return x, self.mean

        program = Tracker()
        """,
        "torch.ones(3)",
    ),
    "constant lists": Program(
        """
        class Sizes(nn.Module):
            sizes: Final[List[int]]
            names: Final[List[str]]
            __constants__ = ["steps"]

            def __init__(self):
                super().__init__()
                self.sizes = [1, 2, 3]
                self.names = ["a", "bc"]
                self.steps = [0.5, 2]

            def forward(self, x):
                for size in self.sizes:
                    x = x + size
                for size, name in zip(self.sizes, self.names):
                    x = x * size - len(name)
                for step in self.steps:
                    x = x * step
                return x.reshape(self.sizes[0], -1) + len(self.sizes), [2 * size for size in self.sizes]

        program = Sizes()
        """,
        "torch.ones(2)",
    ),
    "results chosen by flags": Program(
        """
        def program(x):
            a = torch.unique(x)
            b, c = torch.unique(x, return_inverse=True)
            d, e = torch.unique(x, True, False, True)
            f = torch.unique(x, True, True, True)
            g, h = torch.unique_consecutive(x, return_counts=True)
            return a, b, c, d, e, f, g, h, torch.unique_consecutive(x)
        """,
        "torch.tensor([3, 1, 1, 3])",
    ),
    "ordered dictionaries": Program(
        """
        import collections

        def program(x):
            d: Dict[str, Tensor] = collections.OrderedDict([("a", x), ("b", x + 1)])
            return d["a"] + d["b"]
        """,
        "torch.ones(2)",
    ),
    "the larger of numbers in tensors": Program(
        """
        def program(x: Tensor, y: Tensor):
            return int(max(x, y)), int(min(x, y))
        """,
        "torch.tensor(3), torch.tensor(2)",
    ),
    "a class with a base": Program(
        """
        class Base:
            def __init__(self):
                self.size = 1

        class Derived(Base):
            def __init__(self, size: int):
                self.size = size

            def twice(self) -> int:
                return self.size * 2

        def program(x):
            return x * Derived(3).twice()
        """,
        "torch.ones(2)",
    ),
    "an object of a class that nobody has compiled": Program(
        """
        class Count:
            def __init__(self, start: int):
                self.count = start
                self.seen = [start]

            def update(self, step: int) -> int:
                self.count += step
                self.seen.append(step)
                return self.count + len(self.seen)

        class Counter(nn.Module):
            def __init__(self):
                super().__init__()
                self.state = Count(3)

            def forward(self, x, step: int):
                return x * self.state.update(step) + self.state.count

        program = Counter()
        """,
        "torch.ones(2), 2",
    ),
}
