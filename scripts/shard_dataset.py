"""Writes the data set of an experiment as a few large files, with checksums.

    python scripts/shard_dataset.py --experiment=mnv2_cls_folder --split=train \\
        --out=shards --shards=16 --set "dataset.data_dir = 'photos'"
    python scripts/shard_dataset.py ... --split=val --shards=4 ...
    python train.py --experiment=mnv2_cls_folder \\
        --set "dataset = @RecordShards(data_dir='shards')"

Thousands of small files are slow to read from network disks and from spinning ones. The
shards are TFRecord files of `tf.train.Example`s that hold the files of the images as
they are (docs/input.md). Ended half-way, the same command keeps the shards that are
whole and goes on; a shard that was damaged later is written anew.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from official import failures
from tflite_export import command_line, quiet

EXAMPLES = """\
examples:
  python scripts/shard_dataset.py --experiment=mnv2_cls_folder --split=train \\
      --out=shards --shards=16 --set "dataset.data_dir = 'photos'"
  python train.py --experiment=mnv2_cls_folder \\
      --set "dataset = @RecordShards(data_dir='shards')"
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command_line.parser(
        "scripts/shard_dataset.py", __doc__.split("\n")[0], epilog=EXAMPLES
    )
    add = parser.add_argument
    add("--experiment", metavar="NAME", required=True)
    add("--split", required=True, help='such as "train" or "val"')
    add("--out", metavar="DIR", required=True, type=pathlib.Path)
    add("--shards", metavar="N", required=True, type=int, help="number of files")
    add("--limit", metavar="N", type=int, help="only the first examples")
    repeated = {"action": "append", "default": []}
    add("--overlay", metavar="FILE", help="of bindings", **repeated)
    add("--set", metavar="BINDING", help="one binding", **repeated)
    add("--debug", action="store_true", help="show tracebacks")
    given = parser.parse_args(arguments)
    return command_line.run(lambda: run(given), debug=given.debug)


def run(given: argparse.Namespace) -> None:
    # Imported here: TensorFlow takes seconds to load, and --help should not.
    if not given.debug:
        quiet.import_tensorflow()
    from official import experiment as experiment_lib
    from official.data import indexed, record_writing
    from official.report import terminal

    if given.limit is not None and given.limit < 1:
        raise failures.RequestError(f"--limit={given.limit}: want 1 or more")
    dataset = experiment_lib.load(given.experiment, given.overlay, given.set).dataset
    if not isinstance(dataset, indexed.IndexedDataset):
        raise failures.RequestError(
            f"{type(dataset).__name__} mixes other data sets: write those"
        )
    index, before = record_writing.write(
        dataset,
        given.split,
        folder=given.out.expanduser(),
        shards=given.shards,
        limit=given.limit,
        track=terminal.track,
    )
    megabytes = sum(shard["bytes"] for shard in index.shards) / 1e6
    terminal.console.print(
        f"{index.examples} examples of split {given.split!r} in {len(index.shards)} "
        f"shards ({before} of them were there), {megabytes:.1f} MB: {given.out}"
    )
    binding = f"dataset = @RecordShards(data_dir='{given.out}')"
    terminal.console.print(f'to use them: --set "{binding}"')
    terminal.last_line(
        {"examples": index.examples, "shards": len(index.shards), "kept": before}
    )


if __name__ == "__main__":
    failures.leave(main())
