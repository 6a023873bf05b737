"""The engines that run a workload: optc and its peers, each the way that is fastest for it.

Every engine gets the same weights, inputs and number of threads. A maker takes a workload and a number of threads and
gives a function without arguments that makes one call, from Python to Python.
"""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import openvino
import torch

import optc
from bench.workloads import Workload
from examples import networks
from optc.cli.target import run_file

Runner = Callable[[], Any]

FILES = tempfile.TemporaryDirectory(prefix="optc-bench-")
"""Where files lie that engines want: they go when the process ends."""
atexit.register(FILES.cleanup)


@cache
def torch_networks() -> ModuleType:
    """examples/networks.py with its one import changed: the same classes, of torch."""
    source = Path(networks.__file__).read_text(encoding="utf-8")
    path = Path(FILES.name) / "torch_networks.py"
    path.write_text(source.replace("import optc as torch", "import torch"), encoding="utf-8")
    return run_file(path)


def copied_weights(workload: Workload) -> Any:
    """The plain torch module with the weights of optc's."""
    module = workload.plain(torch_networks())
    state = workload.program().state_dict()
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            tensor.copy_(torch.from_numpy(state[name].numpy()))
    return module


def use_threads(threads: int) -> None:
    """How many threads the engines take that have one setting for the whole process."""
    torch.set_num_threads(threads)
    torch._dynamo.reset()  # Inductor writes the number of threads into its code
    optc.set_num_threads(threads)


def inference_mode() -> AbstractContextManager[object]:
    """The context in which torch's engines work."""
    context: AbstractContextManager[object] = torch.inference_mode()
    return context


def optc_compiled(workload: Workload, threads: int) -> Runner:
    """What a user of optc calls; numpy arrays in and out."""
    compiled = optc.compile(workload.program(), fallback="error")
    arguments = workload.arrays()
    return lambda: compiled(*arguments)


def torch_arguments(workload: Workload) -> list[Any]:
    return [torch.from_numpy(array) for array in workload.arrays()]


def torch_eager(workload: Workload, threads: int) -> Runner:
    """The plain module."""
    module, arguments = copied_weights(workload), torch_arguments(workload)
    return lambda: module(*arguments)


def torch_script(workload: Workload, threads: int) -> Runner:
    """Scripted, frozen and optimised for inference."""
    scripted = torch.jit.script(copied_weights(workload))
    module = torch.jit.optimize_for_inference(torch.jit.freeze(scripted))
    arguments = torch_arguments(workload)
    return lambda: module(*arguments)


def torch_inductor(workload: Workload, threads: int) -> Runner:
    """`torch.compile` with frozen weights and everything it can tune. Needs a C++ compiler."""
    from torch._inductor import select_algorithm  # slow, and not needed without this engine

    module, arguments = copied_weights(workload), torch_arguments(workload)
    select_algorithm.PRINT_AUTOTUNE = False
    with torch._inductor.config.patch(freezing=True):
        compiled = torch.compile(module, mode="max-autotune")
        compiled(*arguments)
    return lambda: compiled(*arguments)


@cache
def onnx_file(workload: Workload) -> Path:
    """The program as an ONNX file, exported from the scripted module so that branches and loops stay."""
    scripted = torch.jit.script(copied_weights(workload))
    path = Path(FILES.name) / f"{workload.name}.onnx"
    torch.onnx.export(scripted, tuple(torch_arguments(workload)), path, dynamo=False, opset_version=17)
    return path


def onnx_runtime(workload: Workload, threads: int) -> Runner:
    """All of ONNX Runtime's optimisations on; its threads wait for work as they do by default, spinning."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(onnx_file(workload), options, providers=["CPUExecutionProvider"])
    feeds = {entry.name: array for entry, array in zip(session.get_inputs(), workload.arrays())}
    return lambda: session.run(None, feeds)


def openvino_compiled(workload: Workload, threads: int) -> Runner:
    """Compiled for latency in float32; inputs are not copied, and results are views of OpenVINO's own memory."""
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    model = openvino.convert_model(onnx_file(workload))
    compiled = openvino.compile_model(model, "CPU", options)
    request, arrays = compiled.create_infer_request(), workload.arrays()
    return lambda: list(request.infer(arrays, share_inputs=True, share_outputs=True).values())


ENGINES: dict[str, Callable[[Workload, int], Runner]] = {
    "optc": optc_compiled,
    "torch eager": torch_eager,
    "TorchScript": torch_script,
    "Inductor": torch_inductor,
    "ONNX Runtime": onnx_runtime,
    "OpenVINO": openvino_compiled,
}


def as_arrays(result: Any) -> list[np.ndarray[Any, Any]]:
    """The tensors of a result, of whatever library, tuples and lists taken apart."""
    if isinstance(result, tuple | list):
        return [array for item in result for array in as_arrays(item)]
    return [result if isinstance(result, np.ndarray) else result.detach().numpy()]
