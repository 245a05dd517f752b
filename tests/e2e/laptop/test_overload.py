"""More concurrent requests than the laptop has processes: quick refusals, no lost job, and a recovery."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.doubles.bedrock import service
from tests.e2e import http
from tests.e2e.conftest import Start
from tests.e2e.crowd import ended
from tests.e2e.http import Client

pytestmark = pytest.mark.e2e
SLOW = 20.0  # seconds that the provider takes for an image
ASKED = {"width": 1024, "height": 1024}


@pytest.mark.timeout(300)
def test_forty_at_once_on_a_slow_provider(start: Start) -> None:
    with service.FakeBedrock() as fake, start(AWS_ENDPOINT_URL_BEDROCK_RUNTIME=fake.url) as stack:
        got = []

        def ask(number: int) -> None:
            body = {"prompt": f"fox {number}", **ASKED}
            got.append(http.post(f"{stack.url}/generate", json=body, timeout=120))

        ask(-1)
        assert got.pop().status_code == 200
        fake.seconds = SLOW
        with ThreadPoolExecutor(41) as pool:
            asked = [pool.submit(ask, n) for n in range(40)]
            time.sleep(12)
            assert http.get(f"{stack.url}/health", timeout=30).status_code == 200
            for future in asked:
                future.result()
        turned_away = [answer for answer in got if answer.status_code == 503]
        accepted = [answer for answer in got if answer.status_code in (200, 202)]
        assert len(turned_away) + len(accepted) == 40, [answer.text for answer in got]
        assert len(accepted) >= 4
        assert got == [*turned_away, *accepted], "whoever is turned away is told before the first has an image"
        for answer in turned_away:
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert (answer.json()["code"], answer.json()["status"]) == ("overloaded", 503)
        fake.seconds = 0.0
        ask(40)
        assert got[-1].status_code == 200
        with Client(stack.url, timeout=120) as client:
            for answer in accepted:
                assert ended(client, answer.json()["generation_id"])["status"] == "completed"
            jobs = client.get("/unified/jobs", params={"limit": 100}).json()["jobs"]
        assert len(jobs) == len(accepted) + 2, "whoever was turned away has no job"
