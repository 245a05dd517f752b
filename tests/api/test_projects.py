"""Contract 5.10 and 6.4: projects, and images deleted for good."""

from __future__ import annotations

import pytest

from lambdas.usecases.jobs.run_job import run_job
from tests.api.client import Client

THEIRS = {"tenant": "umbrella", "auth": "ok"}


def test_5_10_a_project_is_made_found_and_listed() -> None:
    client = Client()
    made = client("POST", "/unified/projects", {"project_id": "spring", "name": "Spring"})
    assert made.status == 201
    assert made.headers["Location"] == "/prod/unified/projects/spring"
    found = client("GET", "/unified/projects/spring")
    assert found.status == 200
    assert found.json() == made.json()
    assert found.json()["counts"] == {"jobs": 0, "images": 0, "exact": True}
    assert found.json()["created_at"].endswith("Z")
    listed = client("GET", "/unified/projects").json()
    assert [(p["project_id"], p["name"]) for p in listed["projects"]] == [("default", "default"), ("spring", "Spring")]
    assert listed["next_cursor"] is None


def test_5_10_a_second_of_the_same_id_is_409() -> None:
    client = Client()
    assert client("POST", "/unified/projects", {"project_id": "a"}).json()["name"] == "a"
    for project_id in ("a", "default"):
        again = client("POST", "/unified/projects", {"project_id": project_id, "name": "x"})
        assert (again.status, again.json()["code"]) == (409, "project_exists")
    assert client("GET", "/unified/projects/a").json()["name"] == "a"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"project_id": ""},
        {"project_id": "a/b"},
        {"project_id": "a#b"},
        {"project_id": "-a"},
        {"project_id": "a\n"},
        {"project_id": "a" * 64},
        {"project_id": "a", "name": ""},
        {"project_id": "a", "name": " "},
        {"project_id": "a", "name": "x" * 201},
        {"project_id": "a", "tenant": "umbrella"},
        {"project_id": 1},
    ],
)
def test_5_10_a_wrong_body_is_400(body: object) -> None:
    client = Client()
    answer = client("POST", "/unified/projects", body)
    assert (answer.status, answer.json()["code"]) == (400, "invalid_request")
    assert len(client("GET", "/unified/projects").json()["projects"]) == 1


def test_5_10_a_generation_makes_the_project_that_it_names() -> None:
    client = Client()
    made = client("POST", "/unified/generate", {"prompt": "x", "n": 3, "project_id": "summer"})
    assert made.status == 200
    assert client("POST", "/generate", {"prompt": "x"}).status == 200
    items = [{"prompt": "x", "project_id": "many"}, {"prompt": "x", "project_id": "many"}, {"prompt": ""}]
    jobs = client("POST", "/unified/generate/batch", {"requests": items}).json()["jobs"]
    assert len(jobs) == 3
    counts = {
        name: client("GET", f"/unified/projects/{name}").json()["counts"] for name in ("summer", "default", "many")
    }
    assert counts["summer"] == {"jobs": 1, "images": 3, "exact": True}
    assert counts["default"] == {"jobs": 2, "images": 1, "exact": True}
    assert counts["many"] == {"jobs": 2, "images": 0, "exact": True}
    for job in jobs[:2]:
        run_job("acme", job["generation_id"], client.deps.clock.now() + 60, client.deps)
    assert client("GET", "/unified/projects/many").json()["counts"]["images"] == 2


def test_5_10_a_refused_generation_makes_none() -> None:
    client = Client()
    assert client("POST", "/unified/generate", {"prompt": "", "project_id": "p"}).status == 400
    assert client("POST", "/unified/generate", {"prompt": "x", "model": "none", "project_id": "p"}).status == 400
    assert client("GET", "/unified/projects/p").status == 404


def test_5_10_pages_of_projects() -> None:
    client = Client()
    for name in ("a", "b", "c"):
        client("POST", "/unified/projects", {"project_id": name})
    first = client("GET", "/unified/projects?limit=3").json()
    assert ([p["project_id"] for p in first["projects"]], first["next_cursor"]) == (["a", "b", "c"], "c")
    last = client("GET", f"/unified/projects?limit=3&cursor={first['next_cursor']}").json()
    assert ([p["project_id"] for p in last["projects"]], last["next_cursor"]) == (["default"], None)
    for query in ("limit=0", "limit=1001", "cursor=a/b", "x=1"):
        assert client("GET", f"/unified/projects?{query}").status == 400


def test_1_3_another_tenants_project_does_not_exist() -> None:
    client = Client()
    client("POST", "/unified/projects", {"project_id": "secret", "name": "x"})
    other = Client(client.deps, identity=THEIRS)
    theirs, nobodys = (other("GET", f"/unified/projects/{name}") for name in ("secret", "nothing"))
    assert theirs.status == nobodys.status == 404
    assert theirs.body.replace(b"secret", b"nothing") == nobodys.body
    assert [p["project_id"] for p in other("GET", "/unified/projects").json()["projects"]] == ["default"]
    assert other("POST", "/unified/projects", {"project_id": "secret"}).status == 201
    assert client("GET", "/unified/projects/secret").json()["name"] == "x"


@pytest.mark.parametrize("name", ["a%2Fb", "..", "a" * 64, "ä"])
def test_5_10_what_is_no_project_id_is_404(name: str) -> None:
    assert Client()("GET", f"/unified/projects/{name}").status == 404


def test_6_4_an_image_is_deleted_for_good() -> None:
    client = Client()
    job = client("POST", "/unified/generate", {"prompt": "x", "n": 2, "project_id": "p"}).json()
    gone, kept = job["images"]
    url = f"/unified/jobs/{job['generation_id']}/images/"
    other = Client(client.deps, identity=THEIRS)
    assert other("DELETE", url + gone["id"]).status == 404
    done = client("DELETE", url + gone["id"])
    assert (done.status, done.body) == (204, b"")
    assert client("DELETE", url + gone["id"]).status == 404
    after = client("GET", f"/unified/jobs/{job['generation_id']}").json()
    assert after["status"] == "completed"
    assert [image["id"] for image in after["images"]] == [kept["id"]]
    for path in (gone["local_url"], f"/download/{gone['id']}.png", f"/files/{gone['id']}.png"):
        assert client("GET", path).status == 404
    assert client("GET", kept["local_url"]).status == 200
    assert client("GET", "/unified/projects/p").json()["counts"] == {"jobs": 1, "images": 1, "exact": True}


def test_6_4_a_job_that_goes_on_is_409() -> None:
    client = Client()
    job = client("POST", "/generate", {"prompt": "x"}, {"Prefer": "respond-async"}).json()
    answer = client("DELETE", f"/unified/jobs/{job['generation_id']}/images/im_0123456789abcdef")
    assert (answer.status, answer.json()["code"]) == (409, "job_not_ended")


@pytest.mark.parametrize("path", ["/generate", "/generate-image", "/v1/generate", "/unified/generate"])
def test_6_4_the_answer_given_again_after_its_image_was_deleted_is_410(path: str) -> None:
    client = Client()
    key = {"Idempotency-Key": "k"}
    job_id = client("POST", path, {"prompt": "x"}, key).json()["generation_id"]
    image = client("GET", f"/unified/jobs/{job_id}").json()["images"][0]["id"]
    assert client("DELETE", f"/unified/jobs/{job_id}/images/{image}").status == 204
    again = client("POST", path, {"prompt": "x"}, key)
    assert (again.status, again.json()["code"]) == (410, "gone")
