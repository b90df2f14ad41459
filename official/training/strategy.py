"""Where a training runs: specs that build `tf.distribute` strategies.

On JAX (`KERAS_BACKEND=jax`) the one process has one program instead.
"""

import abc
import dataclasses
import functools
import json
import os
from typing import TYPE_CHECKING, Any, ClassVar

import keras

from official import failures
from official.training import one_program

if TYPE_CHECKING:
    import tensorflow as tf

BACKENDS = ("tensorflow", "jax")
CLUSTERS = ("TF_CONFIG", "slurm")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Strategy(abc.ABC):
    """Where a training runs."""

    backends: ClassVar[tuple[str, ...]] = ("tensorflow",)
    """Keras backends that it knows."""

    @abc.abstractmethod
    def create(self) -> "tf.distribute.Strategy | one_program.OneProgram": ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneDevice(Strategy):
    """The first GPU, or the CPU where there is none; on TensorFlow and on JAX."""

    backends: ClassVar[tuple[str, ...]] = BACKENDS

    def create(self) -> "tf.distribute.Strategy | one_program.OneProgram":
        if keras.backend.backend() == "jax":
            return one_program.OneProgram(one_program.devices()[:1])
        import tensorflow as tf

        return tf.distribute.get_strategy()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mirrored(Strategy):
    """Every GPU of this host holds a copy and takes a share of each batch.

    Attributes:
        devices: Names such as "GPU:0"; empty is all GPUs.
    """

    devices: tuple[str, ...] = ()

    def create(self) -> "tf.distribute.Strategy":
        import tensorflow as tf

        # TensorFlow takes another device, without a word, for one that is not there.
        known = [
            f"{device.device_type}:{device.name.rpartition(':')[2]}"
            for device in tf.config.list_logical_devices()
        ]
        unknown = [name for name in self.devices if name.upper() not in known]
        if unknown:
            raise failures.RequestError(
                f"trainer.strategy.devices: there is no {', '.join(unknown)} here "
                f"(there is {', '.join(known)})"
            )
        return tf.distribute.MirroredStrategy(self.devices or None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataParallel(Strategy):
    """Every GPU of this host takes a share of each batch; on JAX alone.

    Attributes:
        devices: Names such as "gpu:0"; empty is all GPUs, or all CPU devices where
            there are none.
    """

    devices: tuple[str, ...] = ()
    backends: ClassVar[tuple[str, ...]] = ("jax",)

    def create(self) -> one_program.OneProgram:
        known = one_program.devices()
        unknown = [name for name in self.devices if name not in known]
        if unknown:
            raise failures.RequestError(
                f"trainer.strategy.devices: there is no {', '.join(unknown)} here "
                f"(there is {', '.join(known)})"
            )
        return one_program.OneProgram(self.devices or known)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiWorker(Strategy):
    """Every GPU of several hosts; the same command runs on each of them.

    The first host, the *chief*, writes the run folder, which all must see when a run
    is continued.

    Attributes:
        cluster: Where the hosts are named: "TF_CONFIG" (the environment variable of
            that name) or "slurm" (the variables of a Slurm job step).
        port: Of the first process on each host; only for "slurm".
    """

    cluster: str = "TF_CONFIG"
    port: int = 8888

    def __post_init__(self):
        if self.cluster not in CLUSTERS:
            raise ValueError(f"cluster {self.cluster!r}: want one of {CLUSTERS}")

    def create(self) -> "tf.distribute.Strategy":
        import tensorflow as tf

        resolvers = tf.distribute.cluster_resolver
        if self.cluster == "slurm":
            if "SLURM_PROCID" not in os.environ:
                raise failures.RequestError(
                    "trainer.strategy.cluster = 'slurm', but this is no job step of "
                    "Slurm (SLURM_PROCID is not set): start the command with srun"
                )
            resolver = resolvers.SlurmClusterResolver(port_base=self.port)
        else:
            _require_cluster(os.environ.get("TF_CONFIG", ""))
            resolver = resolvers.TFConfigClusterResolver()
        failures.bid_farewell()
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TPU(Strategy):
    """Every core of a Cloud TPU, a slice of several hosts included.

    Attributes:
        address: Name of the TPU, its gRPC address, or "local" on a TPU's own host.
    """

    address: str = "local"

    def create(self) -> "tf.distribute.Strategy":
        import tensorflow as tf

        resolvers = tf.distribute.cluster_resolver
        try:
            resolver = resolvers.TPUClusterResolver(tpu=self.address)
            tf.config.experimental_connect_to_cluster(resolver)
            tf.tpu.experimental.initialize_tpu_system(resolver)
        except (ValueError, tf.errors.OpError) as error:
            reason = " ".join(str(error).split())[:200]
            raise failures.RequestError(
                f"trainer.strategy.address = {self.address!r}: no TPU answers "
                f"({reason}); give its name or grpc://ADDRESS:8470, or 'local' on its "
                "own host"
            ) from error
        failures.bid_farewell()
        return tf.distribute.TPUStrategy(resolver)


@functools.lru_cache(maxsize=1)
def connect(spec: Strategy) -> "tf.distribute.Strategy | one_program.OneProgram":
    """The strategy of a spec, the same at each call.

    Where several hosts take part it has to come before anything else of TensorFlow.

    Raises:
        RequestError: If the devices or hosts that it names are not there, or the
            backend of Keras knows no such strategy.
    """
    backend = keras.backend.backend()
    if backend not in spec.backends:
        instead = "DataParallel" if backend == "jax" else "Mirrored"
        raise failures.RequestError(
            f"trainer.strategy = @{type(spec).__name__}() is for Keras on "
            f"{' or '.join(spec.backends)}, and KERAS_BACKEND is {backend}: set "
            f"KERAS_BACKEND={spec.backends[0]}, or trainer.strategy = @{instead}()"
        )
    return spec.create()


def _require_cluster(text: str) -> None:
    """Refuses a TF_CONFIG that TensorFlow would wait for, or misread, for ever."""
    example = (
        'TF_CONFIG=\'{"cluster": {"worker": ["host0:8888", "host1:8888"]}, "task": '
        '{"type": "worker", "index": 0}}\''
    )
    if not text:
        raise failures.RequestError(
            f"TF_CONFIG is not set: on each host, with its own index, set {example}"
        )
    try:
        found: Any = json.loads(text)
        task, jobs = found["task"], set(found["cluster"])
        hosts = found["cluster"][task["type"]]
        index = int(task["index"])
    except (ValueError, LookupError, TypeError) as error:
        raise failures.RequestError(
            f"TF_CONFIG = {text!r} cannot be read ({type(error).__name__}); want for "
            f"example {example}"
        ) from error
    if jobs != {"worker"}:
        raise failures.RequestError(
            f"TF_CONFIG has the jobs {', '.join(sorted(jobs))}: want 'worker' alone, "
            "the first of which writes the run folder"
        )
    if not 0 <= index < len(hosts):
        raise failures.RequestError(
            f"TF_CONFIG: index {index} of {len(hosts)} {task['type']}s; want "
            f"from 0 to {len(hosts) - 1}"
        )
