"""Fixtures shared by all tests."""

import os
import pathlib

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
# Networks here are tiny, and each worker has a core: more threads only get in the way.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> pathlib.Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """Development data: photographs with labels, and published checkpoints."""
    folder = pathlib.Path(
        os.environ.get("MOBILE_VISION_SHARED", ROOT.parent / "shared")
    )
    if not (folder / "data").is_dir():
        pytest.skip(f"development data is not at {folder} (set MOBILE_VISION_SHARED)")
    return folder
