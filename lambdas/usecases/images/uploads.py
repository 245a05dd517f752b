"""Pictures that a client stores in the bucket itself, because they are too large for the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lambdas.domain import ids
from lambdas.domain.errors import FieldError, InvalidRequest
from lambdas.usecases.deps import Deps

MAX_BYTES: Final = 25_000_000
MEDIA_TYPES: Final = ("image/png", "image/jpeg", "image/webp")
SECONDS: Final = 600  # for which the form can be used; the picture is kept for a day, by the bucket's lifecycle rule


@dataclass(frozen=True, slots=True)
class Upload:
    """Where and how a picture is sent: `fields` come first in the form, and the picture last, as `file`."""

    id: str
    url: str
    fields: Mapping[str, str]


def offer_upload(tenant: str, media_type: str, size: int, deps: Deps) -> Upload:
    """Make a form for one picture of this type and size in bytes."""
    upload_id = ids.new_upload_id()
    url, fields = deps.blobs.presign_post(ids.upload_key(tenant, upload_id), media_type, size, SECONDS)
    return Upload(upload_id, url, fields)


def uploaded(tenant: str, upload_id: str, name: str, deps: Deps) -> bytes:
    """The picture as it was sent, unchecked. Raises InvalidRequest for the field `name`."""
    data = deps.blobs.get(ids.upload_key(tenant, upload_id))
    if data is None:
        said = "there is no such upload: its picture was not sent, or more than a day ago"
        raise InvalidRequest(f"{name}: {said}", errors=(FieldError(name, said),))
    return data
