"""Tries a .tflite file out in a child process.

A file from anyone can end the process that runs it, so the first run is a child's:
`python -m tflite_export.probe MODEL` prints one line of JSON.
"""

import dataclasses
import json
import pathlib
import sys
from typing import Any

from official import failures
from tflite_export import child, flatbuffer, interpreter

# The slowest published network takes seconds on the slowest phone; a loop never ends.
_SECONDS = 60


@dataclasses.dataclass(frozen=True, kw_only=True)
class Probe:
    """What one run showed.

    Attributes:
        peak_memory: Bytes that loading and running took at most, on top of Python.
        partitions: Parts of the graph that a delegate (XNNPACK) runs.
        outside: Ops that no delegate runs, with their numbers.
    """

    peak_memory: int
    partitions: int
    outside: dict[str, int]


def run(path: pathlib.Path | str) -> Probe:
    """Reads the file, then loads and runs it once in a child process.

    Raises:
        RequestError: If it is no model, or the child failed or crashed.
    """
    flatbuffer.read(path)
    found = child.answer(
        "probe", str(path), path=path, what="running it once", seconds=_SECONDS
    )
    return Probe(**found)


def _try(path: str) -> None:
    limit_memory()
    before = _memory("VmRSS")
    loaded = interpreter.load(path)
    interpreter.fill(loaded)
    try:
        loaded.invoke()
    except (RuntimeError, ValueError) as error:
        raise interpreter.cannot_run(path, error) from error
    partitions, outside = _delegation(loaded)
    peak = max(0, _memory("VmHWM") - before)
    probe = Probe(peak_memory=peak, partitions=partitions, outside=outside)
    print(json.dumps(dataclasses.asdict(probe)))


def limit_memory() -> None:
    """No more memory than is free: a forged size must not make the machine swap."""
    facts = pathlib.Path("/proc/meminfo")
    if not facts.exists():
        return
    import resource

    (line,) = (x for x in facts.read_text().splitlines() if x[:13] == "MemAvailable:")
    limit = _memory("VmSize") + int(line.split()[1]) * 1024
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _memory(key: str) -> int:
    """Bytes of this process: "VmRSS" now, "VmHWM" at most so far."""
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        (line,) = (x for x in status.read_text().splitlines() if x.startswith(key))
        return int(line.split()[1]) * 1024
    # Without /proc there is the peak alone, which before the run is the present.
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _delegation(loaded: Any) -> tuple[int, dict[str, int]]:
    # Delegated ops stay in the list, and DELEGATE nodes follow them: what runs is
    # found from the outputs backwards, a delegate before the op that it replaces.
    nodes = loaded._get_ops_details()
    producer: dict[int, Any] = {}
    for node in nodes:
        producer.update({int(index): node for index in node["outputs"]})
    wanted = [int(detail["index"]) for detail in loaded.get_output_details()]
    ran: dict[int, Any] = {}
    while wanted:
        node = producer.get(wanted.pop())
        if node is not None and node["index"] not in ran:
            ran[node["index"]] = node
            wanted += [int(index) for index in node["inputs"]]
    names = [node["op_name"] for node in ran.values()]
    outside = {name: names.count(name) for name in names if name != "DELEGATE"}
    return names.count("DELEGATE"), outside


if __name__ == "__main__":
    sys.exit(failures.run(lambda: _try(sys.argv[1]), debug=False))
