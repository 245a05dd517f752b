"""Two tenants on one stack: neither can see that anything of the other exists."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from local.stack import Stack
from tests.e2e.conftest import make_stack
from tests.e2e.http import Client
from tests.e2e.test_contract import ended

pytestmark = pytest.mark.e2e
METHODS = ("get", "head", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    keys = "acme:key-of-acme,umbrella:key-of-umbrella"
    with make_stack(tmp_path_factory.mktemp("tenants"), REQUIRE_API_KEY="1", API_KEYS=keys) as stack:
        yield stack


def client_of(stack: Stack, tenant: str) -> Client:
    key = {"X-API-Key": f"key-of-{tenant}"}
    return Client(stack.url, headers=key)


def belongings(client: Client) -> dict[str, str]:
    """One of everything that has an id, by the names that the paths' parameters have."""
    body = {"prompt": "a fox", "project_id": "secret-plan", "seed": 7}
    job = client.post("/unified/generate", json=body).json()
    batch = client.post("/unified/generate/batch", json={"requests": [body]}).json()
    ended(client, batch["jobs"][0]["generation_id"])
    image = job["images"][0]
    assert client.get(image["local_url"]).status_code == 200
    return {
        "job_id": job["generation_id"],
        "generation_id": job["generation_id"],
        "batch_id": batch["batch_id"],
        "image_id": image["id"],
        "project_id": "secret-plan",
        "provider": image["local_url"].split("/")[4],
        "name": image["local_url"].split("/")[-1],
    }


def never_made(theirs: dict[str, str]) -> dict[str, str]:
    """Ids of the same form that nobody has."""
    return {
        **theirs,
        "job_id": str(uuid.uuid4()),
        "generation_id": str(uuid.uuid4()),
        "batch_id": str(uuid.uuid4()),
        "image_id": "im_0123456789abcdef",
        "project_id": "no-such-plan",
        "name": "im_0123456789abcdef.png",
    }


def told(client: Client, method: str, path: str, ids: dict[str, str]) -> tuple[int, str]:
    """All that an answer says, less what is the request's own."""
    url = path.format(**ids)
    answer = client.request(method.upper(), url, json={} if method in ("post", "put", "patch") else None)
    given = {name.lower(): value for name, value in answer.headers.items()}
    headers = {k: v for k, v in given.items() if k not in ("x-request-id", "content-length", "date")}
    text = f"{headers} {answer.text}".replace(answer.headers["x-request-id"], "REQUEST")
    for value in sorted(ids.values(), key=len, reverse=True):
        text = text.replace(value, "ID")
    return answer.status_code, text


def test_every_route_answers_another_tenants_id_as_one_that_never_was(stack: Stack) -> None:
    with client_of(stack, "acme") as acme, client_of(stack, "umbrella") as umbrella:
        theirs = belongings(acme)
        unknown = never_made(theirs)
        paths = [path for path in acme.get("/openapi.json").json()["paths"] if "{" in path]
        paths = [path for path in paths if not path.startswith("/v1/models/")]  # a model is nobody's
        assert len(paths) >= 8
        for path in sorted(paths):
            for method in METHODS:
                foreign = told(umbrella, method, path, theirs)
                assert foreign == told(umbrella, method, path, unknown), (method, path)
                assert foreign[0] in (404, 405, 410), (method, path)
        # and nothing of it was touched
        assert acme.get(f"/unified/jobs/{theirs['job_id']}").json()["images"][0]["id"] == theirs["image_id"]
        assert acme.get(f"/download/{theirs['name']}").status_code == 200
        assert acme.get("/unified/projects/secret-plan").status_code == 200


def test_lists_and_keys_of_one_tenant_say_nothing_of_the_other(stack: Stack) -> None:
    with client_of(stack, "acme") as acme, client_of(stack, "umbrella") as umbrella:
        key = {"Idempotency-Key": "the-same-word"}
        first = acme.post("/unified/generate", json={"prompt": "a fox", "project_id": "ours"}, headers=key).json()
        second = umbrella.post("/unified/generate", json={"prompt": "a crow", "project_id": "ours"}, headers=key)
        assert second.status_code == 200
        assert second.json()["generation_id"] != first["generation_id"]
        jobs = umbrella.get("/unified/jobs", params={"limit": 100}).json()["jobs"]
        assert [job["generation_id"] for job in jobs] == [second.json()["generation_id"]]
        assert [p["project_id"] for p in umbrella.get("/unified/projects").json()["projects"]] == ["default", "ours"]
        assert umbrella.get("/unified/projects/ours").json()["counts"]["images"] == 1
        # a cursor is no way in
        page = umbrella.get("/unified/jobs", params={"cursor": first["generation_id"]})
        assert page.status_code == 200
        assert "a fox" not in page.text


def test_what_was_made_for_one_tenant_is_no_cached_answer_for_the_other(stack: Stack) -> None:
    body = {"prompt": "the same wish", "seed": 41}
    with client_of(stack, "acme") as acme, client_of(stack, "umbrella") as umbrella:
        assert not acme.post("/unified/generate", json=body).json()["metadata"]["cached"]
        assert acme.post("/unified/generate", json=body).json()["metadata"]["cached"]
        assert not umbrella.post("/unified/generate", json=body).json()["metadata"]["cached"]
