"""Deleted images in DynamoDB: removed exactly once from their job, from jobs that reused them, and from the counts."""

from __future__ import annotations

from dataclasses import replace

import boto3
import pytest

from lambdas.adapters.dynamodb.jobs import DynamoJobs
from lambdas.adapters.dynamodb.projects import DynamoProjects
from lambdas.domain.ids import image_id, new_job_id
from lambdas.domain.jobs.job import Job, JobFilter, StoredImage
from lambdas.domain.jobs.request import ImageRequest

NOW = 1_790_000_000.0
pytestmark = pytest.mark.usefixtures("cloud")


@pytest.fixture
def jobs() -> DynamoJobs:
    return DynamoJobs("jobs", "images")


def finished(jobs: DynamoJobs, n: int = 2, tenant: str = "acme", project: str = "default") -> Job:
    request = ImageRequest("fox", n=n, project_id=project)
    job = Job(tenant, new_job_id(NOW), request, "m", "bedrock", 4, NOW, cache_key="c", expires_at=int(NOW) + 999)
    jobs.create(job, None)
    running = jobs.claim(tenant, job.id, NOW, NOW + 20)
    assert running
    ids = [image_id(job.id, i) for i in range(n)]
    images = tuple(
        StoredImage(i, f"{i}.png", f"images/{i}", job.id, project, "bedrock", 8, 8, "png", 10, 4, NOW) for i in ids
    )
    done = replace(running, images=images).completed(NOW + 1)
    assert jobs.finish(done)
    jobs.remember(done)
    return done


def reused(jobs: DynamoJobs, of: Job) -> Job:
    job = replace(of, id=new_job_id(NOW + 5), cached=True)
    jobs.create(job, None)
    return job


def test_a_dropped_image_is_gone_everywhere_and_the_other_stays(jobs: DynamoJobs) -> None:
    projects = DynamoProjects("projects", "jobs", "images")
    job = finished(jobs)
    first, second = job.images
    assert jobs.recall("acme", "c") == job
    assert projects.counts("acme", "default").images == 2
    assert jobs.drop_image("acme", first)
    assert not jobs.drop_image("acme", first)
    assert jobs.get("acme", job.id) == replace(job, images=(second,))
    assert [j.images for j in jobs.list("acme", JobFilter(), 10, None).jobs] == [(second,)]
    assert jobs.find_image("acme", first.name) is None
    assert jobs.find_image("acme", second.name) == second
    assert jobs.recall("acme", "c") is None
    assert projects.counts("acme", "default").images == 1
    assert jobs.drop_image("acme", second)
    assert jobs.get("acme", job.id) == replace(job, images=())
    assert boto3.client("dynamodb").scan(TableName="images")["Items"] == []


def test_a_job_that_reused_it_shows_it_no_more(jobs: DynamoJobs) -> None:
    job = finished(jobs)
    other = finished(jobs, n=8)
    again, third = reused(jobs, job), reused(jobs, other)
    jobs.drop_image("acme", job.images[0])
    assert jobs.get("acme", again.id) == replace(again, images=job.images[1:])
    listed = {j.id: j.images for j in jobs.list("acme", JobFilter(), 10, None).jobs}
    assert listed == {
        job.id: job.images[1:],
        again.id: job.images[1:],
        other.id: other.images,
        third.id: other.images,
    }


def test_a_page_of_many_reused_images_is_read(jobs: DynamoJobs) -> None:
    originals = [finished(jobs, n=8) for _ in range(14)]
    again = [reused(jobs, job) for job in originals]
    jobs.drop_image("acme", originals[3].images[7])
    listed = {j.id: len(j.images) for j in jobs.list("acme", JobFilter(), 100, None).jobs}
    assert [listed[job.id] for job in again] == [8, 8, 8, 7, *[8] * 10]


def test_an_image_of_another_tenant_is_not_dropped(jobs: DynamoJobs) -> None:
    job = finished(jobs)
    assert not jobs.drop_image("umbrella", job.images[0])
    assert jobs.get("umbrella", job.id) is None
    assert jobs.get("acme", job.id) == job
