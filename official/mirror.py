"""Run folders that lie elsewhere: worked on in a local folder, kept there.

Elsewhere is any address that `fsspec` knows: "gs://bucket/run", "s3://bucket/run",
"sftp://host/run" (https://filesystem-spec.readthedocs.io).
"""

import atexit
import contextlib
import logging
import pathlib
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Any, TextIO

import fsspec

from official import failures

_SECONDS = 5.0
"""Between two looks for files that have changed."""

_PART = ".part"

State = dict[str, tuple[int, int]]
"""Of files by their path within the folder: what changes when they are replaced."""


def is_remote(address: str) -> bool:
    """Whether it is an address of `fsspec`'s, not a path of this machine."""
    return "://" in address


@contextlib.contextmanager
def kept(address: str) -> Iterator[pathlib.Path]:
    """A local copy of a folder elsewhere, which has what is written here after seconds.

    At the end, however it comes, all is sent and the copy is deleted. Files arrive
    there whole, under another name first; what is deleted here is deleted there. What
    was not touched is not sent, so of several hosts those that write nothing may do the
    same. What this process prints meanwhile, and why the block ends, names files by the
    address.

    Raises:
        RequestError: If the address is of no known kind, or a package is missing.
        RunError: If it cannot be read, or the last of the files cannot be sent; names
            the local copy, which is kept then.
    """
    folder = _Remote.of(address)
    name = address.rstrip("/").rpartition("/")[2] or "run"
    local = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}."))
    try:
        with folder.clear("read"):
            folder.fetch(local)
    except BaseException:
        shutil.rmtree(local)
        raise
    sender = _Sender(folder, local)
    sender.start()
    named = f"{local}", address.rstrip("/")
    try:
        with (
            contextlib.redirect_stdout(_Naming(sys.stdout, *named)),
            contextlib.redirect_stderr(_Naming(sys.stderr, *named)),
        ):
            yield local
    except BaseException as error:
        if isinstance(error, failures.Failure):
            error.args = (str(error).replace(*named),)
        # Why it ended is what to tell; what could not be sent is told besides.
        try:
            _finish(sender, folder, local)
        except failures.RunError as error:
            logging.getLogger(__name__).warning("%s", error)
        raise
    _finish(sender, folder, local)


def _finish(sender: "_Sender", folder: "_Remote", local: pathlib.Path) -> None:
    """Sends the rest, whatever signals come, and deletes the copy if that succeeds."""
    with failures.signals_held():
        sender.stop()
        with folder.clear(f"written; all of it is in {local}"):
            sender.send()
            sender.sweep()
        shutil.rmtree(local)


def downloaded(address: str) -> pathlib.Path:
    """A local copy of a file or folder elsewhere, for as long as the program runs.

    Raises:
        RequestError: If it is not there, the address is of no known kind, or a package
            is missing.
        RunError: If it cannot be read.
    """
    remote = _Remote.of(address)
    local = pathlib.Path(tempfile.mkdtemp(prefix="download."))
    atexit.register(shutil.rmtree, local, ignore_errors=True)
    with remote.clear("read"):
        if remote.system.isfile(remote.root):
            local /= remote.root.rpartition("/")[2]
            remote.system.get_file(remote.root, str(local))
        elif not remote.fetch(local):
            raise failures.RequestError(f"{address} does not exist")
    return local


class _Naming:
    """A stream in which a folder has another name."""

    def __init__(self, stream: TextIO, folder: str, name: str):
        self._stream, self._folder, self._name = stream, folder, name

    def write(self, text: str) -> int:
        self._stream.write(text.replace(self._folder, self._name))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Remote:
    """A folder elsewhere."""

    def __init__(self, address: str, system: Any, root: str):
        self.address, self.system, self.root = address, system, root.rstrip("/")

    @classmethod
    def of(cls, address: str) -> "_Remote":
        try:
            system, root = fsspec.core.url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise failures.RequestError(f"{address}: {error}") from error
        return cls(address, system, str(root))

    @contextlib.contextmanager
    def clear(self, what: str) -> Iterator[None]:
        """Says which address it was that failed."""
        try:
            yield
        except failures.Failure:
            raise
        except Exception as error:  # of whatever package reaches the address
            raise failures.RunError(
                f"{self.address} could not be {what} ({type(error).__name__}: {error})"
            ) from error

    def fetch(self, local: pathlib.Path) -> int:
        """Copies all files to a local folder; how many there are."""
        self.system.invalidate_cache()  # others write there, too
        if not self.system.isdir(self.root):
            return 0
        count = 0
        for path in self.system.find(self.root):
            within = str(path)[len(self.root) :].lstrip("/")
            if not within.endswith(_PART):
                target = local / within
                target.parent.mkdir(parents=True, exist_ok=True)
                self.system.get_file(path, str(target))
                count += 1
        return count

    def put(self, file: pathlib.Path, within: str) -> None:
        path = f"{self.root}/{within}"
        self.system.makedirs(path.rpartition("/")[0], exist_ok=True)
        self.system.put_file(str(file), f"{path}{_PART}")
        self.system.mv(f"{path}{_PART}", path)

    def parts(self) -> list[str]:
        """What processes that were killed have left half sent, within the folder."""
        self.system.invalidate_cache()
        if not self.system.isdir(self.root):
            return []
        paths = (str(path)[len(self.root) :] for path in self.system.find(self.root))
        return [path.lstrip("/") for path in paths if path.endswith(_PART)]

    def delete(self, within: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.system.rm_file(f"{self.root}/{within}")


class _Sender:
    """Sends what has changed in a local folder since it was fetched or sent."""

    def __init__(self, remote: _Remote, local: pathlib.Path):
        self._remote, self._local = remote, local
        self._sent = _state(local)
        self._wrote = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def send(self) -> None:
        now = _state(self._local)
        # Oldest first: of the files of a checkpoint the newest is there last.
        for within in sorted(now, key=lambda name: now[name][0]):
            if self._sent.get(within) != now[within]:
                try:
                    self._remote.put(self._local / within, within)
                except FileNotFoundError:
                    if (self._local / within).exists():
                        raise  # what is missing is elsewhere
                    continue  # replaced meanwhile
                self._sent[within] = now[within]
                self._wrote = True
        for within in self._sent.keys() - now.keys():
            self._remote.delete(within)
            del self._sent[within]

    def sweep(self) -> None:
        """Deletes what is half sent, if this host is the one that writes there."""
        if self._wrote:
            for within in self._remote.parts():
                self._remote.delete(within)

    def _watch(self) -> None:
        told = False
        while not self._ended.wait(_SECONDS):
            try:
                self.send()
                told = False
            except Exception as error:  # of whatever package; the end tries again
                if not told:
                    logging.getLogger(__name__).warning(
                        "%s cannot be written (%s: %s); tried again",
                        self._remote.address,
                        type(error).__name__,
                        error,
                    )
                told = True


def _state(folder: pathlib.Path) -> State:
    found: State = {}
    for path in folder.rglob("*"):
        # Hidden ones are being written.
        if path.is_file() and not path.name.startswith("."):
            with contextlib.suppress(FileNotFoundError):
                facts = path.stat()
                found[path.relative_to(folder).as_posix()] = (
                    facts.st_mtime_ns,
                    facts.st_ino,
                )
    return found
