"""Random programs: the trace, and the trace saved and loaded, compute what the program computes on other inputs."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import optc

Step = Callable[[list[Any]], Any]

STEPS: dict[str, Step] = {
    "add": lambda values: values[-1] + values[0],
    "scale": lambda values: values[-1] * 0.5,
    "reverse subtract": lambda values: 1 - values[-1],
    "divide": lambda values: values[-1] / 3,
    "tanh": lambda values: optc.tanh(values[-1]),
    "relu": lambda values: values[-1].relu(),
    "row": lambda values: values[-1] + values[-1][0],
    "column": lambda values: values[-1] * values[-1][:, :1],
    "transposed twice": lambda values: values[-1].t().contiguous().t(),
    "reshaped": lambda values: values[-1].reshape(values[-1].size(1), -1).reshape(values[-1].shape),
    "mean": lambda values: values[-1] - values[-1].mean(dim=-1, keepdim=True),
    "softmax": lambda values: values[-1].softmax(-1),
    "concatenated": lambda values: optc.cat([values[-1], values[0]], dim=1)[:, :4],
    "chunks": lambda values: sum(values[-1].chunk(2, dim=1)[::-1]) + values[-1].sum(),
    "clone and write": lambda values: _written(values[-1]),
    "write in place": lambda values: values[-1].clone().add_(values[0]).mul_(2),
    "where": lambda values: optc.where(values[-1] > 0, values[-1], values[0]),
    "maximum": lambda values: values[-1] + values[-1].max(1)[0].unsqueeze(1),
    "clamp": lambda values: values[-1].clamp(-1, 1),
}


def _written(value: Any) -> Any:
    copied = value.clone()
    copied[0] = 1.0
    copied[1:, 1] += copied[0, 2]
    return copied


def program(names: list[str]) -> Callable[[Any], Any]:
    def run(x: Any) -> Any:
        values = [x]
        for name in names:
            values.append(STEPS[name](values))
        return values[-1], values[len(values) // 2]

    return run


@settings(max_examples=40)
@given(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=8))
def test_traces_of_random_programs(names: list[str]) -> None:
    run = program(names)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        traced = optc.jit.trace(run, (optc.full((3, 4), 0.25),))
    buffer = io.BytesIO()
    optc.jit.save(traced, buffer)
    loaded = optc.jit.load(io.BytesIO(buffer.getvalue()))
    x = np.random.default_rng(len(names)).standard_normal((5, 4), np.float32)
    expected = run(optc.from_numpy(x.copy()))
    for compiled in (traced, loaded):
        for result, wanted in zip(compiled(optc.from_numpy(x.copy())), expected):
            np.testing.assert_array_equal(result.numpy(), wanted.numpy())
