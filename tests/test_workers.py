"""Trainings that several processes share, here over the loopback device."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import one_of_each_task
import pytest
import small

from official import failures
from official.training import checkpoints
from official.training import strategy as strategies

ALL_TASKS = """
import pathlib, sys
from tflite_export import quiet
quiet.import_tensorflow()
from official.training import strategy
spec = strategy.MultiWorker()
strategy.connect(spec)
import one_of_each_task
# Of the three steps two in one loop, and the last alone.
one_of_each_task.train(pathlib.Path(sys.argv[1]), strategy=spec, steps_per_loop=2)
"""

ONE_RUN = """
import pathlib, sys
from tflite_export import quiet
quiet.import_tensorflow()
from official import failures, runner
from official.training import strategy
spec = strategy.MultiWorker()
strategy.connect(spec)
import dataclasses
import small
backbone = small.TwoConvolutions(synchronized=True)
experiment = small.experiment(epochs=int(sys.argv[2]), strategy=spec)
experiment = dataclasses.replace(
    experiment, task=dataclasses.replace(experiment.task, backbone=backbone))
sys.exit(failures.run(lambda: print("exports:", runner.run(
    experiment, name="small", run_dir=pathlib.Path(sys.argv[1]), overwrite=False,
    evaluate_only=False, dry_run=False)), debug=False))
"""


@pytest.fixture
def start(root):
    """Starts two processes of one training; what is left of them is killed."""
    started: list[subprocess.Popen] = []

    def begin(script: str, *arguments: str) -> list[subprocess.Popen]:
        processes = two_processes(script, *arguments, root=root)
        started.extend(processes)
        return processes

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def two_processes(
    script: str, *arguments: str, root: pathlib.Path
) -> list[subprocess.Popen]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for each in sockets:
            each.bind(("localhost", 0))
        hosts = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    paths = os.pathsep.join([str(root), str(root / "tests")])
    return [
        subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            env=os.environ
            | {
                "PYTHONPATH": paths,
                "TF_CONFIG": json.dumps(
                    {
                        "cluster": {"worker": hosts},
                        "task": {"type": "worker", "index": index},
                    }
                ),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]


def ended(processes: list[subprocess.Popen]) -> list[str]:
    """What they wrote to standard error."""
    return [process.communicate(timeout=240)[1] for process in processes]


def test_two_processes_train_each_task_as_one_device_does(start, tmp_path):
    processes = start(ALL_TASKS, str(tmp_path / "two"))
    errors = ended(processes)
    assert [p.returncode for p in processes] == [0, 0], errors[0][-2000:]
    one_of_each_task.assert_as_on_one_device(tmp_path / "two", tmp_path / "one")


def checkpoint_after(folder: pathlib.Path, epochs: int, process) -> None:
    """Waits until a run has finished some epochs."""
    for _ in range(1200):
        rows = folder / "metrics.csv"
        if rows.exists() and len(rows.read_text().splitlines()) > epochs:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    pytest.fail("no epoch has ended within two minutes")


def test_a_dead_worker_ends_the_others_and_the_run_goes_on_to_the_same_weights(
    start, tmp_path
):
    epochs = "40"
    undisturbed = start(ONE_RUN, str(tmp_path / "a"), epochs)
    outputs = [process.communicate(timeout=240) for process in undisturbed]
    assert [process.returncode for process in undisturbed] == [0, 0], outputs
    # The first host alone talks and exports.
    assert outputs[0][0].endswith("exports: True\n")
    assert outputs[1][0] == "exports: False\n"
    chief, worker = start(ONE_RUN, str(tmp_path / "b"), epochs)
    checkpoint_after(tmp_path / "b", 2, chief)
    worker.send_signal(signal.SIGKILL)
    _, error = chief.communicate(timeout=120)
    worker.communicate()
    assert chief.returncode == 1
    last = error.strip().splitlines()[-1]
    assert last.startswith("error: another of the 2 hosts of this training has ended")
    file = checkpoints.path(tmp_path / "b", "last")
    assert 2 <= checkpoints.state(file).epoch < 40
    again = start(ONE_RUN, str(tmp_path / "b"), epochs)
    outputs = [process.communicate(timeout=240) for process in again]
    assert [process.returncode for process in again] == [0, 0], outputs
    assert "resuming after step" in outputs[0][0]
    with np.load(checkpoints.path(tmp_path / "a", "last")) as one, np.load(file) as two:
        assert set(one.files) == set(two.files)
        for name in set(one.files) - {"state"}:
            np.testing.assert_array_equal(one[name], two[name], err_msg=name)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "TF_CONFIG is not set: on each host, with its own index, set"),
        ("{", "cannot be read (JSONDecodeError)"),
        ('{"cluster": {"worker": []}}', "cannot be read (KeyError)"),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
            "index 1 of 1 workers; want from 0 to 0",
        ),
        (
            '{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": '
            '{"type": "worker", "index": 0}}',
            "has the jobs chief, worker: want 'worker' alone",
        ),
    ],
)
def test_a_wrong_description_of_the_hosts_is_refused(monkeypatch, text, problem):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(failures.RequestError) as caught:
        strategies.MultiWorker().create()
    assert problem in str(caught.value)


def test_a_slurm_cluster_wants_a_job_step(monkeypatch):
    monkeypatch.delenv("SLURM_PROCID", raising=False)
    with pytest.raises(failures.RequestError, match="start the command with srun"):
        strategies.MultiWorker(cluster="slurm").create()


def test_an_unknown_cluster_is_refused():
    with pytest.raises(ValueError, match="cluster 'mpi'"):
        strategies.MultiWorker(cluster="mpi")


def test_where_no_tpu_answers_one_line_says_so():
    with pytest.raises(failures.RequestError, match="no TPU answers"):
        strategies.TPU(address="local").create()


def test_the_shares_of_hosts_are_the_batch():
    from official.data import pipeline

    experiment = small.experiment()

    def batches(share, *, whole):
        found = pipeline.training_batches(
            experiment.dataset,
            experiment.train,
            experiment.task.preprocess,
            mix=experiment.task.mix,
            whole=whole,
            seed=1,
            start_step=5,
            share=share,
        )
        return [images for images, _ in found.take(4).as_numpy_iterator()]

    wanted = np.concatenate(batches(None, whole=True))
    for whole in (True, False):
        of_host = [
            batches(pipeline.Share(number=n, hosts=2, replicas=1), whole=whole)
            for n in range(2)
        ]
        found = [image for pair in zip(*of_host, strict=True) for image in pair]
        np.testing.assert_array_equal(np.concatenate(found), wanted)
    # Two replicas of each of two hosts take an image each.
    quarters = batches(pipeline.Share(number=1, hosts=2, replicas=2), whole=False)
    np.testing.assert_array_equal(np.concatenate(quarters), wanted[[2, 3, 6, 7]])
