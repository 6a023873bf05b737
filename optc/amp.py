"""`optc.amp`: autocast, which has to be switched off."""

from optc.eager.contexts import autocast

__all__ = ["autocast"]
