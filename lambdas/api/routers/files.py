"""The routes that hand out stored images."""

from __future__ import annotations

from collections.abc import Callable

from aws_lambda_powertools.event_handler import Response

from lambdas.api.call import Call
from lambdas.api.routes import Answer, Route
from lambdas.domain import ids
from lambdas.domain.errors import NotFound
from lambdas.domain.jobs.job import StoredImage
from lambdas.domain.jobs.request import MEDIA_TYPES

# A function answers 6,291,556 bytes at the most, and base64 makes of each three bytes four.
MAX_INLINE_BYTES = 4_500_000


def _file(call: Call) -> Answer:
    return _image(call, _find(call))


def _stable(call: Call) -> Answer:
    image = _find(call)
    if (image.project_id, image.provider) != (call.params["project_id"], call.params["provider"]):
        raise NotFound("no such image")
    return _image(call, image)


def _find(call: Call) -> StoredImage:
    name = call.params["name"]
    image = call.deps.jobs.find_image(call.tenant, name) if ids.IMAGE_NAME.fullmatch(name) else None
    if image is None:
        raise NotFound("no such image")
    return image


def _image(call: Call, image: StoredImage) -> Answer:
    headers = {"X-Image-Provider": image.provider, "Cache-Control": "private, max-age=86400"}
    media_type = MEDIA_TYPES[image.name.rpartition(".")[2]]
    if image.bytes > MAX_INLINE_BYTES:
        headers |= {"Location": call.deps.blobs.presign(image.key), "Cache-Control": "no-store"}
        return Response(status_code=307, content_type=media_type, headers=headers)
    data = call.deps.blobs.get(image.key)
    if data is None:
        raise NotFound("no such image")
    return Response(status_code=200, content_type=media_type, body=data, headers=headers)


def _route(path: str, summary: str, handle: Callable[[Call], Answer] = _file) -> Route:
    return Route(
        "GET",
        path,
        summary,
        handle,
        {200: "image/*", 307: "none"},
        errors=(404, 500),
        tag="files",
    )


ROUTES = (
    _route("/download/{name}", "An image by its file name"),
    _route("/files/{name}", "An image of the model service by its file name"),
    _route("/storage/images/{project_id}/{provider}/{name}", "An image by its stable link", _stable),
)
