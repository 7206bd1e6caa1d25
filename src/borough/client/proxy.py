"""The proxy and the certificates that the environment names for a service."""

from __future__ import annotations

import ssl
from base64 import b64encode
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from borough.errors import FixInput


class Proxy(NamedTuple):
    """A proxy for HTTP.

    :ivar head: headers for the proxy alone.
    """

    host: str
    port: int
    head: dict[str, str]


def proxy_for(scheme: str, host: str) -> Proxy | None:
    """The proxy of HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, unless NO_PROXY names the host.

    A service on this machine is always reached directly.

    :raises FixInput: the variable is no URL of a proxy for HTTP.
    """
    if host == "localhost" or host.startswith("127.") or host == "::1" or proxy_bypass(host):
        return None
    found = getproxies()
    text = found.get(scheme) or found.get("all")
    if not text:
        return None
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port or 80
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme != "http" or not parts.hostname:
        raise FixInput(f"the proxy of {scheme.upper()}_PROXY is a URL like http://proxy:3128")
    head = {}
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        head["Proxy-Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
    return Proxy(parts.hostname, port, head)


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Verification of a service's certificate.

    :param ca_file: PEM file of authorities to trust instead of the system's; None for the system's.
    :raises FixInput: the file cannot be read, or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or str(error)
        raise FixInput(f"the CA file {ca_file} cannot be used: {reason}", path=ca_file) from None
