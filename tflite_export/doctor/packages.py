"""Packages, and what of the environment changes their meaning."""

import functools
import os
import pathlib
from collections.abc import Callable
from importlib import metadata

import official.failures
from tflite_export import keras_backend as backend
from tflite_export.doctor import base

_ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def installed(package: str, *, advice: str) -> Callable[[], base.Finding]:
    """A check whether a package is there."""

    def look() -> base.Finding:
        try:
            return base.Finding(package, "ok", metadata.version(package))
        except metadata.PackageNotFoundError:
            return base.Finding(package, "missing", "not installed", advice)

    return functools.wraps(installed)(look)


def keras_backend() -> base.Finding:
    """Which Keras backend will be used: the variable, else Keras' own file."""
    name, source = backend.chosen()
    found = f"{name} ({source})"
    if advice := backend.complaint():
        return base.Finding("Keras backend", "warning", found, advice)
    if name != "tensorflow":
        found += "; exports run on tensorflow"
    return base.Finding("Keras backend", "ok", found)


def legacy_keras() -> base.Finding:
    value = os.environ.get("TF_USE_LEGACY_KERAS", "")
    name = "TF_USE_LEGACY_KERAS"
    if value.lower() not in ("1", "true"):
        return base.Finding(name, "ok", value or "not set")
    advice = f"unset {name}: with it tf.keras is Keras 2, and this is Keras 3 code"
    return base.Finding(name, "warning", value, advice)


def official_package() -> base.Finding:
    """Whether `official` is this project's: tf-models-official has that name, too."""
    place = pathlib.Path(official.failures.__file__).resolve().parent
    name, advice = "official", "pip uninstall tf-models-official"
    if place.parent != _ROOT:
        found = f"comes from {place}, not from {_ROOT}"
        return base.Finding(name, "failed", found, f"{advice}, or use another venv")
    try:
        version = metadata.version("tf-models-official")
    except metadata.PackageNotFoundError:
        return base.Finding(name, "ok", "this project's")
    found = f"this project's, but tf-models-official {version} is installed as well"
    return base.Finding(name, "warning", found, f"{advice}: both are named official")
