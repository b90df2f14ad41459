"""A training step on a GPU: Keras on JAX against timm on PyTorch.

    python scripts/benchmark.py gpu NETWORK [--batch_size=256] [--size=224]
        [--peers timm_compiled timm_graphs] [--peer_python=PATH] [--fed] [--together]
        [--rounds=6] [--steps=20] [--out=FILE]

Both train in bfloat16 with AdamW on a batch in the GPU's memory, every contender in a
process of its own, some steps in turn. "timm_compiled" is `torch.compile` and channels
last, "timm_graphs" the same with CUDA graphs (`mode="reduce-overhead"`). `--fed` adds
this project fed from the host's memory. Needs keras and jax, not TensorFlow. The last
line is JSON.
"""

import argparse
import json
import pathlib
import statistics
import sys
from typing import Any

import circumstances
import jax_steps
import steps_on_request

HERE = pathlib.Path(__file__).resolve().parent
OURS = "this project"
PEERS = ("timm", "timm_compiled", "timm_graphs")


def commands(given: argparse.Namespace) -> dict[str, list[str]]:
    """Of the contenders, by name."""
    shape = [f"--batch_size={given.batch_size}", f"--size={given.size}"]
    ours = [sys.executable, str(HERE / "jax_steps.py"), given.network, *shape]
    found = {OURS: ours}
    if given.fed:
        found[f"{OURS}, fed"] = [*ours, "--fed"]
    for peer in given.peers:
        found[peer] = [given.peer_python, str(HERE / "peer_steps.py"), peer]
        found[peer] += [given.network, *shape, "--classes=1000", "--device=cuda"]
    return found


def compete(given: argparse.Namespace) -> dict[str, Any]:
    """Steps of all contenders in turn; what was found, by name."""
    logs = pathlib.Path(given.logs)
    logs.mkdir(parents=True, exist_ok=True)
    started = (
        steps_on_request.Contender(
            name, command, logs / f"{name.replace(' ', '_').replace(',', '')}.log"
        )
        for name, command in commands(given).items()
    )
    ready = steps_on_request.contest(
        # In a list all of them have started, and compile, before the first has begun.
        list(started) if given.together else started,
        rounds=given.rounds,
        steps=given.steps,
    )
    return {
        contender.name: {
            # Every step of a turn has the same time.
            "milliseconds": [1e3 * s for s in contender.seconds[:: given.steps]],
            **contender.facts,
        }
        for contender in ready
    }


def show(found: dict[str, Any], batch_size: int) -> None:
    """The table."""
    print("| who | step, ms | fastest turn | images/s | ours / theirs | memory, MiB |")
    print("|---|---|---|---|---|---|")
    ours = statistics.median(found[OURS]["milliseconds"])
    for name, facts in found.items():
        taken = statistics.median(facts["milliseconds"])
        print(
            f"| {name} ({facts['version']}) | {taken:.2f} | "
            f"{min(facts['milliseconds']):.2f} | {1e3 * batch_size / taken:.0f} | "
            f"{ours / taken:.2f} | {facts['peak_mib']:.0f} |"
        )


def main() -> None:
    flags = argparse.ArgumentParser(
        prog="benchmark_gpu.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = flags.add_argument
    add("network", choices=jax_steps.NETWORKS)
    add("--batch_size", type=int, default=256)
    add("--size", type=int, default=224)
    add("--peers", nargs="*", default=["timm_compiled", "timm_graphs"], choices=PEERS)
    add("--peer_python", default=sys.executable, help="where timm and torch are")
    add("--fed", action="store_true", help="this project from the host's memory, too")
    add("--together", action="store_true", help="compile all at the same time")
    add("--rounds", type=int, default=6, help="turns of each contender")
    add("--steps", type=int, default=20, help="steps in a turn")
    add("--logs", default="runs/gpu_peers", help="folder for what they print")
    add("--out", type=pathlib.Path, help="JSON file, beside others in docs/results")
    given = flags.parse_args()
    result: dict[str, Any] = {
        "command": " ".join(["scripts/benchmark.py gpu", *sys.argv[1:]]),
        **circumstances.now(),
        "contest": compete(given),
    }
    if OURS not in result["contest"]:
        sys.exit("this project's step did not run")
    show(result["contest"], given.batch_size)
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
