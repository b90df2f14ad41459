"""Which backend Keras will take; to be asked before it is imported."""

import importlib.util
import json
import os
import pathlib

from official import failures

VARIABLE = "KERAS_BACKEND"
TRAINING = ("tensorflow", "jax")
"""Those that experiments train on; exports are made on the first."""


def chosen() -> tuple[str, str]:
    """Its name, and what names it: the variable, else the file of Keras."""
    name = os.environ.get(VARIABLE)
    if name:
        return name, VARIABLE
    home = pathlib.Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    file = home / "keras.json"
    if not file.is_file():
        return "tensorflow", "the default"
    return json.loads(file.read_text()).get("backend", "tensorflow"), str(file)


def complaint() -> str:
    """Why no experiment trains on the chosen one, and what to do; "" where it does."""
    name, source = chosen()
    if name not in TRAINING:
        return (
            f"experiments train on {' or '.join(TRAINING)}, and {source} names "
            f"{name!r}: set {VARIABLE}=tensorflow"
        )
    if name == "jax" and importlib.util.find_spec("jax") is None:
        return (
            f"{source} names jax, and JAX is not installed: pip install jax (for GPUs "
            f"jax[cuda12]), or set {VARIABLE}=tensorflow"
        )
    return ""


def require() -> None:
    """Raises a RequestError if no experiment trains on the chosen one."""
    if found := complaint():
        raise failures.RequestError(found)


def use_tensorflow() -> None:
    """Lets this process, and those it starts, have TensorFlow."""
    os.environ[VARIABLE] = "tensorflow"
