"""Published files: fetched once, checked, kept."""

import base64
import contextlib
import dataclasses
import email.message
import errno
import hashlib
import http.client
import json
import os
import pathlib
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from rich import console, progress

from official import atomic, failures

CHUNK = 1 << 18
TIMEOUT = 60
"""Seconds without a byte after which a connection counts as lost."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Digest:
    """What a file must hash to.

    Attributes:
        kind: "sha256" or "md5".
        value: Hexadecimal; of sha256 the first digits suffice (torchvision's file names
            have eight).
    """

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class File:
    """A published file.

    Attributes:
        url: Where it is.
        name: Its place in the cache, relative.
        digest: As published beside it; None: what the server says of it is used
            (Hugging Face gives a sha256, Google's storage an md5).
    """

    url: str
    name: str
    digest: Digest | None = None

    @property
    def path(self) -> pathlib.Path:
        """Where it is kept, or belongs if you bring it yourself."""
        return cache_folder() / self.name


def cache_folder() -> pathlib.Path:
    """`MOBILE_VISION_CACHE`, else `mobile_vision` in the user's cache folder."""
    if chosen := os.environ.get("MOBILE_VISION_CACHE"):
        return pathlib.Path(chosen).expanduser()
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return pathlib.Path(caches).expanduser() / "mobile_vision"


def fetch(file: File) -> pathlib.Path:
    """The path of a file, downloaded if it is not there yet.

    A download that ended early goes on where it stopped. What is in the cache is
    checked too.

    Raises:
        RequestError: If it cannot be had (no connection, refused, not there): says
            which file to fetch and where to put it. If the cached file is another one.
        RunError: If the connection is lost, what came is not what was published, or no
            space is left.
    """
    if file.path.is_file():
        _check_cached(file)
        return file.path
    part = file.path.with_name(file.path.name + ".part")
    with _disk(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        told = _complete(file, part)
        _check(part, file.digest or told, file)
        if told:
            atomic.write(_note(file), json.dumps(dataclasses.asdict(told)))
        os.replace(part, file.path)
    return file.path


def _complete(file: File, part: pathlib.Path) -> Digest | None:
    """Downloads what is missing; returns the digest that the server told."""
    start = part.stat().st_size if part.exists() else 0
    redirects = _Redirects()
    try:
        with _open(file.url, start, redirects) as response:
            if response.status != http.client.PARTIAL_CONTENT:
                start = 0  # it does not resume: from the beginning
            _receive(response, part, start=start, file=file)
            return _told(redirects.headers | _by_name(response.headers))
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            # Nothing follows: all of it is there, or it is of another file.
            if error.headers.get("Content-Range") != f"bytes */{start}":
                raise failures.RunError(
                    f"{part} is not the beginning of {file.url}; delete it and run "
                    "again"
                ) from error
            return _told(redirects.headers | _by_name(error.headers))
        _refuse(file, f"{_host(file.url)} answers {error.code} {error.reason}", error)
    except urllib.error.URLError as error:
        _refuse(file, f"no connection to {_host(file.url)} ({error.reason})", error)
    except (
        TimeoutError,
        ConnectionError,
        http.client.HTTPException,
        ssl.SSLError,
    ) as error:
        raise failures.RunError(
            f"{file.url}: the connection was lost ({error}); run again, it goes on "
            "where it stopped"
        ) from error


def _open(url: str, start: int, redirects: "_Redirects") -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers={"User-Agent": "mobile-vision"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    opener = urllib.request.build_opener(redirects)
    response: http.client.HTTPResponse = opener.open(request, timeout=TIMEOUT)
    return response


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Keeps the headers of the redirections: Hugging Face gives its digest there."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        self.headers |= _by_name(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _receive(
    response: http.client.HTTPResponse, part: pathlib.Path, *, start: int, file: File
) -> None:
    length = response.headers.get("Content-Length")
    total = start + int(length) if length else None
    done = start
    with part.open("ab" if start else "wb") as out, _bar(file, start, total) as advance:
        while chunk := response.read(CHUNK):
            out.write(chunk)
            advance(len(chunk))
            done += len(chunk)
    if total is not None and done < total:
        raise http.client.IncompleteRead(b"", total - done)


@contextlib.contextmanager
def _bar(file: File, start: int, total: int | None) -> Iterator[Any]:
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console.Console(stderr=True)) as bar:
        task = bar.add_task(file.path.name, total=total, completed=start)
        yield lambda count: bar.advance(task, count)


def _by_name(headers: email.message.Message) -> dict[str, str]:
    """By name in lower case; Google's storage sends one header for each hash."""
    return {
        name.lower(): ",".join(map(str, headers.get_all(name, []))) for name in headers
    }


def _told(headers: Mapping[str, str]) -> Digest | None:
    """The digest in a server's headers, by lower-case name."""
    tag = headers.get("x-linked-etag", "").removeprefix("W/").strip('"')
    if len(tag) == hashlib.sha256().digest_size * 2:
        return Digest(kind="sha256", value=tag)
    for item in headers.get("x-goog-hash", "").split(","):
        kind, _, value = item.strip().partition("=")
        if kind == "md5":
            return Digest(kind="md5", value=base64.b64decode(value).hex())
    return None


def digest_of(path: pathlib.Path, kind: str = "sha256") -> str:
    """Hexadecimal digest of a file."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, kind).hexdigest()


def _check(path: pathlib.Path, wanted: Digest | None, file: File) -> None:
    if wanted is None:
        return
    found = digest_of(path, wanted.kind)
    if not found.startswith(wanted.value):
        raise failures.RunError(
            f"{path} is not the published file: its {wanted.kind} is {found}, not "
            f"{wanted.value}; delete it and run again, or fetch {file.url} yourself "
            f"and put it at {file.path}"
        )


def _check_cached(file: File) -> None:
    wanted = file.digest
    if wanted is None and _note(file).is_file():
        wanted = Digest(**json.loads(_note(file).read_text(encoding="utf-8")))
    _check(file.path, wanted, file)


def _note(file: File) -> pathlib.Path:
    """Where the digest that the server told is kept."""
    return file.path.with_name(file.path.name + ".digest.json")


def _refuse(file: File, reason: str, error: Exception) -> NoReturn:
    raise failures.RequestError(
        f"{reason}: fetch {file.url} on another machine and put it at {file.path}"
    ) from error


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).netloc


@contextlib.contextmanager
def _disk(part: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise failures.RunError(
            f"{part}: no space left on the device; make room or point "
            "MOBILE_VISION_CACHE at another one, then run again"
        ) from error
