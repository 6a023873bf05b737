"""The script frontend: Python source, archive code and strings become typed SSA graphs.

A definition travels `syntax` (what TorchScript's grammar refuses, sugar removed) -> `emitter` (typed nodes, variables
as loads and stores) -> `ssa` and `exits` (block outputs, early exits) -> `cleanup` (what one sees as `.graph`).
Names are looked up in a `resolver`; everything a name may stand for is a sugared value (`values` and its siblings).
"""
