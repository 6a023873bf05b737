"""Reading and writing elements by every kind of index, against PyTorch: see `tests.eager.peers`."""

from typing import Any

import numpy as np
import pytest

from tests.eager.peers import assert_same

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


INDEXING = """
t.ones(3)[[True,False,True]]
t.ones(3)["a"]
t.ones(3)[5]
t.ones(3)[1.5]
t.ones(3)[0,0]
t.ones(3)[::-1]
t.ones(3)[::0]
t.tensor(1.)[0]
t.tensor(1.)[:]
t.tensor(1.)[None]
t.tensor(1.)[...]
t.ones(3)[t.tensor([0.5])]
t.ones(3)[t.tensor([5])]
t.ones(3)[t.tensor([-4])]
t.ones(3)[t.tensor([True,False])]
t.ones(3)[...,...]
t.ones(3)[np.array([0,1])]
t.ones(3)[np.int64(1)]
t.ones(3)[t.tensor(1)]
t.ones(3)[True]
t.ones(3)[False]
t.ones(3)[t.tensor(True)]
t.ones(3)[()]
t.ones(3)[[]]
t.ones(3)[range(2)]
t.ones(2,2)[t.tensor([0,1],dtype=t.uint8)]
t.arange(24).view(2,3,4)[1]
t.arange(24).view(2,3,4)[-1,:,1:3]
t.arange(24).view(2,3,4)[...,0]
t.arange(24).view(2,3,4)[:,None,1]
t.arange(24).view(2,3,4)[0,...,None]
t.arange(24).view(2,3,4)[:, ::2]
t.arange(24).view(2,3,4)[:, -2:, ::3]
t.arange(24).view(2,3,4)[:, 5:]
t.arange(24).view(2,3,4)[:, 2:1]
t.arange(24).view(2,3,4)[[0,1]]
t.arange(24).view(2,3,4)[[0,1],[1,2]]
t.arange(24).view(2,3,4)[:,[0,1]]
t.arange(24).view(2,3,4)[[0,1],:,[1,2]]
t.arange(24).view(2,3,4)[0,:,[1,2]]
t.arange(24).view(2,3,4)[[0,1],0]
t.arange(24).view(2,3,4)[:,[0,2],[1,3]]
t.arange(24).view(2,3,4)[t.tensor([[0,1],[1,0]])]
t.arange(24).view(2,3,4)[t.tensor([0,1]),None]
t.arange(24).view(2,3,4)[None,t.tensor([0,1])]
t.arange(24).view(2,3,4)[t.arange(24).view(2,3,4)>5]
t.arange(24).view(2,3,4)[t.arange(6).view(2,3)>2]
t.arange(24).view(2,3,4)[t.arange(6).view(2,3)>2,0]
t.arange(24).view(2,3,4)[t.arange(6).view(2,3)>2,1:3]
t.arange(24).view(2,3,4)[t.arange(6).view(2,3)>2,None]
t.arange(24).view(2,3,4)[:,t.tensor([True,False,True])]
t.arange(24).view(2,3,4)[:,t.tensor([True,False,True]),[0,1]]
t.arange(24).view(2,3,4)[True,0]
t.arange(24).view(2,3,4)[0,True]
t.arange(24).view(2,3,4)[False]
t.arange(24).view(2,3,4)[t.tensor(1),t.tensor(2)]
t.arange(24).view(2,3,4)[t.tensor(1),[0,1]]
t.arange(24).view(2,3,4)[t.tensor([-1,0])]
t.arange(24).view(2,3,4)[[0,1],[0,1,2]]
t.arange(24).view(2,3,4)[[[0,1],[1,0]]]
t.arange(24).view(2,3,4)[slice(None),1]
t.arange(24).view(2,3,4)[(0,1)]
t.arange(24).view(2,3,4)[[0,slice(None)]]
t.arange(24).view(2,3,4)[[t.tensor(0),1]]
t.arange(24).view(2,3,4)[0,0,0,0]
t.arange(24).view(2,3,4)[0,0,4]
t.arange(24).view(2,3,4)[1:'a']
t.arange(24).view(2,3,4)[t.tensor(1):]
t.arange(24).view(2,3,4)[:,np.array([0,1])]
t.arange(24).view(2,3,4)[np.array([True,False])]
t.arange(24).view(2,3,4)[{}]
t.zeros(0,3)[t.zeros(0,dtype=t.long)]
t.zeros(0,3)[0]
t.zeros(3)[t.zeros(3,dtype=t.bool)]
t.ones(3)[None,5]
t.ones(2,3)[...,5]
t.ones(2,3)[:,5]
t.ones(2,3)[0,None,5]
t.ones(2,3)[None,None,2]
t.ones(2,3,4,5)[0,:,2,7]
t.ones(2,3,4,5)[...,2,7]
t.ones(2,3)[True,5]
t.ones(2,3)[[0,1],5]
"""


@pytest.mark.parametrize("expression", INDEXING.strip().splitlines())
def test_expression(expression: str) -> None:
    assert_same(eval(f"lambda t: {expression}", {"np": np}))


ASSIGNMENTS: list[tuple[str, str]] = [
    ("0", "[1, 2, 3]"),
    ("0", "np.ones(3)"),
    ("0", "t.ones(1, 1, 3)"),
    ("0", "t.ones(2, 3)"),
    ("0", "t.ones(2)"),
    ("t.tensor([0, 1])", "t.ones(1, 3)"),
    ("x > 2", "t.ones(2)"),
    ("x > 2", "2"),
    ("x > 2", "t.ones(3) * 7"),
    ("0", "'a'"),
    ("(0, 5)", "1"),
    ("False", "1"),
    ("True", "1"),
    ("0", "1 + 2j"),
    ("0", "None"),
    ("([0, 1], [1, 2])", "t.tensor([5.0, 6.0])"),
    ("(slice(None), [0, 2])", "t.ones(2, 2)"),
    ("([0, 1], None)", "3"),
    ("t.tensor([0, 1])", "t.ones(5, 3)"),
    ("(slice(None), 1)", "9"),
    ("(..., 0)", "t.tensor([3.0, 4.0])"),
    ("slice(None)", "t.arange(3)"),
    ("(0, slice(0, 2))", "t.ones(1)"),
    ("(0, 0)", "t.ones(1, 1)"),
    ("(0, 0)", "t.ones(2)"),
    ("(1,)", "True"),
    ("(None, 0)", "5"),
    ("0", "float('inf')"),
    ("0", "float('nan')"),
    ("()", "4"),
    ("...", "4"),
    ("t.tensor(1)", "8"),
    ("([0, 0],)", "t.ones(2, 3)"),
    ("t.tensor([True, False])", "t.ones(3) * 5"),
    ("slice(0, 0)", "3"),
    ("[]", "3"),
    ("(slice(None), slice(None), 0)", "1"),
    ("slice(None, None, -1)", "1"),
    ("1.5", "1"),
    ("(0, [0, 2])", "t.tensor([7, 8])"),
    ("(t.tensor([True, False]), slice(1, 3))", "6"),
    ("0", "1.7"),
    ("0", "300"),
    ("0", "-1"),
    ("0", "2**40"),
    ("0", "1e6"),
]


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8", "bool", "float16"])
@pytest.mark.parametrize("index, value", ASSIGNMENTS)
def test_assignment(index: str, value: str, dtype: str) -> None:
    def assign(t: Any) -> Any:
        x = t.arange(6).view(2, 3).to(getattr(t, dtype))
        scope = {"t": t, "np": np, "x": x}
        x[eval(index, scope)] = eval(value, scope)
        return x

    assert_same(assign)
