"""What all tests share: the folder of open data, and where its absence is said."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tiny_models import write_bert

# Time is measured in benchmarks/; a slow machine fails no test.
settings.register_profile("clinbert", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("clinbert")

SHARED = Path(os.environ.get("CLINBERT_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of open data and golden outputs; tests that ask for it are marked `external`."""
    if not SHARED.is_dir():
        pytest.skip(
            f"no open data: set CLINBERT_SHARED to the folder that holds data/ and golden/ (looked in {SHARED.name})"
        )
    return SHARED


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a BERT of two layers, 32 wide, 64 positions, random weights."""
    return write_bert(tmp_path_factory.mktemp("encoders") / "tiny-bert")
