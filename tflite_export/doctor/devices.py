"""The child process that asks TensorFlow for its GPUs and lets one compute.

`python -m tflite_export.doctor.devices` prints a line of JSON.
"""

import json
import time
from typing import Any

from tflite_export import quiet


def main() -> None:
    quiet.import_tensorflow()
    import tensorflow as tf

    with quiet.stderr():
        logical = [device.name for device in tf.config.list_logical_devices("GPU")]
        physical = tf.config.list_physical_devices("GPU")
    seen: dict[str, Any] = {"logical": logical, "name": "", "milliseconds": None}
    if logical:
        details = tf.config.experimental.get_device_details(physical[0])
        seen["name"] = details.get("device_name", "of unknown make")
        with quiet.stderr(), tf.device(logical[0]):
            matrix = tf.ones((512, 512))
            tf.linalg.matmul(matrix, matrix).numpy()  # the first loads libraries
            start = time.perf_counter()
            tf.linalg.matmul(matrix, matrix).numpy()
            seen["milliseconds"] = 1e3 * (time.perf_counter() - start)
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
