"""Delete one image of a job for good; the job's record stays."""

from __future__ import annotations

from lambdas.domain import ids
from lambdas.domain.errors import JobNotEnded, NotFound
from lambdas.usecases.deps import Deps
from lambdas.usecases.jobs.find import find_job


def delete_image(tenant: str, job_id: str, image_id: str, deps: Deps) -> None:
    """Raises NotFound, also for an image that was deleted before, and JobNotEnded.

    The bytes are deleted before the records: after a crash in between, the request can be repeated. An image that
    a later, equal request shares (a cache hit) is gone from both jobs.
    """
    job = find_job(tenant, job_id, deps)
    if not job.final:
        raise JobNotEnded(f"the job is {job.status}; its images can be deleted when it has ended")
    image = next((image for image in job.images if image.id == image_id), None)
    if image is None:
        raise NotFound("no such image")
    owner = job if image.job_id == job.id else deps.jobs.get(tenant, image.job_id)
    if owner:
        made = (a.image for number, a in enumerate(owner.attempts) if ids.image_id(owner.id, number) == image.id)
        index = next(made, None)
        for number, attempt in enumerate(owner.attempts):
            if attempt.image == index:
                deps.blobs.delete(ids.raw_key(tenant, owner.id, number))
    if image.mask_key:
        deps.blobs.delete(image.mask_key)
    deps.blobs.delete(image.key)
    deps.blobs.delete_all(ids.variants_prefix(tenant, image.id))
    if not deps.jobs.drop_image(tenant, image):
        raise NotFound("no such image")
