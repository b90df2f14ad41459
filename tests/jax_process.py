"""Tests on JAX: the backend is chosen once, so each has a process of its own."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None,
    reason="JAX is optional and not installed here: pip install jax",
)


def printed(script: str, root: pathlib.Path) -> str:
    """What a script prints, run with Keras on JAX at the project's root."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=root,
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()
