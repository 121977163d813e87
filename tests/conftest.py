"""Fixtures that every room's tests share."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "corpora"


@pytest.fixture(scope="session")
def shared_corpora():
    """The folder of real corpora beside the checkout, if there is one."""
    if not SHARED.is_dir():
        pytest.skip("the real corpora are not beside this checkout")
    return SHARED
