"""Random programs in which tensors, lists, dictionaries and tuples are held under several names and written to."""

from __future__ import annotations

import random

_STATEMENTS = (
    # Other names for what is there.
    "x = y", "y = x.view(3)", "x = p[{i}]", "y = d['b']", "x = pair[1]", "p = q", "q = p", "k = m", "m = k", "k = rows[{i}]",
    "m = pair[0]", "k, y = pair", "pair = (k, x)", "pair = (m, p[{i}])", "other = d", "d = other", "m = table['one']",
    "q = list(p)", "k = m.copy()", "x = x.clone()", "y = y + {a}", "q = p + q[:1]", "p = [x, y, x]", "k = k + m[:2]",
    "rows = [k, m, k]", "d = {{'a': x, 'b': y}}", "table = {{'one': k, 'two': m}}", "q = [t * 2 for t in p[:3]]",
    "p, q = q, p", "k, m = m, k", "x, y = y, x", "two = x[:2]", "two = p[{i}][1:]",
    # Writes.
    "x.add_({a})", "y.mul_(2)", "x += y", "y -= {a}", "x[0] = {a}", "y[1:] = x[:2]", "two.mul_(3)", "two[0] = {a}",
    "p[{i}].add_({a})", "p[{i}] = y", "q[{i}] = x", "p[{i}] += 1", "p.append(x)", "q.append(y.clone())", "p.extend(q[:1])",
    "k.append({a})", "k[{i}] = {a}", "m[{i}] += {a}", "k += m[:2]", "m.extend(k[:2])", "k.reverse()", "m.sort()", "k.pop()",
    "m.insert(0, {a})", "del k[0]", "rows[{i}] = m", "rows[{i}].append({a})", "rows.append(k)", "rows[{i}][0] = {a}",
    "d['a'] = y", "d['b'].add_({a})", "other['c'] = x", "other['a'] = x.clone()", "table['two'].append({a})",
    "table['one'] = m", "table['one'][0] = {a}", "pair[0].append({a})", "pair[1].mul_(2)", "q.reverse()", "p.pop()",
    "total += len(k) + len(p) + len(d)",
)  # fmt: skip
_CONDITIONS = (
    "n > {a}", "flag", "len(k) > {a}", "bool(x.sum() > {a})", "len(p) < 4", "'c' in d", "k == m", "total % 2 == 0",
    "{a} in m", "bool(p[0][0] > 0)",
)  # fmt: skip

_HEAD = """\
def program(x: Tensor, y: Tensor, p: List[Tensor], k: List[int], d: Dict[str, Tensor], n: int, flag: bool):
    q = [x + 1, y, x]
    m = [n, 2, 3]
    rows = [k, m]
    table = {'one': m, 'two': [1, 2]}
    pair = (k, y)
    other = d
    two = x[:2]
    total = 0
"""
_NAMES = ("x", "y", "p", "q", "k", "m", "rows", "d", "other", "table", "pair", "two", "total")


def random_program(seed: int) -> str:
    """A function `program(x, y, p, k, d, n, flag)` of two vectors of three, a list and a dictionary of such ones.

    Short ones that return little become native code; of the others the interpreter has to run parts or all.
    """
    choices = random.Random(seed)
    writer = _Writer(choices, longest=choices.randint(1, 6))
    writer.block(2, 1)
    returned = choices.sample(_NAMES, choices.randint(2, len(_NAMES)))
    return _HEAD + "".join(writer.lines) + f"    return {', '.join(returned)}\n"


class _Writer:
    def __init__(self, choices: random.Random, longest: int) -> None:
        self.choices = choices
        self.longest = longest
        self.lines: list[str] = []
        self.loops = 0

    def write(self, level: int, text: str) -> None:
        filled = text.format(i=self.choices.choice((0, 0, 1, -1)), a=self.choices.randint(0, 4))
        self.lines.append("    " * level + filled + "\n")

    def block(self, depth: int, level: int) -> None:
        for _ in range(self.choices.randint(1, self.longest)):
            kind = self.choices.random()
            if kind < 0.75 or not depth:
                self.write(level, self.choices.choice(_STATEMENTS))
            elif kind < 0.9:
                self._if(depth, level)
            else:
                self._loop(depth, level)

    def _if(self, depth: int, level: int) -> None:
        self.write(level, f"if {self.choices.choice(_CONDITIONS)}:")
        self.block(depth - 1, level + 1)
        if self.choices.random() < 0.5:
            self.write(level, "else:")
            self.block(depth - 1, level + 1)

    def _loop(self, depth: int, level: int) -> None:
        self.loops += 1
        name = f"i{self.loops}"
        head = self.choices.choice((f"for {name} in range(n):", f"for {name} in range(3):", f"for {name} in p[:3]:"))
        self.write(level, head)
        if head.endswith("p[:3]:"):
            self.write(level + 1, f"{name}.add_(1)")
        self.block(depth - 1, level + 1)
