"""What the import of TensorFlow leaves out."""

import subprocess
import sys

SCRIPT = """
import sys
from tflite_export import quiet
quiet.import_tensorflow()
assert "tensorflow" in sys.modules
assert not [name for name in sys.modules if name.split(".")[0] == "matplotlib"]
import matplotlib.pyplot
with quiet._without("matplotlib"):
    assert sys.modules["matplotlib"] is matplotlib
"""


def test_matplotlib_waits_until_it_is_needed_and_is_there_then(root):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
