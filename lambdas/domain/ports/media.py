"""The ports to stored objects and to the pixels of pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from lambdas.domain.backgrounds import Box, Canvas, Composed, Staged
from lambdas.domain.catalogue.model_card import Size
from lambdas.domain.delivery import Recipe

NO_NOTES: Final[Mapping[str, str]] = MappingProxyType({})


class Blobs(Protocol):
    """The private bucket."""

    def put(self, key: str, data: bytes, media_type: str, notes: Mapping[str, str] = NO_NOTES) -> None:
        """Store the object; `notes` are a few short ASCII words that stand with it."""

    def get(self, key: str) -> bytes | None:
        """The object's bytes, or `None` where there is none."""

    def get_noted(self, key: str) -> tuple[bytes, Mapping[str, str]] | None:
        """The object's bytes and its notes, or `None` where there is none."""

    def delete(self, key: str) -> None: ...

    def names(self, prefix: str) -> list[str]:
        """The keys that begin so, a thousand at the most, the oldest object's first."""

    def delete_all(self, prefix: str) -> None:
        """Delete every object whose key begins so."""

    def presign_post(self, key: str, media_type: str, size: int, seconds: int) -> tuple[str, dict[str, str]]:
        """The address and the fields of a form that stores an object of just this key, type and size (bytes)."""

    def presign(self, key: str) -> str:
        """A URL that downloads the object with no key, for the configured time."""


class Pictures(Protocol):
    """Bytes that claim to be a picture, made into one that surely is."""

    def fit(self, data: bytes, size: Size, fmt: str, quality: int | None = None) -> tuple[bytes, Size]:
        """Check, scale to cover `size`, crop to it and encode as `fmt`; also tells the size that came.

        Raises ProviderFailure(bad_answer) for what is not a whole PNG, JPEG or WebP within the pixel cap.
        Bytes that already fit are passed through untouched, unless a `quality` (0 to 100, of jpeg and webp) is asked
        for.
        """

    def pixels(self, data: bytes) -> int:
        """How many pixels a client's picture has, by its structure: nothing is decoded. Raises as `take`."""

    def take(self, data: bytes, warn: Callable[[str], object] = str, *, exact: bool = False) -> tuple[bytes, str]:
        """A client's picture, without its metadata, upright and in sRGB, and its media type.

        `warn` is told what the client should know of it. `exact`: a JPEG that lies on its side stays so, with the note
        that says it, since to turn it is to encode it anew, which would change its pixels.
        Raises MalformedBody, UnsupportedMediaType or TooLarge.
        """

    def size(self, data: bytes) -> Size:
        """The size of a taken picture."""

    def at_least(self, data: bytes, side: int) -> bytes:
        """A taken picture as it is, or enlarged in proportion, as a PNG, so that no side has fewer pixels than `side`.

        Raises TooLarge for one so narrow that it would become far too long.
        """

    def vary(self, data: bytes, recipe: Recipe) -> bytes:
        """A variant of a stored image. Raises InvalidRequest for a watermark that has no room on it."""

    def unwritable(self, text: str) -> str:
        """The text's first character that a watermark cannot have; empty where it can be written."""


class Compositor(Protocol):
    """What is done to the pixels of products. `photo` is a picture that Pictures.take gave.

    `cutout` is the answer of a service that removes backgrounds; without one, the photo's alpha channel counts, and
    without that the colour of its border.
    """

    def product(self, photo: bytes) -> tuple[Size, Box | None]:
        """The photo's size, and where its alpha channel shows a product; `None` where it has none that says anything.

        Raises Unplaceable where the channel leaves nothing.
        """

    def cuttable(self, photo: bytes) -> bytes:
        """The photo as a service that removes backgrounds takes it."""

    def check_cutout(self, photo: bytes, cutout: bytes) -> None:
        """Raises ProviderFailure(bad_answer) where it is no cut-out of that photo, Unplaceable where it is empty."""

    def mask(self, mask: bytes, photo: bytes) -> bytes:
        """A PNG of the photo's size that is white where the picture `mask` is transparent. Raises Unplaceable."""

    def stage_edit(self, photo: bytes, mask: bytes) -> Staged:
        """What a model is shown that paints anew what the mask has white."""

    def compose_edit(self, painted: bytes, photo: bytes, mask: bytes) -> bytes:
        """A PNG of the photo with what was painted in place of what the mask has white. Raises ProviderFailure."""

    def stage(self, photo: bytes, cutout: bytes | None, canvas: Canvas) -> Staged:
        """Raises Unplaceable."""

    def compose(self, scene: bytes, photo: bytes, cutout: bytes | None, canvas: Canvas, fmt: str) -> Composed:
        """The product on a scene that was painted around it. Raises ProviderFailure and Unplaceable."""

    def accept(
        self, image: bytes, mask: bytes, photo: bytes, canvas: Canvas, fmt: str, at: tuple[int, int] | None = None
    ) -> tuple[bytes, bytes, Size]:
        """What a provider has composed itself, image and mask, checked and in its format. Raises ProviderFailure.

        `at` is where it says that the photo's corner is on the image. It is believed only where the pixels agree.
        """
