"""Benchmarks: pytest-benchmark suites, peers side by side, and the regression check. Not installed; run from the root."""
