"""Uploads: what is to be sent, and where."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lambdas.api.schemas.common import Body, View, Whole
from lambdas.usecases.images.uploads import MAX_BYTES, SECONDS, Upload


class UploadBody(Body):
    """POST /v1/uploads."""

    content_type: Literal["image/png", "image/jpeg", "image/webp"]
    size: Annotated[int, Field(ge=1, le=MAX_BYTES, description="Bytes, just as many as will be sent."), Whole]


class UploadView(View):
    """A form that takes one picture of just this type and size."""

    upload_id: str = Field(description="Stands for the picture wherever one is taken, for a day.")
    upload_url: str = Field(description="Where the form is sent by POST, as multipart/form-data.")
    fields: dict[str, str] = Field(description="The fields of the form, before the picture, which is `file`.")
    expires_in: int = Field(description="Seconds for which the form is taken.")

    @classmethod
    def of(cls, upload: Upload) -> UploadView:
        return cls(upload_id=upload.id, upload_url=upload.url, fields=dict(upload.fields), expires_in=SECONDS)
