"""How to reach a HaasOnline server: its address and credentials, from the environment or a file ``.env``, kept nowhere.

The address is the user's alone: there is no default, and nothing but it is ever asked.
"""

import difflib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import MissingError, UsageError

NAMES = (
    *("API_HOST", "API_PORT", "API_EMAIL", "API_PASSWORD", "API_CODE", "API_CA_FILE"),
    *("MAX_BACKTESTS", "PAGE_SIZE"),
)
PORT = 8090
_MISSPELT = 0.85  # API_HOSTS is likely API_HOST; API_KEY is something else's
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)", re.DOTALL)
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")


@dataclass(frozen=True)
class Access:
    """A server's address and who asks; what is secret of it is shown nowhere.

    ``code``: the one-time code, None where any six digits do, as on a server of one's own. ``ca``: a file of
    certificates to trust instead of the system's.
    """

    scheme: str
    host: str
    port: int
    email: str = field(repr=False)
    password: str = field(repr=False)
    code: str | None = field(default=None, repr=False)
    ca: Path | None = None

    @property
    def url(self) -> str:
        """The address to ask."""
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def server(self) -> str:
        """What the server is called in the store: host:port."""
        return f"{self.host}:{self.port}"

    @property
    def in_clear(self) -> bool:
        """Whether the password would cross a network unencrypted."""
        return self.scheme == "http" and not _is_near(self.host)


def read_variables(environment: Mapping[str, str], file: Path | None = None) -> dict[str, str]:
    """Return what is set of ``NAMES``: by the environment, else by ``file``, else by ``.env`` here, if there is one.

    Raises MissingError where ``file`` does not exist, UsageError where a line is none; no value is ever shown.
    """
    path = file or Path(".env")
    found: dict[str, str] = {}
    if path.is_file():
        found = _parsed(path)
    elif file is not None:
        raise MissingError(f"{file} does not exist; it should hold lines such as API_HOST=127.0.0.1")
    found |= {name: environment[name] for name in NAMES if environment.get(name)}
    return {name: found[name] for name in NAMES if found.get(name)}


def read_access(variables: Mapping[str, str]) -> Access:
    """Return the access that variables describe. Raises UsageError naming the first that is missing or wrong."""
    for name in ("API_HOST", "API_EMAIL", "API_PASSWORD"):
        if not variables.get(name):
            raise UsageError(f"{name} is not set; set it in the environment or in a file .env")
    scheme, host = _address(variables["API_HOST"])
    port = variables.get("API_PORT", str(PORT))
    if not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise UsageError(f"API_PORT is '{port[:20]}'; it must be a port such as {PORT}")
    code, ca = variables.get("API_CODE"), variables.get("API_CA_FILE")
    if code is not None and not re.fullmatch("[0-9]{4,10}", code):
        raise UsageError("API_CODE is no one-time code; it must be digits, as the server or your app gave them")
    if ca is not None and not Path(ca).is_file():
        raise MissingError(f"API_CA_FILE names {ca}, which does not exist")
    path = None if ca is None else Path(ca)
    return Access(scheme, host, int(port), variables["API_EMAIL"], variables["API_PASSWORD"], code, path)


def _address(text: str) -> tuple[str, str]:
    """Return scheme and host of an address; without a scheme https, but http on this machine and in private nets."""
    scheme, marks, host = text.rpartition("://")
    if marks:
        parts = urlsplit(text)
        host = text.removeprefix(f"{scheme}://").rstrip("/")
        if parts.username is not None or "@" in host:
            raise UsageError("API_HOST must not hold a name or password; set API_EMAIL and API_PASSWORD")
    if not _HOST.fullmatch(host) or scheme not in ("", "http", "https"):
        port = "; the port goes into API_PORT" if re.search(r":[0-9]+/?$", host) else ""
        raise UsageError(f"API_HOST is '{text[:60]}'; it must be a host such as 127.0.0.1 or https://haas.io{port}")
    return scheme or ("http" if _is_near(host) or _is_private(host) else "https"), host.lower()


def _is_near(host: str) -> bool:
    """Return whether a host is this machine."""
    if host.lower() == "localhost":
        return True
    found = _ip(host)
    return found is not None and found.is_loopback


def _is_private(host: str) -> bool:
    found = _ip(host)
    return found is not None and found.is_private


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _parsed(path: Path) -> dict[str, str]:
    """Return the variables of a file: NAME=value a line, quotes around a value taken off, # begins a comment."""
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text("utf-8-sig", errors="replace").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None:  # what it is must not be shown: it may be a secret
            raise UsageError(f"{path}:{number}: it must be NAME=value")
        name, value = match[1], match[2].strip()
        if name not in NAMES and (near := difflib.get_close_matches(name, NAMES, 1, _MISSPELT)):
            raise UsageError(f"{path}:{number}: unknown name '{name}'; did you mean '{near[0]}'?")
        if value[:1] in ("'", '"') and value[-1:] == value[:1] and len(value) > 1:
            value = value[1:-1]
        else:
            value = re.split(r"\s+#", value)[0]
        found[name] = value
    return found
