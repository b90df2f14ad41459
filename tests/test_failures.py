"""How commands end that are stopped from outside."""

import os
import signal
import subprocess
import sys
import time

import pytest

SWALLOWED = """
import time
from official import failures

class Slow:
    def __del__(self):
        print("clearing", flush=True)
        time.sleep(2)

def command():
    Slow()
    time.sleep(60)

raise SystemExit(failures.run(command, debug=False))
"""


@pytest.mark.parametrize(
    ("number", "line"),
    [(signal.SIGINT, "error: interrupted"), (signal.SIGTERM, "error: ")],
)
def test_an_interruption_that_python_drops_is_raised_again(root, number, line):
    child = subprocess.Popen(
        [sys.executable, "-c", SWALLOWED],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "clearing\n"
    child.send_signal(number)
    began = time.monotonic()
    _, said = child.communicate(timeout=30)
    assert child.returncode == 4
    assert time.monotonic() - began < 20
    assert line in said.splitlines()[-1]


LEAVING = """
import atexit, threading, time
from official import failures

atexit.register(lambda: print("cleared"))
threading.Thread(target=time.sleep, args=(60,)).start()
print("said")
{farewell}
failures.leave(3)
"""


def test_a_command_leaves_without_waiting_for_threads(root):
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", LEAVING.format(farewell="")],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert time.monotonic() - began < 20
    assert (ended.returncode, ended.stdout) == (3, "said\ncleared\n")


def test_a_signal_while_leaving_changes_nothing(root):
    code = LEAVING.format(
        farewell="""
import gc, os, signal
gc.callbacks.append(lambda *_: os.kill(os.getpid(), signal.SIGTERM))
failures.run(lambda: None, debug=False)
"""
    )
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True
    )
    assert time.monotonic() - began < 20
    assert (ended.returncode, ended.stdout) == (3, "said\ncleared\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a file of Linux's")
def test_output_that_cannot_be_written_is_a_failure(root):
    code = "from official import failures; print('x'); failures.leave(0)"
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env=os.environ | {"PYTHONUNBUFFERED": ""},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert ended.returncode == 1
    assert ended.stderr == (
        "error: the output cannot be written: No space left on device\n"
    )


def test_one_of_several_hosts_takes_python_down(root):
    code = LEAVING.replace("60", "0.5").format(farewell="failures.bid_farewell()")
    ended = subprocess.run(
        [sys.executable, "-c", code + "print('never')"],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout) == (3, "said\ncleared\n")
