"""What the hosts of a training have to agree on, and which of them writes."""

import contextlib
import pathlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from official import failures

if TYPE_CHECKING:
    import tensorflow as tf


def count(strategy: "tf.distribute.Strategy") -> int:
    """Processes that take part, each on a host of its own as a rule."""
    cluster = _cluster(strategy)
    return cluster.num_workers if cluster else 1


def number(strategy: "tf.distribute.Strategy") -> int:
    """Of this process among them; the chief is 0."""
    cluster = _cluster(strategy)
    return cluster.task_id if cluster else 0


def is_chief(strategy: "tf.distribute.Strategy") -> bool:
    """Whether this process writes the run folder."""
    return number(strategy) == 0


def any_of(flag: bool, strategy: "tf.distribute.Strategy") -> bool:
    """Whether a flag is set in any process; all have to ask at once."""
    if count(strategy) == 1:
        return flag
    return _total([float(flag)], strategy)[0] > 0


def of_chief(
    values: Mapping[str, float], strategy: "tf.distribute.Strategy"
) -> dict[str, float]:
    """The chief's values, in every process; all have to ask at once.

    Rounding may differ between hosts, and what follows from a value must not.
    """
    if count(strategy) == 1:
        return dict(values)
    own = [v if is_chief(strategy) else 0.0 for v in values.values()]
    return dict(zip(values, _total(own, strategy), strict=True))


def require_same(digest: str, strategy: "tf.distribute.Strategy", *, what: str) -> None:
    """Ends a process that has something else than the chief; all have to ask at once.

    Args:
        digest: Hexadecimal, of what all should have alike; "" where there is nothing.
        what: It is, for the message.

    Raises:
        RunError: Says so. The others end when they miss this one.
    """
    # So many bits are exact in a float64.
    own = float(int(digest[:12] or "0", 16))
    if of_chief({"digest": own}, strategy)["digest"] != own:
        raise failures.RunError(
            f"host {number(strategy)} has another {what} than the first host: give a "
            "--run_dir on a file system that all hosts share, and start all again"
        )


@contextlib.contextmanager
def minding_others(
    strategy: "tf.distribute.Strategy", run_dir: pathlib.Path
) -> Iterator[None]:
    """Ends a training when another process has died, within seconds.

    TensorFlow's coordination service notices: what waits for the others raises.

    Raises:
        RunError: Says so, and how to go on.
    """
    import tensorflow as tf

    try:
        yield
    except (
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.InternalError,
        tf.errors.UnavailableError,
    ) as error:
        if count(strategy) == 1 or "ollective ops is aborted by" not in str(error):
            raise
        reason = " ".join(str(error).split())
        said = reason.rpartition("ollective ops is aborted by: ")[2][:150]
        raise failures.RunError(
            f"another of the {count(strategy)} hosts of this training has ended or "
            "cannot be reached: what it printed last says why; the same command on "
            f"all of them goes on from the last checkpoint in {run_dir} ({said})"
        ) from error


class _Cluster(NamedTuple):
    num_workers: int
    task_id: int


def _cluster(strategy: "tf.distribute.Strategy") -> _Cluster | None:
    import tensorflow as tf

    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return None
    resolver: Any = strategy.cluster_resolver
    hosts = resolver.cluster_spec().num_tasks(resolver.task_type)
    return _Cluster(hosts, resolver.task_id)


def _total(values: list[float], strategy: "tf.distribute.Strategy") -> list[float]:
    """Sums over the processes."""
    import tensorflow as tf

    def add(own: Any) -> Any:
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, own)

    share = strategy.num_replicas_in_sync / count(strategy)
    own = tf.constant(values, tf.float64) / share
    summed = strategy.run(add, args=(own,))
    return strategy.experimental_local_results(summed)[0].numpy().tolist()
