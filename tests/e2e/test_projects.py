"""Projects and deleted images with the deployed functions, tables and policies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e import http
from tests.e2e.http import Client

pytestmark = pytest.mark.e2e


def counts(client: Client, project: str) -> Any:
    return client.get(f"/unified/projects/{project}").json()["counts"]


def test_a_project_is_named_made_counted_and_listed(client: Client) -> None:
    # ids that no other test on the shared stack uses, the README's commands included
    made = client.post("/unified/projects", json={"project_id": "sowing", "name": "Sowing"})
    assert made.status_code == 201
    assert client.post("/unified/projects", json={"project_id": "sowing"}).status_code == 409
    for project in ("sowing", "harvest"):
        body = {"prompt": "a fox", "n": 2, "project_id": project}
        assert client.post("/unified/generate", json=body).status_code == 200
    assert counts(client, "sowing") == counts(client, "harvest") == {"jobs": 1, "images": 2, "exact": True}
    listed = {p["project_id"]: p["name"] for p in client.get("/unified/projects").json()["projects"]}
    assert listed["default"] == "default"
    assert (listed["sowing"], listed["harvest"]) == ("Sowing", "harvest")
    assert client.get("/unified/projects/winter").status_code == 404


def test_a_deleted_image_is_gone_and_answers_nothing_more(client: Client) -> None:
    body = {"prompt": "a hare", "n": 2, "seed": 7, "project_id": "hares"}
    job = client.post("/unified/generate", json=body).json()
    again = client.post("/unified/generate", json=body).json()
    assert again["metadata"]["cached"]
    gone, kept = job["images"]
    url = f"/unified/jobs/{job['generation_id']}/images/{gone['id']}"
    deleted = client.delete(url)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert client.delete(url).status_code == 404
    assert client.get(gone["local_url"]).status_code == 404
    assert http.get(gone["download_url"]).status_code == 404
    assert http.get(kept["download_url"]).status_code == 200
    for each in (job, again):
        images = client.get(f"/unified/jobs/{each['generation_id']}").json()["images"]
        assert [image["id"] for image in images] == [kept["id"]]
    assert counts(client, "hares") == {"jobs": 2, "images": 1, "exact": True}
    third = client.post("/unified/generate", json=body).json()
    assert not third["metadata"]["cached"]
    assert len(third["images"]) == 2


def test_of_many_at_once_one_makes_the_project_and_one_deletes_the_image(client: Client) -> None:
    [image] = (job := client.post("/unified/generate", json={"prompt": "a fox"}).json())["images"]
    url = f"/unified/jobs/{job['generation_id']}/images/{image['id']}"
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: client.post("/unified/projects", json={"project_id": "one"}), range(6)))
        deleted = list(pool.map(lambda _: client.delete(url), range(6)))
    assert sorted(answer.status_code for answer in made) == [201, *[409] * 5]
    assert sorted(answer.status_code for answer in deleted) == [204, *[404] * 5]
