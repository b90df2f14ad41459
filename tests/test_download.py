import base64
import errno
import hashlib
import http.server
import re
import threading

import pytest

from official import failures
from official.weights import download

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).digest()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append((self.path, self.headers.get("Range")))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/file")
            for name, value in server.redirect_headers.items():
                self.send_header(name, value)
            self.end_headers()
            return
        if self.path != "/file":
            self.send_error(404)
            return
        start = 0
        wanted = self.headers.get("Range")
        if wanted and server.resumes:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(CONTENT):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
                self.end_headers()
                return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        for name, values in server.headers.items():
            for value in [values] if isinstance(values, str) else values:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(CONTENT[start : server.cut])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("MOBILE_VISION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    # A client that has seen enough closes the connection.
    server.handle_error = lambda *arguments: None
    server.asked, server.headers, server.redirect_headers = [], {}, {}
    server.resumes, server.cut = True, None
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _file(server, path="/file", sha256=SHA256[:8]):
    digest = download.Digest(kind="sha256", value=sha256) if sha256 else None
    return download.File(url=server.url + path, name="a/x.bin", digest=digest)


def test_a_file_is_downloaded_once(server):
    file = _file(server)
    path = download.fetch(file)
    assert path == download.cache_folder() / "a" / "x.bin"
    assert path.read_bytes() == CONTENT
    assert download.fetch(file) == path
    assert server.asked == [("/file", None)]
    assert [p.name for p in path.parent.iterdir()] == ["x.bin"]


def test_progress_is_shown_on_stderr(server, capsys):
    download.fetch(_file(server))
    shown = capsys.readouterr()
    assert "x.bin" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("resumes", [True, False])
def test_a_download_that_ended_early_goes_on(server, resumes):
    file, server.cut = _file(server), 100_000
    with pytest.raises(
        failures.RunError, match=r"connection was lost .*run again, it goes on"
    ):
        download.fetch(file)
    part = file.path.with_name("x.bin.part")
    assert part.read_bytes() == CONTENT[:100_000]
    assert not file.path.exists()
    server.cut, server.resumes = None, resumes
    assert download.fetch(file).read_bytes() == CONTENT
    assert server.asked[1:] == [("/file", "bytes=100000-")]
    assert not part.exists()


def test_a_part_that_is_whole_already_is_taken(server):
    file = _file(server)
    file.path.parent.mkdir(parents=True)
    file.path.with_name("x.bin.part").write_bytes(CONTENT)
    assert download.fetch(file).read_bytes() == CONTENT


def test_a_part_that_is_too_long_is_told(server):
    file = _file(server)
    file.path.parent.mkdir(parents=True)
    file.path.with_name("x.bin.part").write_bytes(CONTENT + b"more")
    with pytest.raises(failures.RunError, match="delete it and run again"):
        download.fetch(file)


@pytest.mark.parametrize(
    ("path", "redirect", "direct"),
    [
        ("/moved", {"X-Linked-ETag": f'"{SHA256}"'}, {}),
        (
            "/file",
            {},
            {"x-goog-hash": f"crc32c=AAAAAA==,md5={base64.b64encode(MD5).decode()}"},
        ),
        (
            "/file",
            {},
            # As storage.googleapis.com sends them: a header for each.
            {
                "x-goog-hash": (
                    "crc32c=AAAAAA==",
                    f"md5={base64.b64encode(MD5).decode()}",
                )
            },
        ),
    ],
    ids=["Hugging Face", "Google", "Google, two headers"],
)
def test_what_the_server_tells_is_checked_and_kept(server, path, redirect, direct):
    server.redirect_headers, server.headers = redirect, direct
    file = _file(server, path, sha256=None)
    download.fetch(file)
    file.path.write_bytes(b"other")
    with pytest.raises(failures.RunError, match="is not the published file"):
        download.fetch(file)


def test_what_the_server_tells_can_be_wrong(server):
    server.headers = {"X-Linked-ETag": f'"{"0" * 64}"'}
    with pytest.raises(
        failures.RunError, match=f"its sha256 is {SHA256}, not {'0' * 64}"
    ):
        download.fetch(_file(server, sha256=None))


def test_another_file_than_published_is_kept_and_told(server):
    file = _file(server, sha256="00000000")
    part = file.path.with_name("x.bin.part")
    message = (
        f"{part} is not the published file: its sha256 is {SHA256}, not 00000000; "
        f"delete it and run again, or fetch {file.url} yourself and put it at {file.path}"
    )
    with pytest.raises(failures.RunError, match=re.escape(message)):
        download.fetch(file)
    assert part.exists()
    assert not file.path.exists()


def test_what_is_in_the_cache_is_checked(server):
    file = _file(server)
    file.path.parent.mkdir(parents=True)
    file.path.write_bytes(b"something else")
    with pytest.raises(failures.RunError, match=r"x\.bin is not the published file"):
        download.fetch(file)
    assert file.path.read_bytes() == b"something else"


def test_a_file_that_one_brought_oneself_is_taken(server):
    file = _file(server)
    file.path.parent.mkdir(parents=True)
    file.path.write_bytes(CONTENT)
    download.fetch(file)
    assert server.asked == []


def test_without_a_connection_one_line_says_what_to_fetch_and_where_to_put_it(server):
    file = download.File(url="http://127.0.0.1:1/x.bin", name="a/x.bin")
    message = (
        r"no connection to 127\.0\.0\.1:1 \(.*\): fetch http://127\.0\.0\.1:1/x\.bin on "
        rf"another machine and put it at {re.escape(str(file.path))}$"
    )
    with pytest.raises(failures.RequestError, match=message) as caught:
        download.fetch(file)
    assert "\n" not in str(caught.value)


def test_a_refusal_is_told_with_its_status(server):
    file = _file(server, "/absent")
    message = f"answers 404 Not Found: fetch {file.url} on another machine"
    with pytest.raises(failures.RequestError, match=re.escape(message)):
        download.fetch(file)


def test_a_full_disk_is_told(server, monkeypatch):
    def full(*arguments, **settings):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "_receive", full)
    with pytest.raises(
        failures.RunError, match=r"no space left .* MOBILE_VISION_CACHE"
    ):
        download.fetch(_file(server))


def test_the_cache_is_where_the_user_wants_it(monkeypatch, tmp_path):
    monkeypatch.delenv("MOBILE_VISION_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert download.cache_folder() == tmp_path / "mobile_vision"
    monkeypatch.setenv("MOBILE_VISION_CACHE", str(tmp_path / "other"))
    assert download.cache_folder() == tmp_path / "other"
