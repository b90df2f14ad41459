"""Every command of the README and the guides is carried out somewhere.

`COMMANDS` of the modules named in `HERE` are carried out there, as they stand on the
page. What the table `ELSEWHERE` has is the form of a command, or one that a test
carries out for reasons of its own. Nothing but `EXCEPTIONS` is left.
"""

import ast
import collections
import pathlib

import guides
import pytest
import test_guide_launchers
import test_guide_scripts
import test_guide_trainings
import test_guides

HERE = (
    *(*test_guides.FILES, *test_guides.MEDIAPIPE),
    *test_guide_trainings.COMMANDS,
    test_guide_trainings.LIST,
    *test_guide_scripts.COMMANDS,
    *test_guide_launchers.COMMANDS,
)
PARTS = "test_benchmark_train.test_parts_add_up_to_the_step"
ELSEWHERE = {
    **dict.fromkeys(
        guides.beginning("python scripts/scaling.py "),
        "test_scaling.test_a_page_shows_what_its_commands_print",
    ),
    "python -m tflite_export doctor": (
        "test_doctor.test_the_real_thing_finds_what_the_tests_run_on"
    ),
    "python -m tflite_export evaluate FILE.tflite --experiment=mnv3_det_coco "
    "--set \"dataset.data_dir = '/data/coco'\"": (
        "test_detector_files.test_a_published_detector_is_evaluated_as_coco_does"
    ),
    "python train.py --experiment=mnv3_seg_synthetic "
    '--set "trainer.strategy = @DataParallel()"': (
        "test_jax_training.test_one_command_trains_on_jax_and_ends_in_a_file"
    ),
    "python scripts/benchmark.py input --images=FOLDER": (
        "test_benchmark_input.test_every_stage_is_timed_and_the_slowest_named"
    ),
    "python scripts/benchmark.py input --experiment=NAME "
    "--set \"dataset.data_dir = '...'\"": (
        "test_benchmark_input.test_any_experiment_can_be_looked_at"
    ),
    "python scripts/benchmark.py train --experiment=NAME "
    "[--overlay=FILE ...] [--set BINDING ...]": PARTS,
}
"""The test of a command."""

EXCEPTIONS = {
    "python -m venv micro && micro/bin/pip install tflite-micro": (
        "downloads a package for an environment of its own"
    ),
}
"""Why a command is not carried out."""


def test_every_command_is_carried_out_once_or_an_exception():
    found = collections.Counter([*HERE, *ELSEWHERE, *EXCEPTIONS])
    assert [command for command in guides.every() if not found[command]] == []
    assert sorted(found) == sorted(guides.every())
    assert [command for command, count in found.items() if count > 1] == []


@pytest.mark.parametrize("test", sorted(set(ELSEWHERE.values())))
def test_a_test_that_carries_out_a_command_is_there(test):
    module, _, name = test.partition(".")
    file = pathlib.Path(__file__).with_name(f"{module}.py")
    body = ast.parse(file.read_text()).body
    assert name in {node.name for node in body if isinstance(node, ast.FunctionDef)}
