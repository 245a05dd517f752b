"""Plans the variant of an image that a request asks for."""

from __future__ import annotations

from lambdas.api.call import Call
from lambdas.domain.delivery import Recipe, Wish, recipe_of, unwritable
from lambdas.domain.jobs.job import StoredImage


def planned(call: Call, image: StoredImage, wish: Wish) -> Recipe | None:
    """Return the variant; `None` where that is the original. Raises InvalidRequest."""
    recipe = recipe_of(image, wish, call.headers.get("accept", ""))
    if wish.watermark and (character := call.deps.pictures.unwritable(wish.watermark)):
        raise unwritable(character)
    return recipe
