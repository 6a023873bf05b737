"""Signal processing: torch.signal."""

from optc.signal import windows

__all__ = ["windows"]
