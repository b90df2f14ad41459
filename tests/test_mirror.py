"""Run folders that lie elsewhere."""

import os
import pathlib
import signal
import sys
import time

import fsspec
import pytest

from official import failures, mirror
from official.report import terminal


@pytest.fixture
def elsewhere():
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/bucket", recursive=True)


def _names(system):
    return sorted(path.removeprefix("/bucket/run/") for path in system.find("/bucket"))


def test_what_is_written_is_sent_and_what_was_there_is_found(elsewhere):
    with mirror.kept("memory://bucket/run") as local:
        assert not any(local.iterdir())
        (local / "checkpoints").mkdir()
        (local / "checkpoints/last.npz").write_bytes(b"one")
        (local / "config.gin").write_text("x")
        (local / ".half").write_text("never sent")
    assert not local.exists()
    assert _names(elsewhere) == ["checkpoints/last.npz", "config.gin"]
    with mirror.kept("memory://bucket/run") as local:
        assert (local / "checkpoints/last.npz").read_bytes() == b"one"
        (local / "checkpoints/last.npz").unlink()
        (local / "checkpoints/last.npz").write_bytes(b"two")
        (local / "config.gin").unlink()
    assert _names(elsewhere) == ["checkpoints/last.npz"]
    assert elsewhere.cat("/bucket/run/checkpoints/last.npz") == b"two"


def test_it_is_sent_while_the_program_runs_and_when_it_fails(elsewhere, monkeypatch):
    monkeypatch.setattr(mirror, "_SECONDS", 0.01)

    def work():
        with mirror.kept("memory://bucket/run") as local:
            (local / "first").write_text("x")
            deadline = time.monotonic() + 20
            while not elsewhere.exists("/bucket/run/first"):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            (local / "second").write_text("y")
            raise failures.Interrupted("asked to")

    with pytest.raises(failures.Interrupted):
        work()
    assert _names(elsewhere) == ["first", "second"]


def test_files_are_named_by_the_address(elsewhere, capsys):
    def work():
        with mirror.kept("memory://bucket/run/") as local:
            terminal.console.print(f"see {local}/report.html")
            print(local / "x", file=sys.stderr)
            raise failures.RunError(f"{local}/metrics.csv is damaged")

    elsewhere.pipe("/bucket/other", b"")
    with pytest.raises(failures.RunError, match=r"^memory://bucket/run/metrics.csv is"):
        work()
    assert capsys.readouterr() == (
        "see memory://bucket/run/report.html\n",
        "memory://bucket/run/x\n",
    )


def test_what_a_killed_process_left_half_sent_is_neither_read_nor_kept(elsewhere):
    elsewhere.pipe("/bucket/run/checkpoints/last.npz.part", b"hal")
    with mirror.kept("memory://bucket/run") as local:
        assert not any(local.rglob("*.part"))
    assert _names(elsewhere) == ["checkpoints/last.npz.part"]  # perhaps another host's
    with mirror.kept("memory://bucket/run") as local:
        (local / "config.gin").write_text("x")
    assert _names(elsewhere) == ["config.gin"]


def test_what_was_not_touched_is_not_sent_by_another_host(elsewhere):
    with mirror.kept("memory://bucket/run") as one:
        (one / "last").write_text("old")
    with mirror.kept("memory://bucket/run"):
        elsewhere.pipe("/bucket/run/last", b"new, of the first host")
    assert elsewhere.cat("/bucket/run/last") == b"new, of the first host"


def test_an_address_that_does_not_answer_loses_nothing(elsewhere, monkeypatch):
    def fail(*_):
        raise OSError("no route")

    def work():
        with mirror.kept("memory://bucket/run") as local:
            (local / "last").write_text("x")
            monkeypatch.setattr(type(elsewhere), "put_file", fail)

    elsewhere.pipe("/bucket/other", b"")
    message = r"memory://bucket/run could not be written; all of it is in (\S+) \(OSErr"
    with pytest.raises(failures.RunError, match=message) as caught:
        work()
    local = pathlib.Path(str(caught.value).split("all of it is in ")[1].split()[0])
    assert (local / "last").read_text() == "x"


def test_a_bucket_that_is_not_there_is_no_file_that_was_replaced(
    elsewhere, monkeypatch
):
    def fail(*_):
        raise FileNotFoundError("bucket does not exist")

    def work(error=None):
        with mirror.kept("memory://bucket/run") as local:
            (local / "last").write_text("x")
            monkeypatch.setattr(type(elsewhere), "put_file", fail)
            if error:
                raise error

    elsewhere.pipe("/bucket/other", b"")
    with pytest.raises(failures.RunError, match="could not be written; all of it is"):
        work()
    # Why it ended stays what is told.
    with pytest.raises(failures.Interrupted, match="asked to"):
        work(failures.Interrupted("asked to"))


def test_a_signal_does_not_cut_the_end_short(elsewhere, monkeypatch):
    put = type(elsewhere).put_file

    def slow(*arguments, **settings):
        os.kill(os.getpid(), signal.SIGTERM)
        return put(*arguments, **settings)

    monkeypatch.setattr(type(elsewhere), "put_file", slow)
    with mirror.kept("memory://bucket/run") as local:
        for name in ("one", "two"):
            (local / name).write_text("x")
    assert _names(elsewhere) == ["one", "two"]


def test_addresses_of_no_known_kind_are_refused_in_a_line():
    with pytest.raises(
        failures.RequestError, match=r"nowhere://run: Protocol not know"
    ):
        mirror.downloaded("nowhere://run")


def test_files_and_folders_are_downloaded(elsewhere):
    elsewhere.pipe("/bucket/run/checkpoints/best.npz", b"weights")
    folder = mirror.downloaded("memory://bucket/run")
    assert (folder / "checkpoints/best.npz").read_bytes() == b"weights"
    file = mirror.downloaded("memory://bucket/run/checkpoints/best.npz")
    assert (file.name, file.read_bytes()) == ("best.npz", b"weights")
    with pytest.raises(failures.RequestError, match="bucket/none does not exist"):
        mirror.downloaded("memory://bucket/none")
