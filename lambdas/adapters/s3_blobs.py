"""Stores objects in the private bucket on S3."""

from __future__ import annotations

from collections.abc import Mapping

from lambdas.adapters import aws
from lambdas.domain.errors import Unavailable
from lambdas.domain.ports.media import NO_NOTES


class S3Blobs:
    """Implements the port Blobs. `ttl`: seconds until a pre-signed URL expires."""

    def __init__(self, bucket: str, ttl: int) -> None:
        self._bucket = bucket
        self._ttl = ttl

    def put(self, key: str, data: bytes, media_type: str, notes: Mapping[str, str] = NO_NOTES) -> None:
        aws.client("s3", read_timeout=30).put_object(
            Bucket=self._bucket, Key=key, Body=data, ContentType=media_type, Metadata=dict(notes)
        )

    def get(self, key: str) -> bytes | None:
        found = self.get_noted(key)
        return found[0] if found else None

    def get_noted(self, key: str) -> tuple[bytes, Mapping[str, str]] | None:
        s3 = aws.client("s3", read_timeout=30)
        try:
            answer = s3.get_object(Bucket=self._bucket, Key=key)
        except s3.exceptions.NoSuchKey:
            return None
        with aws.reading():
            body: bytes = answer["Body"].read()
        return body, answer.get("Metadata", {})

    def delete(self, key: str) -> None:
        aws.client("s3", read_timeout=30).delete_object(Bucket=self._bucket, Key=key)

    def names(self, prefix: str) -> list[str]:
        answer = aws.client("s3", read_timeout=30).list_objects_v2(Bucket=self._bucket, Prefix=prefix)
        found = sorted(answer.get("Contents", ()), key=lambda entry: (entry["LastModified"], entry["Key"]))
        return [entry["Key"] for entry in found]

    def delete_all(self, prefix: str) -> None:
        s3 = aws.client("s3", read_timeout=30)
        while names := self.names(prefix):
            wanted = {"Objects": [{"Key": name} for name in names], "Quiet": True}
            if s3.delete_objects(Bucket=self._bucket, Delete=wanted).get("Errors"):
                raise Unavailable("some of the objects could not be deleted; try again in a moment", retry_after=5)

    def presign_post(self, key: str, media_type: str, size: int, seconds: int) -> tuple[str, dict[str, str]]:
        form = aws.client("s3", read_timeout=30).generate_presigned_post(
            self._bucket,
            key,
            Fields={"Content-Type": media_type},
            Conditions=[{"Content-Type": media_type}, ["content-length-range", size, size]],
            ExpiresIn=seconds,
        )
        return form["url"], form["fields"]

    def presign(self, key: str) -> str:
        url: str = aws.client("s3", read_timeout=30).generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=self._ttl
        )
        return url
