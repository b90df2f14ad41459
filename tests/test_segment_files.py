"""What the description of a panoptic file says of its outputs."""

import pytest

from official.tasks import segment_reader
from tflite_export import segment_files


@pytest.mark.parametrize(
    ("outputs", "source"),
    [
        (segment_reader.MASKS, "panoptic_postprocess.py"),
        (segment_reader.SLOTS, "panoptic_postprocess.py"),
        (segment_reader.CENTERS, "center_postprocess.py"),
    ],
)
def test_every_output_has_a_meaning_and_names_what_reads_it(outputs, source):
    for name in outputs:
        meaning = segment_files.meaning(outputs, name)
        assert meaning.endswith(f"is in {source}")
        assert "the thresholds under segments" in meaning


def test_slots_are_not_called_classes():
    said = segment_files.meaning(segment_reader.MASKS, "mask_logits")
    assert "no channel is a class" in said


def test_other_files_are_none_of_these():
    assert segment_files.meaning(("logits",), "logits") is None
