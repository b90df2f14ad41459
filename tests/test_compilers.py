"""Compilers of hardware: found, run, their logs read; with stand-ins for them."""

import json
import pathlib
import sys
import types

import export_networks as networks
import pytest
import small

from official import failures, runner
from tflite_export import check, compilation, edgetpu_compiler, export, litert_aot
from tflite_export.targets import base as targets_base

EDGETPU = targets_base.find("edgetpu")
NPU = targets_base.find("npu")

# The form of version 16.0 with -s, as users post it (google-coral/edgetpu issues 427,
# 572, 601); the figures are made up.
LOG = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 273 ms.

Input model: model.tflite
Input size: 1.40MiB
Output model: model_edgetpu.tflite
Output size: 1.84MiB
On-chip memory used for caching model parameters: 1.30MiB
On-chip memory remaining for caching model parameters: 6.89MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 9
Operation log: model_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU. A \
percentage of the model will instead run on the CPU, which is slower.
Number of operations that will run on Edge TPU: 6
Number of operations that will run on CPU: 3

Operator                       Count      Status

CONV_2D                        5          Mapped to Edge TPU
CONV_2D                        1          More than one subgraph is not supported
HARD_SWISH                     1          Operation not supported
QUANTIZE                       1          Mapped to Edge TPU
RESIZE_BILINEAR                1          Operation is otherwise supported, but not \
mapped due to some unspecified limitation
Compilation child process completed within timeout period.
Compilation succeeded!
"""
FAILED = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.
ERROR: Restored original execution plan after delegate application failure.
Compilation failed: Compilation failed due to large activation tensors in model.
Compilation child process completed within timeout period.
Compilation failed!
"""


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """Puts a stand-in on the PATH that prints a log and, unless told not to, writes."""

    def install(log: str, *, writes: bool = True, status: int = 0) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        program = folder / "edgetpu_compiler"
        (folder / "log.txt").write_text(log)
        program.write_text(
            f"#!{sys.executable}\n"
            "import pathlib, sys\n"
            "here = pathlib.Path(sys.argv[0]).parent\n"
            "show, flag, out, model = sys.argv[1:]\n"
            "assert (show, flag) == ('-s', '-o'), sys.argv\n"
            "print((here / 'log.txt').read_text())\n"
            "model = pathlib.Path(model)\n"
            f"if {writes}:\n"
            "    made = pathlib.Path(out) / (model.stem + '_edgetpu.tflite')\n"
            "    made.write_bytes(model.read_bytes())\n"
            f"sys.exit({status})\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=":")

    return install


@pytest.fixture
def without_compilers(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(litert_aot, "installed", lambda: ())


def test_a_log_becomes_a_table(tmp_path):
    output = tmp_path / "model_edgetpu.tflite"
    output.write_bytes(b"")
    outcome = edgetpu_compiler.read(LOG, output=output)
    assert outcome.tool == "edgetpu_compiler 16.0.384591198"
    assert [(row.op, row.number, row.status) for row in outcome.rows] == [
        ("CONV_2D", 5, "maps"),
        ("CONV_2D", 1, "cpu"),
        ("HARD_SWISH", 1, "cpu"),
        ("QUANTIZE", 1, "maps"),
        ("RESIZE_BILINEAR", 1, "cpu"),
    ]
    assert outcome.rows[1].reason == "More than one subgraph is not supported"
    assert outcome.rows[0].reason == ""
    assert outcome.line == f"{outcome.tool}: 6 of 9 ops mapped; {output}"


def test_a_failed_compilation_says_what_the_compiler_said(tmp_path):
    outcome = edgetpu_compiler.read(FAILED, output=tmp_path / "none.tflite")
    assert outcome.outputs == ()
    assert "made no file: ERROR: Restored original execution plan" in outcome.line


def test_the_compiler_is_run_and_what_it_makes_is_kept(compiler, tmp_path, capsys):
    compiler(LOG)
    path = networks.file(tmp_path, "int8")
    check.run(path, target=EDGETPU)
    text = capsys.readouterr().out
    assert "CONV_2D               1  cpu: More than one subgraph" in text
    (made,) = json.loads(text.splitlines()[-1])["compiled"]
    assert made["outputs"] == [str(tmp_path / "model_int8_edgetpu.tflite")]
    assert (tmp_path / "model_int8_edgetpu.tflite").is_file()
    assert made["rows"][0] == {
        "op": "CONV_2D",
        "number": 5,
        "status": "maps",
        "reason": "",
    }


def test_an_earlier_result_does_not_pass_for_the_new_one(compiler, tmp_path):
    compiler(FAILED, writes=False, status=1)
    path = networks.file(tmp_path, "int8")
    old = tmp_path / "model_int8_edgetpu.tflite"
    old.write_bytes(b"old")
    (outcome,) = compilation.run(path, EDGETPU)
    assert outcome.outputs == ()
    assert not old.exists()


def test_a_compiled_file_is_known(tmp_path):
    def edit(model):
        for code in model.operatorCodes:
            if code.builtinCode == 3:  # CONV_2D
                code.builtinCode = code.deprecatedBuiltinCode = 32  # CUSTOM
                code.customCode = "edgetpu-custom-op"

    path = tmp_path / "model.tflite"
    path.write_bytes(networks.edited(networks.content("int8"), edit))
    check.run(path, target=EDGETPU)
    with pytest.raises(failures.GateError, match="edgetpu-custom-op"):
        check.run(path, target=targets_base.find("cpu"))


def test_without_a_compiler_a_line_says_how_to_get_it(without_compilers, tmp_path):
    path = networks.file(tmp_path, "int8")
    (outcome,) = compilation.run(path, EDGETPU)
    assert outcome.line.startswith("edgetpu_compiler is not on the PATH")
    assert "apt-get install edgetpu-compiler" in outcome.line
    (outcome,) = compilation.run(path, NPU)
    assert "pip install one of ai-edge-litert-sdk-google-tensor" in outcome.line
    assert compilation.run(path, targets_base.find("cpu")) == []
    assert list(tmp_path.iterdir()) == [path]


def test_vendors_are_those_whose_sdk_can_be_imported(tmp_path, monkeypatch):
    (tmp_path / "ai_edge_litert_sdk_qualcomm.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert "Qualcomm" in [vendor.name for vendor in litert_aot.installed()]


@pytest.fixture
def aot(monkeypatch):
    """A stand-in for `ai_edge_litert.aot`: one chip is compiled for, one is not."""
    from ai_edge_litert.aot.core import aot_types

    asked = {}

    class Backend:
        def __init__(self, chip):
            self.target_id = chip

    def aot_compile(model, *, output_dir, target, keep_going):
        log = pathlib.Path(model).with_name("1.error")
        log.write_text("INFO: start\nERROR: no such  chip\nbye\n")
        asked.update(model=model, targets=[repr(each) for each in target])
        stage = pathlib.Path(output_dir) / "model_Qualcomm_SM8750_mlir.tflite"
        stage.write_bytes(b"")
        made = pathlib.Path(output_dir) / "model_Qualcomm_SM8750_apply_plugin.tflite"
        made.write_bytes(pathlib.Path(model).read_bytes())
        compiled = aot_types.Model.create_from_path(made)
        part = aot_types.SubgraphPartitionStats(0, 14, 16, 1)
        compiled.partition_stats = aot_types.PartitionStats([part])
        return aot_types.CompilationResult(
            models_with_backend=[(Backend("Qualcomm_SM8750"), compiled)],
            failed_backends=[
                (Backend("Qualcomm_SM8350"), f"failed. See {log} for details.")
            ],
        )

    module = types.ModuleType("ai_edge_litert.aot.aot_compile")
    module.aot_compile = aot_compile
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return asked


def test_ahead_of_time_compilation_keeps_a_file_for_each_chip(
    aot, tmp_path, monkeypatch
):
    path = networks.file(tmp_path, "int8")

    def run(module, argument, *, timeout):
        request = json.loads(argument)
        chips = litert_aot.compile_for(
            pathlib.Path(request["path"]), request["backends"]
        )
        return types.SimpleNamespace(
            returncode=0, stdout=f"noise\n{json.dumps(chips)}\n", stderr=""
        )

    qualcomm = [vendor for vendor in litert_aot.VENDORS if vendor.name == "Qualcomm"]
    monkeypatch.setattr(litert_aot, "installed", lambda: tuple(qualcomm))
    monkeypatch.setattr(litert_aot.child, "run", run)
    (outcome,) = compilation.run(path, NPU)
    assert aot == {"model": str(path), "targets": ["Qualcomm_ALL"]}
    assert outcome.line == (
        "ai_edge_litert.aot: compiled for 1 of 2 chips; Qualcomm_SM8350: ERROR: no such "
        "chip"
    )
    made = tmp_path / "model_int8_Qualcomm_SM8750.tflite"
    assert outcome.outputs == (made,)
    assert made.read_bytes() == path.read_bytes()
    assert set(tmp_path.iterdir()) == {path, made}
    assert [(row.op, row.number, row.status, row.reason) for row in outcome.rows] == [
        ("all ops, Qualcomm_SM8750", 14, "maps", ""),
        ("all ops, Qualcomm_SM8750", 2, "cpu", "not taken by the plugin"),
        ("all ops, Qualcomm_SM8350", 0, "cpu", "ERROR: no such chip"),
    ]


def test_a_compiler_that_ends_its_process_is_a_line(tmp_path, monkeypatch):
    (tmp_path / "ai_edge_litert_sdk_mediatek.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(
        litert_aot.child,
        "run",
        lambda module, argument, timeout: types.SimpleNamespace(
            returncode=-11, stdout="", stderr=""
        ),
    )
    (outcome,) = compilation.run(tmp_path / "model.tflite", NPU)
    assert outcome.line == "ai_edge_litert.aot for MediaTek failed: SIGSEGV"


def test_an_export_keeps_the_compiled_file_and_says_what_the_target_changed(
    compiler, tmp_path, capsys
):
    compiler(LOG)
    experiment = small.experiment()
    folder = tmp_path / "run"
    flags = {"overwrite": False, "evaluate_only": False, "dry_run": False}
    runner.run(experiment, name="small", run_dir=folder, **flags)
    capsys.readouterr()
    export.run(experiment, run_dir=folder, target="edgetpu")
    text = capsys.readouterr().out
    assert "target edgetpu: float32 left out: the Edge TPU runs int8 only" in text
    assert "edgetpu int8: The Edge TPU: 4 of 4 ops" in text
    assert "edgetpu int8: edgetpu_compiler 16.0.384591198: 6 of 9 ops mapped" in text
    made = folder / "export" / "model_edgetpu_int8_edgetpu.tflite"
    assert made.is_file()
    report = json.loads((folder / "export" / "report.json").read_text())
    assert report["target"] == "edgetpu"
    facts = report["hardware"]["edgetpu int8"]
    assert facts["mapped"]["share"] == 1
    assert facts["compiled"][0]["outputs"] == [str(made)]
    assert facts["changes"] == []
    described = json.loads((folder / "export" / "model_edgetpu_int8.json").read_text())
    assert described["target"] == "edgetpu"
