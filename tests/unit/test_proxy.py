"""The proxy and the certificates that the environment names for a service."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from borough.client.proxy import Proxy, proxy_for, tls_context
from borough.client.transport import Transport
from borough.errors import FixInput, Unavailable

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_a_proxy_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """By scheme, with a login, but not for this machine or what NO_PROXY names."""
    assert proxy_for("https", "ipam.example.org") is None
    monkeypatch.setenv("https_proxy", "http://me:a%20b@proxy:3128")
    monkeypatch.setenv("no_proxy", "inside.example.org")
    head = {"Proxy-Authorization": "Basic bWU6YSBi"}
    assert proxy_for("https", "ipam.example.org") == Proxy("proxy", 3128, head)
    assert proxy_for("http", "ipam.example.org") is None
    for host in ("inside.example.org", "localhost", "127.0.0.1"):
        assert proxy_for("https", host) is None
    monkeypatch.setenv("https_proxy", "socks5://proxy:1080")
    with pytest.raises(FixInput):
        proxy_for("https", "ipam.example.org")


def test_requests_go_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """In full for HTTP; by a tunnel for HTTPS."""
    seen: list[tuple[str, str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.command, self.path, self.headers["Proxy-Authorization"]))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def do_CONNECT(self) -> None:
            seen.append((self.command, self.path, self.headers["Proxy-Authorization"]))
            self.send_error(403)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name it has)
            """Keep the output clean."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://me:secret@127.0.0.1:{server.server_port}")
        plain = Transport("http://ipam.example.org:8080/base", None)
        assert plain.get("/v1/hosts") == {}
        plain.close()
        with pytest.raises(Unavailable):
            Transport("https://ipam.example.org", None).get("/v1/hosts")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    login = "Basic bWU6c2VjcmV0"
    assert seen[0] == ("GET", "http://ipam.example.org:8080/base/v1/hosts", login)
    assert seen[1] == ("CONNECT", "ipam.example.org:443", login)


def test_a_ca_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """Missing, or without a certificate."""
    assert tls_context(None).get_ca_certs() is not None
    (tmp_path / "empty.pem").write_text("nothing\n")
    for name in ("missing.pem", "empty.pem"):
        with pytest.raises(FixInput, match=name):
            tls_context(str(tmp_path / name))
