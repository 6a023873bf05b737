"""Eager tensors against PyTorch: each expression is evaluated with `t` as torch and as optc.

Values, dtype, shape, strides and gradient flags must agree, and where PyTorch refuses, the exception and its text.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optc.eager import functions
from optc.eager.base import TensorBase

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


class Namespace:
    """optc's functions under torch's names."""

    def __getattr__(self, name: str) -> Any:
        return functions.NAMES[name] if name in functions.NAMES else getattr(functions, name)


OPTC = Namespace()


def described(value: Any) -> Any:
    """What must agree of a result."""
    if isinstance(value, TensorBase | torch.Tensor):
        if isinstance(value, TensorBase):
            elements: Any = value._array
        else:
            elements = (value.float() if value.dtype is torch.bfloat16 else value).detach().numpy()
        if elements.dtype.name == "bfloat16":
            elements = elements.astype(np.float32)
        return str(value.dtype), value.stride(), value.requires_grad, value.is_leaf, elements
    if isinstance(value, tuple | list) and type(value).__name__ != "Size":
        return [described(item) for item in value]
    return repr(value)


def outcome(function: Callable[[Any], Any], namespace: Any) -> Any:
    try:
        return described(function(namespace))
    except Exception as error:  # noqa: BLE001 - the exception is the outcome
        kinds = [kind.__name__ for kind in type(error).__mro__]
        return "raises", kinds[kinds.index("RuntimeError") :] if "RuntimeError" in kinds else kinds, str(error)


def agree(theirs: Any, ours: Any) -> bool:
    if isinstance(theirs, tuple) and theirs[:1] == ("raises",) and "\" not implemented for '" in theirs[2]:
        return True  # a kernel PyTorch lacks; optc may have one
    if isinstance(theirs, str) and isinstance(ours, str):
        return re.sub(r"torch\.\w+Tensor\{", "torch.FloatTensor{", theirs) == ours  # shape rules know no dtype
    if isinstance(theirs, np.ndarray):
        return isinstance(ours, np.ndarray) and theirs.shape == ours.shape and np.allclose(
            theirs, ours, rtol=2e-6, atol=1e-7, equal_nan=True
        )  # fmt: skip
    if isinstance(theirs, list | tuple):
        return type(theirs) is type(ours) and len(theirs) == len(ours) and all(map(agree, theirs, ours))
    return bool(theirs == ours)


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

CREATION_AND_CONVERSION = """
t.ones(2)+np.ones(2)
np.array([1,2])/t.tensor([2,4])
np.array([1j,2])/t.ones(2)
np.array(["a"])/t.ones(1)
t.ones(2,3)==np.array([1,0,1],np.uint8)
np.array([1,0,1],np.float32)==t.ones(2,3)
t.ones(3)==np.ones(4)
t.ones(3)==np.ones(3)[::-1]
t.ones(1)==np.array(["a"])
t.ones(1)!=np.ones(1)
np.float32(2)*t.ones(2)
t.ones(2)*np.float64(2)
np.float64(3)-t.ones(2)
t.ones(2)+"a"
t.ones(2)+None
t.add(t.ones(2),"a")
t.ones(2).unsqueeze("a")
t.ones(2).unsqueeze(True)
t.relu()
t.relu(t.ones(1),2)
t.softmax(t.ones(2))
t.sum("x")
t.matmul(t.ones(2),3)
t.relu(np.ones(2))
t.ones(2).reshape("a")
t.stack(t.ones(2,2))
t.ones(2)==None
t.ones(2)=="a"
t.ones(2)<"a"
t.tensor([[1,2],[3]])
t.tensor("a")
t.tensor(None)
t.tensor([1,None])
t.tensor(2**63)
t.tensor([2**63])
t.tensor(-2**63)
t.tensor([1,2.5,True])
t.tensor([True,2])
t.tensor([1+2j,3])
t.tensor([])
t.tensor([[]])
t.tensor([[],[]])
t.tensor([1,[2]])
t.tensor([[1],2])
t.tensor([np.float32(1),2])
t.tensor([np.ones(2),np.zeros(2)])
t.tensor([t.tensor(1),t.tensor(2)])
t.tensor([t.tensor(1.5),2])
t.tensor([t.ones(1),t.ones(1)])
t.tensor([t.ones(2),t.ones(2)])
t.tensor(np.float64(2.5))
t.tensor(1.7,dtype=t.int32)
t.tensor(300,dtype=t.uint8)
t.tensor(-1,dtype=t.uint8)
t.tensor(-300,dtype=t.uint8)
t.tensor([1.5],dtype=t.bool)
t.tensor([0.0,float('nan')],dtype=t.bool)
t.tensor(range(3))
t.tensor(1e40)
t.tensor(1e40,dtype=t.float16)
t.tensor([1,2],requires_grad=True)
t.tensor([1.,2],requires_grad=True)
t.tensor([{}])
t.tensor({1})
t.tensor([np.int32(1)])
t.tensor(np.array([1,2],dtype='>i4'))
t.from_numpy(np.ones(3)[::-1])
t.from_numpy(np.ones(3,np.float16))
t.from_numpy([1])
t.tensor(np.array([1,2])[::-1])
t.as_tensor([1,2],dtype=t.float32)
t.as_tensor(np.ones(2),dtype=t.float32)
t.as_tensor(3)
t.Tensor(2,3).shape
t.Tensor([1,2])
t.Tensor(3).shape
t.Tensor()
t.tensor(2**40,dtype=t.int32)
t.tensor(float('inf'),dtype=t.int32)
t.tensor(1j,dtype=t.float32)
t.tensor([1.5,2],dtype=t.complex64)
t.tensor([1.5,2],dtype=t.bfloat16)
t.tensor([1.5,2],dtype=t.float16)
t.full((2,),True)
t.full((2,),3)
t.full((2,),3.5)
t.full((2,),3,dtype=t.float64)
t.full((2,),float('nan'))
t.zeros((2,3))
t.zeros([2])
t.zeros(t.Size([2]))
t.zeros(())
t.zeros(0)
t.zeros(2,0,3)
t.zeros(1.5)
t.zeros(2,3,dtype=t.int8)
t.zeros(2,requires_grad=True)
t.zeros(2,dtype=t.long,requires_grad=True)
t.ones(2,dtype=t.bool)
t.zeros("a")
t.zeros(2,dtype="a")
t.arange(5)
t.arange(5.)
t.arange(1,5)
t.arange(0,1,0.1)
t.arange(5,0,-2)
t.arange(0)
t.arange(1,4,dtype=t.float64)
t.arange(5,1)
t.arange(0,5,0)
t.linspace(0,1,5)
t.linspace(0,1,1)
t.linspace(-3,7,11,dtype=t.float64)
t.linspace(0,1,0)
t.linspace(0,10,5,dtype=t.int64)
t.eye(3)
t.eye(2,3)
t.zeros_like(t.ones(2,3))
t.ones_like(t.arange(3))
t.full_like(t.ones(2),7)
t.full_like(t.arange(2),7.5)
t.zeros_like(t.ones(2,3).t())
t.empty_like(t.ones(2,3).t()).stride()
t.zeros_like(t.ones(2),dtype=t.int8)
t.ones(2).new_zeros(3)
t.ones(2).new_full((2,2),5)
t.arange(2).new_tensor([1.5,2.5])
t.arange(2).new_ones(2,3)
t.scalar_tensor(3)
t.scalar_tensor(True)
t.empty_strided((2,3),(1,2)).stride()
t.ones(2,3).size("a")
t.ones(2,3).size(5)
t.ones(2,3).size(-1)
t.ones(2,3).size()
t.ones(2,3).shape[1:]
t.ones(2,3).shape+(4,)
t.ones(2,3).shape.numel()
t.tensor(1.).size(0)
t.arange(3).float().requires_grad_()
t.arange(3).requires_grad_()
bool(t.ones(2))
bool(t.ones(0))
bool(t.ones(1))
bool(t.tensor(float('nan')))
t.ones(2).item()
t.tensor([[1.5]]).item()
t.tensor(True).item()
t.tensor(1+2j).item()
t.tensor(1.5,dtype=t.bfloat16).item()
t.tensor(1.5,dtype=t.float16).item()
int(t.ones(2))
int(t.tensor(2.7))
int(t.tensor(float('inf')))
int(t.tensor(float('nan')))
float(t.tensor(3))
float(t.tensor([3]))
complex(t.tensor(3))
float(t.tensor(1+2j))
t.ones(2).__index__()
t.tensor(1.5).__index__()
t.tensor(True).__index__()
[1,2,3][t.tensor(1)]
[1,2,3][t.tensor([1])]
len(t.tensor(1))
len(t.ones(3,2))
list(t.tensor(1))
list(t.ones(2,2))
[x.item() for x in t.arange(3)]
1 in t.arange(3)
7 in t.arange(3)
"a" in t.arange(3)
f"{t.tensor(1.5):.3f}"
f"{t.tensor(1.5)}"
f"{t.ones(2):.3f}"
str(t.ones(2))
round(t.tensor(1.5))
t.ones(2,3).tolist()
t.tensor(1).tolist()
t.ones(2,dtype=t.bfloat16).tolist()
t.ones(2,3,requires_grad=True).numpy()
np.asarray(t.ones(2,3,requires_grad=True))
np.asarray(t.ones(2,3)).tolist()
np.array(t.ones(2),dtype=np.float64).tolist()
t.ones(2,3).type()
t.ones(2,3).type(t.int32)
t.ones(2,3).type('torch.DoubleTensor')
t.ones(2,3).stride()
t.ones(2,3).stride(0)
t.ones(2,3).t().stride()
t.ones(2,3).t().is_contiguous()
t.ones(2,3)[:,1].storage_offset()
t.ones(2,3)[1].storage_offset()
t.from_numpy(np.ones(5)[2:]).storage_offset()
t.ones(2,3).numel()
t.ones(2,3).dim()
t.ones(2,3).element_size()
t.ones(2,3).nbytes
t.ones(2,3).device
str(t.device('cpu'))
t.device('cuda:1')
t.device('cuda',1)
t.device('cuda',1)==t.device('cuda:1')
t.ones(2,3).layout
t.ones(2).dtype
t.float32
t.strided
t.channels_last
t.iinfo(t.int8)
t.finfo(t.float32)
t.finfo(t.bfloat16)
t.finfo(t.float16)
t.finfo(t.float64)
t.finfo()
t.iinfo(t.int64).max
t.result_type(t.ones(2).to(t.int32),1.5)
t.result_type(t.ones(2).to(t.float16),t.tensor(1.,dtype=t.float64))
t.result_type(1,1.5)
t.can_cast(t.float32,t.int32)
t.can_cast(t.uint8,t.int8)
t.promote_types(t.uint8,t.int8)
t.promote_types(t.float16,t.bfloat16)
t.is_tensor(3)
t.is_tensor(t.ones(2))
t.is_floating_point(t.ones(2))
t.equal(t.ones(2),t.ones(2))
t.equal(t.ones(2),t.ones(3))
t.allclose(t.ones(2),t.ones(2)+1e-9)
t.allclose(t.ones(2),t.ones(2)+1e-3)
t.isclose(t.tensor([1.,float('nan'),float('inf')]),t.tensor([1.,float('nan'),float('inf')]))
t.isclose(t.tensor([1.,float('nan'),float('inf')]),t.tensor([1.,float('nan'),float('inf')]),equal_nan=True)
t.isclose(t.arange(3),t.arange(3)+1)
t.allclose(t.ones(2),t.arange(2))
t.ones(2,3).add_(t.ones(4,2,3))
t.arange(2).add_(1.5)
t.arange(2).div_(2)
t.ones(2)+t.ones(3)
t.ones(2,dtype=t.bool)+t.ones(2,dtype=t.bool)
t.ones(2,dtype=t.bool)-t.ones(2,dtype=t.bool)
-t.ones(2,dtype=t.bool)
t.ones(2,3).view(4)
t.ones(2,3).view(3,2)
t.ones(2,3).view(-1)
t.ones(2,3).view([3,2])
t.ones(2,3).t().view(6)
t.ones(2,3).permute(1,0)
t.ones(2,3).permute((1,0))
t.ones(2,3).expand(4,2,3)
t.ones(2,1).expand(-1,3)
t.ones(2,3).reshape(3,-1)
t.ones(2,3).repeat(2,1)
t.ones(2,3).flip(0)
t.ones(2,3).T
t.ones(2,3).mT
t.ones(2,3).contiguous().stride()
t.ones(2,3).t().contiguous().stride()
t.ones(2,3).clone().stride()
t.ones(2,3).t().clone().stride()
(t.ones(2,3).t()+1).stride()
(t.ones(2,3).t()+t.ones(3,2)).stride()
t.ones(2,3).to(t.float64)
t.ones(2,3).to('cpu')
t.ones(2,3).to('cpu',t.int32)
t.ones(2,3).to(t.arange(3))
t.ones(2,3).to(dtype=t.int8,copy=True)
t.ones(2).double()
t.ones(2).half()
t.ones(2).bool()
t.tensor([1.7,-1.7]).int()
(t.ones(2,requires_grad=True)+1).requires_grad
(t.ones(2,requires_grad=True)+1).detach().requires_grad
(t.ones(2,requires_grad=True)>1).requires_grad
(t.ones(2,requires_grad=True)+1).requires_grad_(False)
t.ones(2,requires_grad=True).add_(1)
t.ones(2).add_(t.ones(2,requires_grad=True))
t.ones(2,requires_grad=True)[0].requires_grad
t.ones(2,requires_grad=True).is_leaf
t.ones(2,requires_grad=True).data.requires_grad
t.Size([2,3])
t.Size([2,3])*2
t.Size([2,3])==(2,3)
t.ones(2).foo
t.get_default_dtype()
t.broadcast_shapes((2,1),(3,))
t.broadcast_shapes((2,),(3,))
t.broadcast_tensors(t.ones(2,1),t.ones(3))
t.ones(3) // 0
t.arange(3) // 2
t.arange(-3,3) // 2
t.arange(-3,3) % 2
t.arange(-3,3) % -2
t.arange(3) // 0
t.arange(3) % 0
t.arange(3) / 2
2 // t.arange(1,4)
2 % t.arange(1,4)
2 ** t.arange(3)
2. ** t.arange(3)
t.arange(3) ** -1
t.arange(3) ** 2.
t.arange(3) & 1
t.arange(3) | 4
t.arange(3) ^ 1
~t.arange(3)
t.arange(3) << 1
t.arange(3) >> 1
1 << t.arange(3)
abs(t.arange(-2,2))
+t.arange(2)
t.ones(2) @ t.ones(2)
t.ones(2,3) @ t.ones(3)
1 / t.arange(1,3)
1. - t.arange(1,3)
True + t.arange(2)
t.arange(2) + True
t.ones(2,dtype=t.bool) + 1
t.ones(2,dtype=t.bool) * 1.5
t.ones(2,dtype=t.float16) + 1.5
t.ones(2,dtype=t.int8) + 300
t.ones(2,dtype=t.uint8) * 300
t.ones(2,dtype=t.int32) + t.tensor(5)
t.ones(2,dtype=t.int32) + t.tensor(5.)
t.ones(2) + t.tensor(5.,dtype=t.float64)
t.ones(2) + 1j
t.arange(2) + 2**40
t.ones(2,dtype=t.int32) * 2**40
t.tensor(2) + t.tensor(2.5)
t.tensor(2,dtype=t.int8) + t.tensor([1],dtype=t.uint8)
t.add(t.ones(2),t.ones(2),alpha=2)
t.ones(2).add(1,alpha=2)
t.sub(t.ones(2),1,alpha=0.5)
t.arange(2).add(1,alpha=0.5)
t.add(t.ones(2),1,out=t.zeros(2))
t.ones(2).sum(foo=1)
t.ones(2,3).max(1)
t.ones(2,3).max(1).indices
t.ones(2,3).unbind(0)
t.ones(4,3).split(2)
t.ones(4,3).split([1,3])
t.ones(4,3).chunk(3)
t.where(t.ones(2)>0,t.zeros(2),1.)
t.arange(3).where(t.arange(3)>1,t.zeros(3,dtype=t.long))
t.ones(1).expand(3).add_(1)
t.ones(1).expand(3).fill_(1)
t.arange(5)[1:].copy_(t.arange(4))
t.zeros(2,dtype=float)
t.ones(2,3).select(1,-1)
t.ones(2,3).transpose(0,5)
t.clamp(t.arange(5),1,3)
t.arange(5).clamp(min=2)
t.ones(2,3).norm()
t.cat([t.ones(2),t.zeros(1)])
t.stack([t.ones(2),t.zeros(2)],1)
t.stack([t.ones(2),3])
t.from_dlpack(np.ones(3))
t.from_dlpack(t.ones(3))
np.from_dlpack(t.ones(3)).tolist()
t.frombuffer(bytearray(8),dtype=t.int32)
"""

EXPRESSIONS = [line for text in (INDEXING, CREATION_AND_CONVERSION) for line in text.strip().splitlines()]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expression(expression: str) -> None:
    function = eval(f"lambda t: {expression}", {"np": np})
    theirs, ours = outcome(function, torch), outcome(function, OPTC)
    assert agree(theirs, ours), f"optc: {ours} torch: {theirs}"


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

    theirs, ours = outcome(assign, torch), outcome(assign, OPTC)
    assert agree(theirs, ours), f"optc: {ours} torch: {theirs}"


SEEDED = """
t.rand(3)
t.rand(2, 3, dtype=t.float64)
t.rand((5,), dtype=t.float16)
t.randn(3)
t.randn(4, 5)
t.randn(17, dtype=t.float64)
t.randn(3, dtype=t.complex64)
t.rand(20, dtype=t.complex128)
t.randint(10, (5,))
t.randint(-5, 5, (2, 3))
t.randint(0, 2**40, (4,))
t.randint(0, 10, (4,), dtype=t.float32)
t.randint(0, 300, (4,), dtype=t.uint8)
t.randint(5, 5, (4,))
t.randint(3, (4,), dtype=t.int8)
t.randint(0, 70000, (4,), dtype=t.float16)
t.randint(0, 2049, (40,), dtype=t.float16)
t.randperm(10)
t.randperm(5, dtype=t.int32)
t.randperm(0)
t.randperm(-1)
t.rand_like(t.ones(2, 3))
t.rand_like(t.ones(2, 3).t())
t.randn_like(t.ones(20))
t.randint_like(t.ones(5), 7)
t.randint_like(t.ones(5), 2, 7)
t.rand(2, dtype=t.int64)
t.randn(2, dtype=t.int64)
t.ones(4).uniform_()
t.ones(4).uniform_(-1, 1)
t.ones(4).uniform_(1, -1)
t.arange(4).uniform_()
t.ones(40).normal_(2, 3)
t.ones(4).normal_(2, -3)
t.ones(4).random_()
t.arange(4).random_()
t.arange(4).random_(5)
t.arange(4).random_(2, 5)
t.arange(4).random_(5, 2)
t.ones(4).bernoulli_(0.3)
t.ones(4).bernoulli_(1.5)
t.ones(4).bernoulli_(t.tensor([0.0, 0.2, 0.8, 1.0]))
t.bernoulli(t.tensor([0.1, 0.9, 0.5]))
t.bernoulli(t.ones(5), 0.5)
t.ones(4).exponential_()
t.ones(4).exponential_(-1)
t.ones(4).geometric_(0.5)
t.ones(4).log_normal_()
t.ones(4).cauchy_()
t.normal(0.0, 1.0, (3,))
t.normal(t.zeros(3), 2.0)
t.normal(t.zeros(3), t.ones(3))
t.normal(1.0, t.ones(20))
t.normal(t.zeros(3), -1.0)
t.multinomial(t.tensor([0.1, 0.5, 0.4]), 2)
t.multinomial(t.tensor([0.1, 0.5, 0.4]), 5, replacement=True)
t.multinomial(t.tensor([0.1, 0.5, 0.4]), 5)
t.dropout(t.ones(20), 0.4, True)
t.dropout(t.ones(20), 0.4, False)
t.dropout(t.ones(5), 1.0, True)
t.dropout(t.ones(5), 1.5, True)
t.feature_dropout(t.ones(3, 4, 2), 0.5, True)
t.alpha_dropout(t.ones(20), 0.4, True)
t.rand(3, generator=t.Generator().manual_seed(5))
t.randint(10, (5,), generator=t.Generator().manual_seed(5))
t.randperm(5, generator=t.Generator().manual_seed(5))
t.Generator().manual_seed(5).initial_seed()
t.Generator().initial_seed()
t.manual_seed(3).initial_seed()
t.manual_seed(2**64)
t.get_rng_state()
t.set_rng_state(t.zeros(3))
"""


@pytest.mark.parametrize("expression", SEEDED.strip().splitlines())
@pytest.mark.parametrize("seed", [0, 7])
def test_seeded_numbers(expression: str, seed: int) -> None:
    function = eval(f"lambda t: (t.manual_seed({seed}), {expression}, t.rand(2))[1:]", {"np": np})
    theirs, ours = outcome(function, torch), outcome(function, OPTC)
    assert agree(theirs, ours), f"optc: {ours} torch: {theirs}"


DTYPES = ["float32", "float64", "float16", "bfloat16", "int64", "int32", "int8", "uint8", "bool"]
OPERATORS = [
    "a + b",
    "a - b",
    "a * b",
    "a / b",
    "a // b",
    "a % b",
    "a == b",
    "a < b",
    "a & b",
    "a | b",
    "a ^ b",
    "t.maximum(a, b)",
]
OPERANDS = {
    "tensor": "t.tensor([3, 1, 2], dtype=t.{dtype})",
    "zero-dim": "t.tensor(2, dtype=t.{dtype})",
}


@pytest.mark.parametrize("operator", OPERATORS)
def test_promotion_of_every_pair(operator: str) -> None:
    wrong = []
    for left in DTYPES:
        for right in DTYPES:
            for kind, operand in OPERANDS.items():
                scope = f"t.tensor([5, 7, 2], dtype=t.{left})", operand.format(dtype=right)
                function = eval(f"lambda t: (lambda a, b: {operator})({scope[0]}, {scope[1]})")
                theirs, ours = outcome(function, torch), outcome(function, OPTC)
                if not agree(theirs, ours):
                    wrong.append((left, right, kind, theirs, ours))
    assert not wrong, f"{len(wrong)} differ, the first: {wrong[0]}"


@pytest.mark.parametrize("number", ["3", "-2", "2.5", "True", "0", "100", "float('nan')"])
@pytest.mark.parametrize("operator", OPERATORS[:8] + ["b - a", "b / a", "b // a", "b % a", "a ** b", "b ** a"])
def test_promotion_with_numbers(operator: str, number: str) -> None:
    wrong = []
    for dtype in DTYPES:
        function = eval(f"lambda t: (lambda a, b: {operator})(t.tensor([5, 7, 2], dtype=t.{dtype}), {number})")
        theirs, ours = outcome(function, torch), outcome(function, OPTC)
        if not agree(theirs, ours):
            wrong.append((dtype, theirs, ours))
    assert not wrong, f"{len(wrong)} differ, the first: {wrong[0]}"


def _operand(t: Any, extents: list[int], axes: list[int]) -> Any:
    """A tensor of the given extents whose memory has them in another order."""
    stored = [extents[axes.index(axis)] for axis in range(len(axes))]
    return t.ones(*stored).permute(*axes)


def test_the_memory_order_of_results() -> None:
    choose = np.random.default_rng(0)
    for _ in range(300):
        rank = int(choose.integers(2, 5))
        shape = choose.integers(2, 5, rank).tolist()
        operands = []
        for _ in range(int(choose.integers(1, 4))):
            extents = [1 if choose.random() < 0.2 else extent for extent in shape]
            operands.append((extents, choose.permutation(rank).tolist()))

        def combine(t: Any, operands: list[Any] = operands) -> Any:
            tensors = [_operand(t, *operand) for operand in operands]
            result = tensors[0] + 1
            for other in tensors[1:]:
                result = t.where(result > 1, result, other) * other
            return tuple(result.shape), [step for extent, step in zip(result.shape, result.stride()) if extent > 1]

        assert combine(OPTC) == combine(torch), operands
