"""Contract 5.11, 12.6 and 12.8: the report of a tenant's work over HTTP."""

from __future__ import annotations

import csv
import io

import pytest

from lambdas.domain.failures import Failure, ProviderFailure
from tests.api.client import Client
from tests.support.fakes import FakeProvider, FakeProviders, Fakes

THEIRS = {"tenant": "umbrella", "auth": "ok"}
ZEROS = {"requests": 0, "succeeded": 0, "failed": 0, "images": 0, "cost_usd": 0.0}
TODAY = "2026-09-21"  # by the clock of the fakes


def test_5_11_the_report_has_the_shape_of_the_contract() -> None:
    client = Client()
    asked = {"prompt": "a fox", "n": 2, "seed": 7, "cache": "auto", "project_id": "shoes"}
    first = client("POST", "/unified/generate", asked).json()
    client("POST", "/unified/generate", asked)
    client("POST", "/unified/generate", {"prompt": "a " + "very long " * 400 + "prompt"})
    report = client("GET", "/unified/analytics").json()
    assert list(report) == ["from", "to", "totals", "providers", "storage", "cache", "prompt_optimization"]
    assert (report["from"], report["to"]) == ("2026-08-23", TODAY)
    assert report["totals"] == {"requests": 3, "succeeded": 3, "failed": 0, "images": 3, "cost_usd": 0.0}
    [demo] = report["providers"]
    assert (demo["id"], demo["attempts"], demo["succeeded"], demo["failed"], demo["images"]) == ("demo", 3, 3, 0, 3)
    assert demo["success_rate"] == 1.0
    assert report["cache"] == {"hits": 1, "misses": 1}
    assert report["prompt_optimization"]["count"] == 1
    assert report["prompt_optimization"]["characters_saved"] > 900
    assert report["storage"]["images"] == 3
    stored = report["storage"]["bytes"]
    image = first["images"][0]
    size = client("GET", image["local_url"]).headers.get("Content-Length") or len(
        client("GET", image["local_url"]).body
    )
    assert client("DELETE", f"/unified/jobs/{first['generation_id']}/images/{image['id']}").status == 204
    after = client("GET", "/unified/analytics").json()
    assert after["storage"] == {"images": 2, "bytes": stored - int(size)}
    assert after["totals"] == report["totals"]


def test_a_project_a_range_and_another_tenant() -> None:
    client = Client()
    client("POST", "/unified/generate", {"prompt": "a fox", "project_id": "shoes"})
    assert client("GET", "/unified/analytics?project_id=shoes").json()["totals"]["images"] == 1
    for query in ("project_id=hats", "from=2026-01-01&to=2026-01-31", "to=2026-09-20", "from=2026-09-22"):
        assert client("GET", f"/unified/analytics?{query}").json()["totals"] == ZEROS, query
    assert Client(client.deps, identity=THEIRS)("GET", "/unified/analytics").json()["totals"] == ZEROS
    day = client("GET", f"/unified/analytics?from={TODAY}T10:00:00Z&to={TODAY}").json()
    assert (day["from"], day["to"], day["totals"]["images"]) == (TODAY, TODAY, 1)


def test_12_6_an_empty_report_has_zeros() -> None:
    assert Client()("GET", "/unified/analytics?from=2026-01-01&to=2026-01-02").json() == {
        "from": "2026-01-01",
        "to": "2026-01-02",
        "totals": ZEROS,
        "providers": [],
        "storage": {"images": 0, "bytes": 0},
        "cache": {"hits": 0, "misses": 0},
        "prompt_optimization": {"count": 0, "characters_saved": 0},
    }


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=2026-09-02&to=2026-09-01", "to"),
        ("from=2025-01-01&to=2026-09-01", "to"),
        ("from=yesterday", "from"),
        ("to=2026-13-01", "to"),
        ("from=0001-01-01", "from"),
        ("from=2026-09-01&to=9999-12-31", "to"),
        ("to=9999-12-31T23:59:59-14:00", "to"),
        ("from=9999-12-31T23:59:59-14:00", "from"),
        ("format=xml", "format"),
        ("project_id=" + "p" * 64, "project_id"),
        ("days=7", "days"),
    ],
)
def test_5_11_a_wrong_question_is_400_and_names_its_field(query: str, field: str) -> None:
    answer = Client()("GET", f"/unified/analytics?{query}")
    assert answer.status == 400, answer.body
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_400_days_are_the_most() -> None:
    assert Client()("GET", "/unified/analytics?from=2025-08-18&to=2026-09-21").status == 200
    assert Client()("GET", "/unified/analytics?from=2025-08-17&to=2026-09-21").status == 400


def test_as_csv_there_is_a_line_a_day_project_and_provider() -> None:
    down = ProviderFailure(Failure.INVALID_REQUEST, "no", paid="no")
    client = Client(Fakes(providers=FakeProviders(demo=FakeProvider([down]))))
    client("POST", "/unified/generate", {"prompt": "a fox", "project_id": "shoes"})
    client("POST", "/unified/generate", {"prompt": "a fox", "project_id": "hats"})
    answer = client("GET", "/unified/analytics?format=csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="analytics-2026-08-23-{TODAY}.csv"'
    lines = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert [(x["day"], x["project_id"], x["provider"], x["attempts"], x["failed"], x["images"]) for x in lines] == [
        (TODAY, "hats", "demo", "1", "0", "1"),
        (TODAY, "shoes", "demo", "1", "1", "0"),
    ]
