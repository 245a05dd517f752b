"""Makes signed links to images, and finds the tenant whose link a request uses."""

from __future__ import annotations

from collections.abc import Mapping

from lambdas.domain import links
from lambdas.domain.errors import NotFound
from lambdas.domain.jobs.job import StoredImage
from lambdas.usecases.deps import Deps


def tenant_of(path: str, query: links.Query, deps: Deps) -> str:
    """Return the tenant whose key signed this link. Raises NotFound, the same for whatever is wrong with it."""
    now = deps.clock.now()
    claim = links.claim_of(query, now)
    key = deps.link_keys.get(claim.kid) if claim else None
    if claim is None or key is None or not key.valid(now) or not links.holds(claim, key, path, query):
        raise NotFound("no such image")
    return key.tenant


def link_to(
    tenant: str, image: StoredImage, parameters: Mapping[str, str], seconds: int, deps: Deps
) -> tuple[str, int]:
    """Return a link to the image, from its path on, and when it ends. The tenant's first link makes its key."""
    now = deps.clock.now()
    key = deps.link_keys.of(tenant, now)
    expires = int(now) + seconds
    return links.signed(stable_path(image), parameters, expires, key), expires


def stable_path(image: StoredImage) -> str:
    """Return the path of the image's stable link."""
    return f"{links.PATH}{image.project_id}/{image.provider}/{image.name}"
