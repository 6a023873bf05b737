"""Random programs of assignments, branches, loops and jumps: what the rules of control flow must survive."""

from __future__ import annotations

import random

_INTEGERS = (
    "a", "b", "c", "1", "2", "n", "a + b", "b * 2", "c - 1", "a % 3", "len(xs)", "max(a, b)", "-c",
    "(a if b > c else c)", "int(x.sum() > 0)", "xs[0]",
)  # fmt: skip
_TENSORS = (
    "x", "x + a", "x * y", "-y", "torch.relu(x)", "x.sum(dim=0) + y", "y", "torch.tanh(y - x)", "(x if a > 1 else y)",
    "2 * x", "x - 1.5",
)  # fmt: skip
_CONDITIONS = (
    "a > b", "c == 1", "a < b < c", "n > 2 and a > 0", "not (b > 1)", "a in xs", "bool(x.sum() > 0)",
    "b >= 1 or c < 0", "True", "flag", "x.sum() > a",
)  # fmt: skip

_HEAD = """\
def program(x: Tensor, y: Tensor, n: int, flag: bool, opt: Optional[Tensor] = None) -> Tuple[Tensor, int, List[Tensor]]:
    a, b, c, steps = 1, 2, 3, 0
    xs = [1, 2]
    out: List[Tensor] = []
"""


def random_program(seed: int) -> str:
    """A function `program(x, y, n, flag, opt)` of two vectors of three, an int, a bool and an optional vector."""
    writer = _Writer(random.Random(seed))
    writer.block(3, 1, in_loop=False)
    return _HEAD + "".join(writer.lines) + "    return x + y, a + b * c, out\n"


class _Writer:
    def __init__(self, choices: random.Random) -> None:
        self.choices = choices
        self.lines: list[str] = []

    def pick(self, *options: str) -> str:
        return self.choices.choice(options)

    def write(self, level: int, text: str) -> None:
        self.lines.append("    " * level + text + "\n")

    def block(self, depth: int, level: int, in_loop: bool) -> None:
        for _ in range(self.choices.randint(1, 3)):
            if not self._statement(depth, level, in_loop):
                return

    def _statement(self, depth: int, level: int, in_loop: bool) -> bool:
        """Write one statement; False when nothing after it would run."""
        kind = self.choices.random()
        if kind < 0.7:
            self.write(level, self._simple(level))
        elif kind < 0.82 and depth:
            self._if(depth, level, in_loop)
        elif kind < 0.92 and depth:
            self._loop(depth, level)
        elif kind < 0.97 and in_loop:
            self.write(level, self.pick("break", "continue"))
            return False
        elif kind < 0.985:
            self.write(level, "return x, a, out")
            return False
        else:
            self.write(level, "pass")
        return True

    def _simple(self, level: int) -> str:
        number, tensor = self.pick("a", "b", "c"), self.pick("x", "y")
        return self.pick(
            f"{number} = {self.pick(*_INTEGERS)}",
            f"{number} {self.pick('+', '-')}= {self.pick(*_INTEGERS)}",
            f"{tensor} = {self.pick(*_TENSORS)}",
            f"{tensor} = {tensor} + {self.pick('x', 'y', '1', 'a')}",
            f"out.append({self.pick(*_TENSORS)})",
            f"xs = [i{level} + {number} for i{level} in xs]",
            f"assert {self.pick('steps < 100', 'n > 0')}, f'no {{n}}'",
        )

    def _if(self, depth: int, level: int, in_loop: bool) -> None:
        if self.choices.random() < 0.2:
            self.write(level, "if opt is not None:")
            self.write(level + 1, "x = x + opt")
            return
        self.write(level, f"if {self.pick(*_CONDITIONS)}:")
        self.block(depth - 1, level + 1, in_loop)
        if self.choices.random() < 0.4:
            self.write(level, f"elif {self.pick(*_CONDITIONS)}:")
            self.block(depth - 1, level + 1, in_loop)
        if self.choices.random() < 0.6:
            self.write(level, "else:")
            self.block(depth - 1, level + 1, in_loop)

    def _loop(self, depth: int, level: int) -> None:
        name = self.pick("i", "j", "k") + str(level)
        condition = f"steps < 9 and {self.pick(*_CONDITIONS)}"
        head = self.pick(
            f"for {name} in range({self.pick('n', '3', '1, n, 2')}):",
            f"for {name} in xs:",
            f"while {condition}:",
            f"for {name}, z{level} in enumerate(xs):",
            f"for row{level} in x:",
        )
        self.write(level, head)
        self.write(level + 1, "steps += 1")
        self.block(depth - 1, level + 1, in_loop=True)
