import pytest
from highwater.io.errors import MissingError, UsageError
from highwater.io.labs.access import read_access, read_variables

WHO = {"API_EMAIL": "a@b.invalid", "API_PASSWORD": "hunter2 secret"}


def access(host, **more):
    return read_access({"API_HOST": host, **WHO, **more})


@pytest.mark.parametrize(
    ("host", "url", "in_clear"),
    [
        ("127.0.0.1", "http://127.0.0.1:8090", False),
        ("localhost", "http://localhost:8090", False),
        ("[::1]", "http://[::1]:8090", False),
        ("192.168.1.20", "http://192.168.1.20:8090", True),
        ("Haas.example.com", "https://haas.example.com:8090", False),
        ("8.8.8.8", "https://8.8.8.8:8090", False),
        ("http://haas.example.com/", "http://haas.example.com:8090", True),
        ("https://127.0.0.1", "https://127.0.0.1:8090", False),
    ],
)
def test_the_address_is_the_users(host, url, in_clear):
    found = access(host)

    assert (url, in_clear) == (found.url, found.in_clear)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "API_HOST is not set"),
        ({"API_HOST": "h"}, "API_EMAIL is not set"),
        ({"API_HOST": "h", "API_EMAIL": "e"}, "API_PASSWORD is not set"),
        ({"API_HOST": "ftp://h", **WHO}, "API_HOST is 'ftp://h'"),
        ({"API_HOST": "h/path", **WHO}, "API_HOST is 'h/path'"),
        ({"API_HOST": "127.0.0.1:8090", **WHO}, "the port goes into API_PORT"),
        ({"API_HOST": "http://h:8090/", **WHO}, "the port goes into API_PORT"),
        ({"API_HOST": "h", "API_PORT": "0", **WHO}, "API_PORT is '0'"),
        ({"API_HOST": "h", "API_PORT": "x", **WHO}, "API_PORT is 'x'"),
        ({"API_HOST": "h", "API_CODE": "12a4", **WHO}, "API_CODE is no one-time code"),
        ({"API_HOST": "https://me:topsecret@h", **WHO}, "API_HOST must not hold"),
    ],
)
def test_what_is_missing_or_wrong_is_named_without_secrets(given, message):
    with pytest.raises(UsageError, match=message) as caught:
        read_access(given)

    assert not any(secret in str(caught.value) for secret in ("hunter2", "12a4", "topsecret"))


def test_an_authority_that_is_no_file_is_named():
    with pytest.raises(MissingError, match="API_CA_FILE names /none/ca"):
        access("h", API_CA_FILE="/none/ca.pem")


def test_nothing_secret_is_shown():
    shown = repr(access("h", API_CODE="123456"))

    assert not any(secret in shown for secret in ("a@b", "hunter2", "123456"))


def test_the_environment_wins_over_the_file(tmp_path, monkeypatch):
    text = "# mine\nexport API_HOST='1.2.3.4'\nAPI_EMAIL=x@y # me\nAPI_PASSWORD=\"a # b\"\n"
    text += "OTHER=1\nAPI_KEY=else\nPAGE_SIZE=50\n"
    (tmp_path / ".env").write_text(text)
    monkeypatch.chdir(tmp_path)
    found = read_variables({"API_HOST": "5.6.7.8", "HOME": "x"})

    assert {"API_HOST": "5.6.7.8", "API_EMAIL": "x@y", "API_PASSWORD": "a # b", "PAGE_SIZE": "50"} == found
    assert "1.2.3.4" == read_variables({}, tmp_path / ".env")["API_HOST"]


def test_a_line_that_is_none_is_named_without_what_it_holds(tmp_path):
    path = tmp_path / "haas.env"
    path.write_text("API_HOST=h\nhunter2 secret\n")
    with pytest.raises(UsageError, match=r"haas.env:2: it must be NAME=value") as caught:
        read_variables({}, path)
    path.write_text("API_PASWORD=hunter2\n")
    with pytest.raises(UsageError, match=r"unknown name 'API_PASWORD'; did you mean 'API_PASSWORD'") as misspelt:
        read_variables({}, path)

    assert "hunter2" not in f"{caught.value} {misspelt.value}"
    with pytest.raises(MissingError, match="none does not exist"):
        read_variables({}, tmp_path / "none")
