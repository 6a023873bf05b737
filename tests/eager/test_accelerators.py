"""Questions about hardware that is not there."""

import pytest

from optc.eager.accelerators import backends, cuda


def test_scripts_settle_for_the_cpu() -> None:
    assert not cuda.is_available()
    assert cuda.device_count() == 0
    cuda.manual_seed_all(3)
    backends.cudnn.deterministic = True
    assert not backends.mps.is_available()


def test_what_needs_an_accelerator_is_refused() -> None:
    with pytest.raises(RuntimeError, match="there is no cuda device"):
        cuda.current_device()
