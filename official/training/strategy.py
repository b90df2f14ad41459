"""Distribution strategies: specs that build `tf.distribute` strategies."""

import abc
import dataclasses
from typing import TYPE_CHECKING

from official import failures

if TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True, kw_only=True)
class Strategy(abc.ABC):
    """Where a training runs."""

    @abc.abstractmethod
    def create(self) -> "tf.distribute.Strategy": ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneDevice(Strategy):
    """The first GPU, or the CPU where there is none."""

    def create(self) -> "tf.distribute.Strategy":
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
