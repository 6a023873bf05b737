"""`optc.profiler`: marks that programs make for a profiler. `CompiledFunction.profile` says where the time goes."""

from optc.eager.contexts import record_function

__all__ = ["record_function"]
