"""The input pipelines of other projects, timed; `benchmark.py input --peers` runs it.

    PYTHON scripts/peer_inputs.py --peer=torchvision --images=FOLDER
        [--seconds=5] [--batch_size=64] [--size=224] [--workers=2]

FOLDER holds JPEG files in a folder for each class. Each peer makes the batches that its
own recipe for ImageNet makes: a window by Inception's rule, mirrored or not, and
RandAugment with 2 operations. PYTHON is one that can import the peer; it must not be
started where a package `official` lies, as that is Model Garden's name, too. The last
line is JSON.

* torchvision: PIL images and `torchvision.transforms`, in worker processes.
* torchvision_v2: `torchvision.io` and `torchvision.transforms.v2` on tensors, likewise.
* garden: TensorFlow Model Garden's reader, decoder and parser; it reads TFRecord files,
  which are written first.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

OPERATIONS, MAGNITUDE = 2, 10
WARM_UP = 4.0  # seconds, in which AUTOTUNE settles


def torchvision(given: argparse.Namespace) -> Iterable[Any]:
    from torchvision import transforms

    return _loader(
        given,
        transforms.Compose(
            [
                transforms.RandomResizedCrop(given.size),
                transforms.RandomHorizontalFlip(),
                transforms.RandAugment(OPERATIONS, MAGNITUDE),
                transforms.ToTensor(),
            ]
        ),
    )


def torchvision_v2(given: argparse.Namespace) -> Iterable[Any]:
    import torch
    from torchvision import io
    from torchvision.transforms import v2

    changes = v2.Compose(
        [
            v2.RandomResizedCrop(given.size, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandAugment(OPERATIONS, MAGNITUDE),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    return _loader(given, changes, read=lambda path: io.decode_image(path, "RGB"))


def _loader(
    given: argparse.Namespace,
    change: Callable[[Any], Any],
    read: Callable[[str], Any] | None = None,
) -> Iterable[Any]:
    import torch
    from torchvision import datasets

    torch.set_num_threads(1)
    others = {} if read is None else {"loader": read}
    images = datasets.ImageFolder(given.images, change, **others)

    def batches() -> Iterator[Any]:
        while True:
            yield from torch.utils.data.DataLoader(
                torch.utils.data.ConcatDataset([images] * 200),
                batch_size=given.batch_size,
                shuffle=True,
                num_workers=given.workers,
                drop_last=True,
            )

    return batches()


def garden(given: argparse.Namespace) -> Iterable[Any]:
    from official.core import input_reader
    from official.vision.configs import common, image_classification
    from official.vision.dataloaders import classification_input

    folder = pathlib.Path(tempfile.mkdtemp(prefix="garden_"))
    classes = _write_records(pathlib.Path(given.images), folder / "train")
    config = image_classification.DataConfig(
        input_path=str(folder / "train*"),
        is_training=True,
        global_batch_size=given.batch_size,
        shuffle_buffer_size=256,
    )
    augment = common.RandAugment(num_layers=OPERATIONS, magnitude=MAGNITUDE)
    parser = classification_input.Parser(
        output_size=[given.size, given.size],
        num_classes=classes,
        aug_type=common.Augmentation(type="randaug", randaug=augment),
    )
    reader = input_reader.InputReader(
        config,
        decoder_fn=classification_input.Decoder().decode,
        parser_fn=parser.parse_fn(True),
    )
    return iter(reader.read())


def _write_records(images: pathlib.Path, start: pathlib.Path) -> int:
    """TFRecord files as Model Garden wants them; the number of classes."""
    import tensorflow as tf

    folders = sorted(path for path in images.iterdir() if path.is_dir())
    with tf.io.TFRecordWriter(f"{start}-00000") as writer:
        for label, folder in enumerate(folders):
            for file in sorted(folder.iterdir()):
                content = tf.train.BytesList(value=[file.read_bytes()])
                number = tf.train.Int64List(value=[label])
                feature = {
                    "image/encoded": tf.train.Feature(bytes_list=content),
                    "image/class/label": tf.train.Feature(int64_list=number),
                }
                features = tf.train.Features(feature=feature)
                writer.write(tf.train.Example(features=features).SerializeToString())
    return len(folders)


PEERS = {
    "torchvision": torchvision,
    "torchvision_v2": torchvision_v2,
    "garden": garden,
}


def measured(
    batches: Iterable[Any], *, batch_size: int, seconds: float
) -> dict[str, float]:
    """Images a second after a warm-up, and what an image takes of the cores.

    The latter counts worker processes, too, and barely depends on what else the machine
    does: milliseconds of one core.
    """
    stream = iter(batches)
    begun = time.perf_counter()
    while time.perf_counter() - begun < WARM_UP:
        next(stream)
    begun, used, count = time.perf_counter(), _core_seconds(), 0
    while (spent := time.perf_counter() - begun) < seconds:
        next(stream)
        count += batch_size
    core = _core_seconds() - used
    return {"images_per_second": count / spent, "core_ms": 1e3 * core / count}


def _core_seconds() -> float:
    """That this process and its workers have used so far."""
    workers = [process.pid for process in multiprocessing.active_children()]
    return time.process_time() + sum(map(_of_process, workers))


def _of_process(number: int | None) -> float:
    """0 where the system has no /proc."""
    file = pathlib.Path(f"/proc/{number}/stat")
    if not file.exists():
        return 0.0
    # Behind the name in brackets, which may hold blanks: user time is field 14.
    fields = file.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="peer_inputs.py", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--peer", required=True, choices=PEERS)
    parser.add_argument("--images", required=True, help="folder of <class>/*.jpg")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--workers", type=int, default=2, help="of torchvision")
    given = parser.parse_args()
    try:
        batches = PEERS[given.peer](given)
    except ImportError as error:
        sys.exit(f"{given.peer} is not installed for {sys.executable}: {error}")
    speed = measured(batches, batch_size=given.batch_size, seconds=given.seconds)
    print(json.dumps(speed))


if __name__ == "__main__":
    main()
