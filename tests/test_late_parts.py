"""Parts of TensorFlow that wait, and are whole once they are needed."""

import subprocess
import sys

import pytest

ABSENT = """
import sys
from tflite_export import late_parts, quiet
quiet.import_tensorflow()
for name in late_parts.PARTS:
    assert type(sys.modules[name]).__name__ == "Part", name
assert not [each for each in sys.meta_path if type(each) is late_parts._Late]
"""

USES = {
    "the API of TensorFlow 1": """
import tensorflow as tf
assert tf.compat.v1.Session.__name__ == "Session"
import tensorflow.compat.v1 as v1
assert v1.placeholder
""",
    "TensorFlow Lite": """
import tensorflow as tf
assert tf.lite.TFLiteConverter.from_keras_model
assert tf.lite.Optimize.DEFAULT
""",
    "all": """
import tensorflow as tf
from tensorflow.python.framework import ops
known = set(ops.gradient_registry.list())
found = {name: vars(tf)[name] for name in dir(tf)}
for name in late_parts.PARTS:
    assert vars(sys.modules[name]) and dir(sys.modules[name])
    assert type(sys.modules[name]).__name__ == "module", name
assert set(ops.gradient_registry.list()) == known
for name, value in found.items():
    assert vars(tf)[name] is value, name
assert tf.tpu.experimental.embedding and tf.feature_column.numeric_column
""",
    "several threads": """
import sys, threading
from concurrent import futures
import tensorflow as tf
sys.setswitchinterval(1e-6)
together = threading.Barrier(8)
def look(number):
    together.wait()
    if number % 2:
        return tf.compat.v1.Session.__name__ == "Session"
    return callable(tf.feature_column.numeric_column)
with futures.ThreadPoolExecutor(8) as pool:
    assert all(pool.map(look, range(8)))
""",
}


@pytest.mark.parametrize("use", USES)
def test_they_are_imported_at_the_first_look_into_them(use, root):
    done = subprocess.run(
        [sys.executable, "-c", ABSENT + USES[use]],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
