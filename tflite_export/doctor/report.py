"""Everything that is looked at, as a table."""

import collections
import json
from collections.abc import Sequence

import rich.console
import rich.table

from official import failures
from tflite_export.doctor import base, machine, packages, road, tools

_INSTALL = "pip install -e . in the project's folder"

CHECKS = (
    base.Check(look=machine.python, required=True),
    base.Check(look=machine.system),
    base.Check(look=machine.processor),
    base.Check(look=machine.cores),
    base.Check(look=machine.memory),
    base.Check(look=machine.disk),
    base.Check(look=machine.run_folder, required=True),
    *(
        base.Check(look=packages.installed(name, advice=_INSTALL), required=True)
        for name in ("tensorflow", "keras", "ai-edge-litert", "numpy")
    ),
    base.Check(
        look=packages.installed("tensorflow-model-optimization", advice=_INSTALL)
    ),
    base.Check(
        look=packages.installed(
            "tf_keras", advice="tensorflow-model-optimization needs it: " + _INSTALL
        )
    ),
    base.Check(look=packages.installed("tensorflow-datasets", advice=_INSTALL)),
    base.Check(
        look=packages.installed(
            "mediapipe",
            # tensorflow-model-optimization wants an absl-py that this one refuses;
            # with the older one both work.
            advice="to try files in MediaPipe Tasks: pip install --no-deps mediapipe",
        )
    ),
    base.Check(look=packages.keras_backend),
    base.Check(look=packages.legacy_keras),
    base.Check(look=packages.official_package, required=True),
    base.Check(look=machine.gpus),
    base.Check(look=road.convert_and_run, required=True),
    base.Check(look=tools.edgetpu_compiler),
    base.Check(look=tools.adb),
    *(
        base.Check(look=tools.plugin(vendor))
        for vendor in ("google_tensor", "qualcomm", "mediatek")
    ),
)


def run(checks: Sequence[base.Check] = CHECKS) -> None:
    """Prints what works here, what does not and what to do; last a line of JSON.

    Raises:
        RunError: If something fails that the pipeline cannot do without.
    """
    findings = [check.run() for check in checks]
    console = rich.console.Console(markup=False, highlight=False)
    console.print(_table(findings))
    advised = [finding for finding in findings if finding.advice]
    if advised:
        console.print("\nwhat to do")
    for finding in advised:
        console.print(f"  {finding.name}: {finding.advice}", soft_wrap=True)
    counts = collections.Counter(finding.status for finding in findings)
    console.print("\n" + ", ".join(f"{n} {status}" for status, n in counts.items()))
    rows = [
        finding._asdict() | {"required": check.required}
        for finding, check in zip(findings, checks, strict=True)
    ]
    print(json.dumps(rows))
    broken = [
        finding
        for finding, check in zip(findings, checks, strict=True)
        if check.required and finding.status in ("missing", "failed")
    ]
    if broken:
        first = broken[0]
        others = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        raise failures.RunError(f"{first.name}: {first.found}; {first.advice}{others}")


def _table(findings: Sequence[base.Finding]) -> rich.table.Table:
    table = rich.table.Table(box=None, pad_edge=False)
    table.add_column("what", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("found", overflow="fold")
    for finding in findings:
        table.add_row(finding.name, finding.status, finding.found)
    return table
