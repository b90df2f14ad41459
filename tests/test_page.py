"""The page of a run: whole in itself, and with the parts that there is something for."""

import html.parser
import json
import re

import numpy as np
import pytest
from PIL import Image

from official import atomic
from official.metrics import calibration
from official.report import (
    confusion,
    extremes,
    facts,
    history,
    layer_errors,
    overview,
    precision_recall,
    terminal,
)
from official.report import (
    html as page_lib,
)

HOSTILE = '<script>alert("1")</script>'


class Parsed(html.parser.HTMLParser):
    """Tags that are open at the end, and what is referred to."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.addresses, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        known = dict(attrs)
        self.ids += [known["id"]] if "id" in known else []
        names = ("src", "href", "xlink:href", "action", "data")
        self.addresses += [known[name] for name in names if name in known]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in ("meta", "img", "br"):
            self.open.pop()


def sections(text):
    nav = text[text.index("<nav>") : text.index("</nav>")]
    return re.findall(r'href="#(\w+)"', nav)


def bare(folder):
    """A run that has only just been evaluated, and has nothing to tell."""
    row = {"name": "Keras", "metrics": {"top1": 0.5}}
    result = {"experiment": "e", "metric": "top1", "constant": 0.1, "examples": 3}
    content = result | {"split": "val", "classes": ["a", "b"], "rows": [row]}
    atomic.write(folder / "result.json", json.dumps(content))
    atomic.write(folder / "config.gin", "seed = 7\n")


def full(folder):
    """A run with everything, its classes called what nobody should be called."""
    bare(folder)
    found = calibration.Calibration("classes")
    found.add(np.array([0.9]), np.array([True]))
    first = {"number": 3, "op": "SOFTMAX", "layer": HOSTILE, "reason": "why <not>"}
    mapped = {"ops": 3, "total_ops": 5, "share": 0.5, "behind": 1, "first": first}
    keras = {
        "name": "Keras",
        "metrics": {"top1": 0.5, f"accuracy/{HOSTILE}": 0.25},
        "calibration": found.as_json(),
    }
    int8 = keras | {
        "name": "int8",
        "file": "model_int8.tflite",
        "size_bytes": 1_000_000,
        "latency_ms": 1.0,
        "agreement": 0.9,
        "gate": "failed",
        "problems": ["top1 is 2.00 points below the Keras model's"],
        "edgetpu": mapped,
    }
    content = json.loads((folder / "result.json").read_text())
    content |= {"classes": [HOSTILE, "b"], "rows": [keras, int8]}
    atomic.write(folder / "result.json", json.dumps(content))
    start = {"arguments": ["--experiment=e"], "date": "2026-01-02", "seconds": 5}
    facts.begin(
        folder, {"data": {"kind": "Images", "where": HOSTILE}}, start, goes_on=False
    )
    table = terminal.table("images", ("", "train"), [(f"images of {HOSTILE}", "7")])
    overview.write(folder, [table], [f"'train' has nothing of {HOSTILE}"])
    history.write(folder / "metrics.csv", [{"epoch": "1", "loss": "2"}])
    confusion.write(folder, np.array([[1, 2], [0, 3]]), (HOSTILE, "b"))
    precision_recall.write(folder, {HOSTILE: [1.0, 0.5]})
    layer = {
        "layer": HOSTILE,
        "op": "CONV_2D",
        "snr_db": 30.0,
        "own_snr_db": 33.0,
        "range_use": 0.5,
        "clipped": 0.0,
        "channel_spread": 2.0,
        "advice": "",
    }
    errors = {"images": 2, "layers": [layer], "unmatched": []}
    layer_errors.write(folder, {"int8": errors})
    pictures = folder / "predictions"
    pictures.mkdir()
    for name in ("0", "worst_0", "best_0", "mistakes", "training"):
        Image.new("RGB", (20, 10)).save(pictures / f"{name}.png")
    told = {"by": "mean IoU of the image", "model": "Keras"}
    values = told | {"values": {"worst_0": 0.125, "best_0": 0.875}}
    atomic.write(pictures / extremes.TABLE, json.dumps(values))


@pytest.fixture
def text(tmp_path):
    full(tmp_path)
    return page_lib.write(tmp_path).read_text()


def test_the_contents_name_every_part_that_there_is(text):
    assert sections(text) == [
        "results",
        "data",
        "curves",
        "predictions",
        "classes",
        "confusion",
        "precision",
        "calibration",
        "layers",
        "edgetpu",
        "commands",
        "configuration",
    ]
    assert set(sections(text)) < set(Parsed(text).ids)


def test_what_there_is_nothing_of_is_not_on_the_page(tmp_path):
    bare(tmp_path)
    text = page_lib.write(tmp_path).read_text()
    assert sections(text) == ["results", "configuration"]
    for word in ("Calibration", "EdgeTPU", "Worst", "Warning", "training took"):
        assert word not in text, word


def test_the_page_needs_nothing_from_outside(text):
    parsed = Parsed(text)
    assert parsed.open == []
    assert not {"script", "link", "iframe", "object", "embed"} & set(parsed.tags)
    for address in parsed.addresses:
        assert address.startswith(("#", "data:image/")), address
    assert "@import" not in text
    assert not re.findall(r"url\(\s*['\"]?(?!#)", text)


def test_names_from_data_are_text_wherever_they_stand(text):
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 6


def test_every_part_says_what_it_was_given(text):
    for part in (
        "2026-01-02",
        "Images, &lt;script&gt;",
        "Warning: &#39;train&#39; has nothing of",
        "By the mean IoU of the image, of Keras",
        "<figcaption>0.125</figcaption>",
        "expected calibration error",
        "10.0 %",
        "3 of 5",
        "number 3, SOFTMAX of ",
        "why &lt;not&gt;",
        "int8: top1 is 2.00 points below",
        "get_signature_runner()",
        "seed = 7",
    ):
        assert part in text, part


def test_commands_can_be_copied(text):
    plain = re.sub("</?span>", "", text)
    check = "check runs/e/export/model_int8.tflite --target=edgetpu"
    for line in ("python train.py --experiment=e", f"python -m tflite_export {check}"):
        assert f'<pre class="typed">{line} </pre>' in plain


def test_of_many_metrics_the_first_stands_beside_size_and_latency(tmp_path):
    bare(tmp_path)
    found = json.loads((tmp_path / "result.json").read_text())
    found["rows"][0]["metrics"] |= {"top5": 0.9, "a": 0.1, "b": 0.2}
    atomic.write(tmp_path / "result.json", json.dumps(found))
    text = page_lib.write(tmp_path).read_text()
    assert "<tr><th>model</th><th>top1</th><th>gate</th>" in text
    assert "<tr><th>model</th><th>top5</th><th>a</th><th>b</th></tr>" in text


def test_every_table_and_drawing_scrolls_in_a_box_of_its_own(text):
    for tag in ("<table", "<svg", "<img"):
        boxes = re.findall(rf'<div class="wide"[^>]*>\s*{tag}', text)
        assert len(boxes) == text.count(tag), tag


def test_pictures_say_what_they_are(text):
    assert re.findall(r"<img (?!alt=\"[^\"]+\")", text) == []
