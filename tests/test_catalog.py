"""Loading the shipped experiments, and their operative configs."""

import pathlib

import pytest

from official import bindings, catalog, failures, gin
from official import experiment as experiment_lib

NAMES = sorted(catalog.names())
OVERLAYS = sorted(catalog.folder().glob("overlays/*.gin"))


def saved(name: str, folder: pathlib.Path) -> experiment_lib.Experiment:
    experiment = experiment_lib.load(name)
    content = experiment_lib.dump(experiment, name)
    (folder / experiment_lib.CONFIG).write_text(content, encoding="utf-8")
    return experiment


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_comes_back_from_its_run_folder(name, tmp_path):
    experiment = saved(name, tmp_path)
    assert experiment_lib.load_run(tmp_path) == (name, experiment)
    assert bindings.difference(experiment, experiment_lib.load_run(tmp_path)[1]) == []


@pytest.mark.parametrize("name", NAMES)
def test_the_operative_config_turns_every_experiment_into_its_own(name, tmp_path):
    experiment = saved(name, tmp_path)
    for start in NAMES:
        overlay = tmp_path / experiment_lib.CONFIG
        assert experiment_lib.load(start, [overlay]) == experiment


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_says_what_it_is_in_one_short_line(name):
    assert 10 <= len(catalog.names()[name]) <= 80


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda file: file.stem)
def test_every_overlay_fits_every_experiment(overlay):
    for name in NAMES:
        assert experiment_lib.load(name, [overlay]) != experiment_lib.load(name)


@pytest.mark.parametrize("name", NAMES)
def test_settings_win_over_overlays(name, tmp_path):
    (tmp_path / "seed.gin").write_text("seed = 5")
    assert experiment_lib.load(name, [tmp_path / "seed.gin"]).seed == 5
    assert experiment_lib.load(name, [tmp_path / "seed.gin"], ["seed = 6"]).seed == 6


def test_an_unknown_experiment_names_the_nearest_one():
    wrong = NAMES[0][:-1]
    with pytest.raises(failures.RequestError) as caught:
        experiment_lib.load(wrong)
    assert f"--experiment={wrong}: no such experiment; did you mean" in str(
        caught.value
    )
    assert NAMES[0] in str(caught.value)
    assert "--list" in str(caught.value)


def test_a_component_of_another_kind_is_refused():
    with pytest.raises(failures.RequestError) as caught:
        experiment_lib.load(NAMES[0], settings=["task.backbone = @AdamW()"])
    assert "expected a Backbone component (there are: " in str(caught.value)
    assert "MobileNetV2, MobileNetV3" in str(caught.value)


def test_every_component_of_a_shipped_experiment_is_found_by_its_name():
    for name in NAMES:
        experiment = experiment_lib.load(name)
        backbone = type(experiment.task.backbone).__name__
        setting = f"task.backbone = @{backbone}()"
        assert gin.parse_setting(setting).value.name == backbone
        loaded = experiment_lib.load(name, settings=[setting])
        assert type(loaded.task.backbone) is type(experiment.task.backbone)


def test_a_run_folder_without_a_config_is_refused(tmp_path):
    with pytest.raises(failures.RequestError, match=r"holds no run \(config\.gin is"):
        experiment_lib.load_run(tmp_path)


def test_a_config_without_a_name_is_refused(tmp_path):
    content = bindings.dump(experiment_lib.load(NAMES[0]))
    (tmp_path / experiment_lib.CONFIG).write_text(content, encoding="utf-8")
    with pytest.raises(failures.RequestError, match=r"config\.gin:1: expected # exp"):
        experiment_lib.load_run(tmp_path)


def test_a_config_that_was_cut_off_is_refused(tmp_path):
    saved(NAMES[0], tmp_path)
    file = tmp_path / experiment_lib.CONFIG
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join(lines[:6]), encoding="utf-8")
    with pytest.raises(failures.RequestError, match="also needs"):
        experiment_lib.load_run(tmp_path)


@pytest.fixture
def empty_catalog(tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    monkeypatch.setattr(catalog, "_ROOT", tmp_path)
    return tmp_path / "configs"


def test_the_catalog_reads_docstrings_without_running_the_files(empty_catalog):
    (empty_catalog / "__init__.py").touch()
    (empty_catalog / "plain.py").write_text("1 / 0")
    (empty_catalog / "told.py").write_text('"""Does this.\n\nAnd more."""\n1 / 0\n')
    assert catalog.names() == {"plain": "", "told": "Does this."}


def test_a_file_that_is_not_python_is_named(empty_catalog):
    (empty_catalog / "broken.py").write_text('"""Fine."""\n\ndef experiment(:\n')
    with pytest.raises(failures.RequestError, match=r"broken\.py:3: "):
        catalog.names()


def test_the_current_directory_may_hold_the_experiments(empty_catalog, monkeypatch):
    empty_catalog.rename(empty_catalog.parent / "elsewhere")
    monkeypatch.chdir(empty_catalog.parent)
    with pytest.raises(
        failures.RequestError, match=r"no folder of experiments at .*con"
    ):
        catalog.folder()
    monkeypatch.setattr(catalog, "_ROOT", empty_catalog.parent / "nowhere")
    (empty_catalog.parent / "configs").mkdir()
    assert catalog.folder() == empty_catalog
