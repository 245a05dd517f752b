"""The front's checks of host names, origins and malformed HTTP."""

import json
from typing import Any

import pytest

from local.front.doors import MAX_TARGET, Doors, name_of, refusal
from local.front.gateway import MAX_HEAD

OPEN = Doors(8000, ["tunnel.example.com"], ["*"], keyed=False)
LOCAL = "localhost:8000"


def status(
    method: str = "POST", doors: Doors = OPEN, target: str = "/generate", query: str = "", **headers: str | None
) -> int | None:
    """The status of the refusal, or None."""
    given = {"Host": LOCAL, **{k.replace("_", "-"): v for k, v in headers.items()}}
    fields = [(k.encode(), v.encode("latin-1")) for k, v in given.items() if v is not None]
    scope = {"method": method, "raw_path": target.encode(), "query_string": query.encode(), "headers": fields}
    answer = doors.refusal(scope, target)
    if answer is None:
        return None
    assert dict(answer.headers)[b"content-type"] == b"application/problem+json"
    problem = json.loads(answer.body)
    assert problem["status"] == answer.status
    assert problem["code"]
    assert problem["detail"]
    return answer.status


@pytest.mark.parametrize(
    "host",
    ["localhost:8000", "LOCALHOST", "127.0.0.1:8000", "127.0.0.1:9", "[::1]:8000", "[::1]", "Tunnel.example.com:443"],
)
def test_own_and_added_names_pass(host: str) -> None:
    assert status(Host=host) is None


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.7", "x"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
@pytest.mark.parametrize("keyed", [True, False])
def test_another_name_is_misdirected_and_told_the_setting(host: str, method: str, keyed: bool) -> None:
    doors = Doors(8000, [], [], keyed=keyed)
    assert status(method, doors, Host=host) == 421
    answer = doors.refusal({"method": "GET", "path": "/x", "headers": [(b"Host", host.encode())]}, "/x")
    assert answer and "ALLOWED_HOSTS" in json.loads(answer.body)["detail"]


@pytest.mark.parametrize("host", [None, "", "a b", "user@localhost", "localhost:99999999", "localhost, evil", "::1"])
def test_a_host_that_is_none(host: str | None) -> None:
    assert status("GET", Host=host) == 400


def test_two_hosts() -> None:
    hosts = [(b"host", b"localhost"), (b"Host", b"localhost")]
    answer = OPEN.refusal({"method": "GET", "path": "/x", "headers": hosts}, "/x")
    assert answer and answer.status == 400


FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "http://127.0.0.1:8001"},
    {"Origin": "http://localhost.evil.example:8000"},
    {"Origin": "http://user@localhost:8000"},
    {"Origin": ""},
    {"Origin": "file://"},
    {"Origin": "chrome-extension://abcdef"},
    {"Origin": "http://tunnel.example.com:3000"},
    {"Origin": "http://evil.example", "Sec_Fetch_Site": "same-origin"},
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
    {"Sec_Fetch_Site": "Cross-Site"},
]
OURS = [
    {},
    {"Origin": "http://localhost:8000", "Sec_Fetch_Site": "same-origin"},
    {"Origin": "http://127.0.0.1:8000", "Sec_Fetch_Site": "cross-site"},
    {"Origin": "http://[::1]:8000"},
    {"Origin": "https://tunnel.example.com"},
    {"Origin": "http://localhost:9000", "Host": "localhost:9000"},
    {"Sec_Fetch_Site": "same-origin"},
    {"Sec_Fetch_Site": "none"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_foreign_page_changes_nothing_where_no_key_is_needed(headers: dict[str, Any]) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "PURGE"):
        assert status(method, **headers) == 403
        assert status("OPTIONS", Access_Control_Request_Method=method, **headers) == 403
    for method in ("GET", "HEAD", "OPTIONS"):
        assert status(method, **headers) is None
    assert status("OPTIONS", Access_Control_Request_Method="GET", **headers) is None


@pytest.mark.parametrize("headers", OURS, ids=str)
def test_our_own_pages_and_programs_may(headers: dict[str, Any]) -> None:
    for method in ("POST", "DELETE"):
        assert status(method, **headers) is None


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_where_keys_are_needed_the_key_decides(headers: dict[str, Any]) -> None:
    assert status("POST", Doors(8000, [], ["*"], keyed=True), **headers) is None


def test_an_origin_that_was_named_may_and_only_that_one() -> None:
    doors = Doors(8000, [], ["http://localhost:3000", "https://App.example.com/"], keyed=False)
    assert status("POST", doors, Origin="http://localhost:3000", Sec_Fetch_Site="same-site") is None
    assert status("POST", doors, Origin="https://app.example.com", Sec_Fetch_Site="cross-site") is None
    assert status("POST", doors, Origin="http://app.example.com") == 403
    assert status("POST", doors, Origin="http://localhost:3001") == 403


@pytest.mark.parametrize(
    ("want", "asked"),
    [
        (405, {"method": "CONNECT", "target": "localhost:443"}),
        (400, {"method": "OPTIONS", "target": "*"}),
        (400, {"target": "http://localhost:8000/generate"}),
        (400, {"target": "generate"}),
        (400, {"target": "/a%"}),
        (400, {"target": "/a%2"}),
        (400, {"target": "/a%zz"}),
        (400, {"target": "/a", "query": "q=100%"}),
        (414, {"target": "/" + "a" * MAX_TARGET}),
        (414, {"target": "/a", "query": "q=" + "a" * 100_000}),
        (431, {"X": "a" * MAX_HEAD}),
        (400, {"Upgrade": "websocket"}),
        (None, {"Upgrade": "h2c"}),
        (None, {"target": "/a%20b%2Fc%25", "query": "q=%C3%A9"}),
        (None, {"target": "/" + "a" * (MAX_TARGET - 1)}),
    ],
)
def test_odd_requests(want: int | None, asked: dict[str, Any]) -> None:
    assert status(**asked) == want


def test_a_refusal_on_openais_routes_has_openais_shape() -> None:
    answer = refusal(503, "busy", "/v1/images/generations", {"Retry-After": "2"})
    assert json.loads(answer.body)["error"]["message"] == "busy"
    headers = dict(answer.headers)
    assert headers[b"content-type"] == b"application/json"
    assert (headers[b"x-should-retry"], headers[b"retry-after"]) == (b"true", b"2")
    assert dict(refusal(403, "no", "/v1/images/generations").headers)[b"x-should-retry"] == b"false"


def test_names() -> None:
    assert [name_of(a) for a in ("A:1", "[::1]:8", "[::1]", "a:b", "")] == ["a", "::1", "::1", "", ""]
