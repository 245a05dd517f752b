"""Delivers variants of stored images: a stored one as it is, any other computed from the original and stored."""

from __future__ import annotations

from lambdas.domain import ids
from lambdas.domain.delivery import MAX_VARIANTS, Recipe
from lambdas.domain.errors import NotFound
from lambdas.domain.jobs.job import StoredImage
from lambdas.usecases.deps import Deps


def variant_key(tenant: str, image: StoredImage, recipe: Recipe) -> str:
    """Return the bucket's key of the variant."""
    return f"{ids.variants_prefix(tenant, image.id)}{recipe.digest}.{recipe.extension}"


def compute_variant(tenant: str, image: StoredImage, recipe: Recipe, deps: Deps) -> bytes:
    """Make the variant and store it; the oldest ones make room. Raises NotFound, and InvalidRequest for a watermark.

    The image may be deleted in the meantime. Its original is deleted before its variants, so a variant that was stored
    too late to be deleted with the others finds the original gone, and is deleted here.
    """
    original = deps.blobs.get(image.key)
    if original is None:
        raise NotFound("no such image")
    made = deps.pictures.vary(original, recipe)
    key = variant_key(tenant, image, recipe)
    others = [name for name in deps.blobs.names(ids.variants_prefix(tenant, image.id)) if name != key]
    for oldest in others[: max(0, len(others) - MAX_VARIANTS + 1)]:
        deps.blobs.delete(oldest)
    deps.blobs.put(key, made, recipe.media_type)
    if image.key not in deps.blobs.names(image.key):
        deps.blobs.delete(key)
        raise NotFound("no such image")
    return made
