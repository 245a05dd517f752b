"""Images over the three routes of files: caching, transforms, and the bugs of other transform services."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, ImageStat

from lambdas.adapters.images import lettering
from lambdas.domain.delivery import MAX_VARIANTS
from tests.api.client import Client
from tests.pictures import profiles
from tests.support.deliveries import Shelf, ramp, saved
from tests.support.properties import examples

CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
P3 = profiles.rgb(profiles.P3, None)
SAFARI_13 = "image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5"


def colour(picture: Image.Image, x: int, y: int) -> tuple[int, ...]:
    found = picture.getpixel((x, y))
    assert isinstance(found, tuple)
    return found


def distance(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of a sample, of 255."""
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    return Shelf()


# Caching and safety, of all three routes


@pytest.mark.parametrize("start", ["/download/", "/files/", "/storage/images/default/demo/"])
def test_6_2_a_file_has_a_strong_etag_and_is_answered_304_before_the_bucket_is_asked(start: str) -> None:
    shelf = Shelf()
    path = start + shelf.path.rpartition("/")[2]
    first = shelf.ask("GET", path)
    tag = first.headers["ETag"]
    assert (first.status, tag) == (200, f'"{shelf.image["id"]}"')
    shelf.deps.blobs.objects.clear()
    for sent in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = shelf.ask("GET", path, headers={"If-None-Match": sent})
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
        assert "Content-Type" not in again.headers
    assert shelf.ask("GET", path, headers={"If-None-Match": '"other"'}).status == 404
    shelf.record(bytes=5_000_000)  # one that would be a redirection is known as well
    assert shelf.ask("GET", path, headers={"If-None-Match": tag}).status == 304


@pytest.mark.parametrize("start", ["/download/", "/files/", "/storage/images/default/demo/"])
def test_6_2_a_file_cannot_act_in_a_browser_and_has_its_name(shelf: Shelf, start: str) -> None:
    name = shelf.path.rpartition("/")[2]
    headers = shelf.ask("GET", start + name).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert headers["Content-Disposition"] == f'inline; filename="{name}"'
    assert headers["Cache-Control"] == "private, max-age=86400"
    assert "ETag" in headers["Access-Control-Expose-Headers"]


def test_6_2_a_variant_has_an_etag_of_its_own_and_is_known_without_an_object(shelf: Shelf) -> None:
    first = shelf.get("w=100")
    assert first.headers["ETag"] not in (shelf.get().headers["ETag"], shelf.get("w=101").headers["ETag"])
    assert first.headers["Content-Disposition"] == f'inline; filename="{shelf.image["id"]}.png"'
    assert shelf.get("w=100&format=webp").headers["Content-Disposition"].endswith('.webp"')
    before = len(shelf.decoded)
    again = shelf.get("w=100", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body, len(shelf.decoded)) == (304, b"", before)


def test_6_2_head_answers_as_get(shelf: Shelf) -> None:
    got, head = shelf.get("w=64"), shelf.ask("HEAD", f"{shelf.path}?w=64")
    assert (head.status, head.headers) == (got.status, got.headers)


# Parameters


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("w=0", "w"),
        ("w=-5", "w"),
        ("w=abc", "w"),
        ("w=1e9", "w"),
        ("w=1e2", "w"),
        ("w=1_0", "w"),
        ("w=%2B5", "w"),
        ("w=%205", "w"),
        ("w=12.5", "w"),
        ("w=nan", "w"),
        ("w=2049", "w"),
        ("w=99999999999999999999", "w"),
        ("w=%D9%A1%D9%A2", "w"),
        ("h=2049", "h"),
        ("w=10&w=20", "w"),
        ("w=10&W=20", "W"),
        ("width=10", "width"),
        ("w[]=10", "w[]"),
        ("w=10&fit=crop", "fit"),
        ("fit=cover", "fit"),
        ("format=gif", "format"),
        ("format=JPEG", "format"),
        ("format=svg", "format"),
        ("quality=50", "quality"),
        ("format=png&quality=50", "quality"),
        ("format=webp&quality=0", "quality"),
        ("format=webp&quality=101", "quality"),
        ("blur=-1", "blur"),
        ("blur=100.1", "blur"),
        ("blur=nan", "blur"),
        ("blur=inf", "blur"),
        ("blur=1e1", "blur"),
        ("grayscale=yes", "grayscale"),
        ("grayscale=True", "grayscale"),
        ("grayscale=1", "grayscale"),
        ("watermark=" + "a" * 65, "watermark"),
        ("watermark=" + "a" * 6000, "watermark"),
        ("watermark=%20%20", "watermark"),
        ("watermark=a%0Ab", "watermark"),
        ("watermark=a%00", "watermark"),
        ("watermark=%E2%80%AEevil", "watermark"),
        ("watermark=%E2%80%8B", "watermark"),
        ("watermark=%E4%BD%A0%E5%A5%BD", "watermark"),
        ("watermark=%D7%A9%D7%9C%D7%95%D7%9D", "watermark"),
        ("watermark=%D8%B3%D9%84%D8%A7%D9%85", "watermark"),
        ("watermark=x%CC%A3%CC%84", "watermark"),
        ("rotate=90", "rotate"),
        ("__proto__=1", "__proto__"),
    ],
)
def test_12_5_a_wrong_parameter_is_400_and_named(shelf: Shelf, query: str, field: str) -> None:
    answer = shelf.get(query)
    body = answer.json()
    assert (answer.status, body["code"]) == (400, "invalid_request")
    assert field in {error["field"] for error in body["errors"]}, body
    assert len(answer.body) < 4000
    assert "Traceback" not in answer.body.decode()


@pytest.mark.parametrize("start", ["/download/", "/files/"])
@pytest.mark.parametrize("query", ["w=10", "t=1", "sig=1", "w=1&w=2"])
def test_6_2_the_other_two_routes_give_the_file_whatever_the_query(shelf: Shelf, start: str, query: str) -> None:
    answer = shelf.ask("GET", f"{start}{shelf.path.rpartition('/')[2]}?{query}")
    assert (answer.status, answer.body) == (200, shelf.data)


def test_12_5_an_empty_parameter_is_as_none(shelf: Shelf) -> None:
    assert shelf.get("w=&h=&fit=&format=&watermark=").body == shelf.data


def test_12_5_many_parameters_at_once_are_an_answer_of_bounded_size(shelf: Shelf) -> None:
    answer = shelf.get("&".join(f"p{n}=1" for n in range(3000)))
    assert (answer.status, len(answer.body) < 8000) == (400, True)


# Sizes

SIDES = st.one_of(st.integers(1, 40), st.integers(1, 2048))


def same_proportion(size: tuple[int, int], source: tuple[int, int]) -> bool:
    """As near as whole pixels can be: each side is that of the other, rounded."""
    (width, height), (w, h) = size, source
    return abs(width * h - height * w) <= max(w, h) or 1 in size


@given(side=st.integers(1, 300), other=st.integers(1, 300), fit=st.sampled_from(["", "cover", "contain", "fill"]))
@examples(40)
def test_12_5_sizes(shelf: Shelf, side: int, other: int, fit: str) -> None:
    made = shelf.picture(f"w={side}&h={other}&fit={fit}").size
    if fit != "contain":
        assert made == (side, other)
        return
    assert made[0] <= side
    assert made[1] <= other
    assert made[0] == side or made[1] == other
    assert same_proportion(made, (512, 384))


@given(side=st.integers(1, 400), name=st.sampled_from("wh"))
@examples(30)
def test_12_5_one_side_alone_keeps_the_proportion(shelf: Shelf, side: int, name: str) -> None:
    made = shelf.picture(f"{name}={side}").size
    assert made["wh".index(name)] == side
    assert same_proportion(made, (512, 384))


def test_12_5_a_side_that_follows_may_not_be_too_long() -> None:
    shelf = Shelf(saved(ramp((64, 512))))
    answer = shelf.get("w=300")
    assert (answer.status, answer.json()["errors"][0]["field"]) == (400, "w")
    assert "2400" in answer.json()["detail"]
    assert shelf.picture("w=256").size == (256, 2048)
    assert shelf.picture("h=2048").size == (256, 2048)


def test_12_5_cover_cuts_from_the_middle_and_fill_distorts() -> None:
    strips = Image.new("RGB", (300, 100), "red")
    strips.paste("lime", (100, 0, 200, 100))
    shelf = Shelf(saved(strips.resize((384, 128), 0)))
    cover, fill = shelf.picture("w=64&h=64"), shelf.picture("w=64&h=64&fit=fill")
    assert min(colour(cover, x, 32)[1] for x in range(2, 62)) > 250
    assert [colour(fill, x, 32) for x in (5, 32, 58)] == [(255, 0, 0), (0, 255, 0), (255, 0, 0)]
    contain = shelf.picture("w=64&h=64&fit=contain")
    assert (contain.size, colour(contain, 3, 10)) == ((64, 21), (255, 0, 0))  # no bars


# Formats


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "avif"])
def test_12_5_each_format_shows_the_same_picture(shelf: Shelf, kind: str) -> None:
    made = shelf.picture(f"format={kind}&w=256")
    assert made.format == kind.upper()
    assert distance(made, ramp().resize((256, 192), Image.Resampling.LANCZOS)) < 2.5


def test_12_5_quality_makes_files_smaller(shelf: Shelf) -> None:
    for kind in ("jpeg", "webp", "avif"):
        sizes = [len(shelf.get(f"format={kind}&quality={quality}").body) for quality in (10, 60, 95)]
        assert sizes == sorted(sizes)
        assert sizes[0] < sizes[2]


def test_12_5_nothing_to_do_gives_the_originals_bytes(shelf: Shelf) -> None:
    for query in (
        "format=png",
        "w=512",
        "w=512&h=384",
        "h=384&fit=contain",
        "blur=0",
        "grayscale=false",
        "format=auto",
    ):
        answer = shelf.get(query)
        assert (answer.body, answer.headers["ETag"]) == (shelf.data, shelf.get().headers["ETag"]), query


def test_12_5_grayscale_then_blur_in_pixels_of_the_result(shelf: Shelf) -> None:
    grey = shelf.picture("w=128&grayscale=true")
    assert grey.convert("RGB").getpixel((60, 60)) == (colour(grey.convert("RGB"), 60, 60)[0],) * 3
    dot = Image.new("RGB", (512, 512))
    dot.paste("white", (224, 224, 288, 288))
    blurred = Shelf(saved(dot)).picture("w=64&blur=4").convert("L")
    reach = [x for x in range(64) if blurred.getpixel((x, 32)) not in (0, None)]
    assert 8 + 2 * 4 < len(reach) < 8 + 8 * 4  # of the result's pixels, not of the original's


def test_12_5_alpha_is_kept_where_the_format_can_and_white_on_jpeg() -> None:
    shelf = Shelf(saved(ramp((256, 128), "RGBA")))
    for kind in ("png", "webp", "avif"):
        made = shelf.picture(f"format={kind}&w=128")
        assert made.mode == "RGBA"
        assert colour(made, 10, 30)[3] == 0
        assert colour(made, 120, 30)[3] == 255
    flat = shelf.picture("format=jpeg&w=128")
    assert flat.mode == "RGB"
    assert min(colour(flat, 10, 30)) > 250
    grey = shelf.picture("format=jpeg&grayscale=true")
    assert (grey.mode, grey.convert("L").getpixel((10, 30))) == ("L", 255)


def test_12_5_a_clear_colour_does_not_bleed_into_its_surroundings() -> None:
    """Neither by scaling nor by blur: black that is clear leaves no halo around red."""
    picture = Image.new("RGBA", (256, 256), (0, 0, 0, 0))
    picture.paste((255, 0, 0, 255), (64, 64, 192, 192))
    shelf = Shelf(saved(picture))
    for query in ("w=100", "w=100&blur=3"):
        made = shelf.picture(query)
        seen = [p for x in range(100) if (p := colour(made, x, 50))[3] > 40]
        assert min(p[0] for p in seen) > 240, query


def test_12_5_blur_and_watermark_with_alpha_and_grey() -> None:
    shelf = Shelf(saved(ramp((256, 128), "RGBA")))
    made = shelf.picture("grayscale=true&blur=2&watermark=Draft%20%C2%A9")
    assert made.size == (256, 128)
    assert colour(made.convert("RGBA"), 5, 5)[3] == 0


def test_12_5_a_watermark_stands_at_the_lower_right_on_any_ground() -> None:
    for ground in ("white", "black"):
        plain = Shelf(saved(Image.new("RGB", (512, 384), ground)))
        made = plain.picture("watermark=Sample%20%C2%A9%20%CE%A9%D0%96")
        box = ImageChops.difference(made.convert("RGB"), Image.new("RGB", made.size, ground)).getbbox()
        assert box is not None
        assert box[0] > 256
        assert box[1] > 300
        assert max(box[2] - 512, box[3] - 384) < -5


def test_12_5_a_watermark_is_not_blurred(shelf: Shelf) -> None:
    made = Shelf(saved(Image.new("RGB", (512, 384), "black"))).picture("blur=40&watermark=Sample")
    assert max(made.convert("L").getextrema()) > 150  # type: ignore[operator]


def test_12_5_a_long_watermark_is_written_smaller_and_refused_where_nobody_could_read_it(shelf: Shelf) -> None:
    assert shelf.picture("watermark=" + "W" * 40).size == (512, 384)
    answer = shelf.get("w=32&watermark=" + "W" * 40)
    assert (answer.status, answer.json()["errors"][0]["field"]) == (400, "watermark")


def test_the_font_is_the_one_that_its_licence_names() -> None:
    import hashlib

    licence = (Path(lettering.FONT).parent / "LICENSE.txt").read_text("utf-8")
    assert hashlib.sha256(lettering.FONT.read_bytes()).hexdigest() in licence
    assert "Bitstream Vera" in licence


def test_what_the_font_has_is_what_it_draws() -> None:
    """A character that passes is not drawn as the box of an unknown one."""
    font = lettering._font(20)
    box = bytes(font.getmask("\U0010fffe"))
    for character in "aZ09 ÄßŁžΩЖ€©™½→♥Ճა":
        assert lettering.unwritable(character) == ""
        assert bytes(font.getmask(character)) != box
    for character in "你あ한א\u0627\u0301\u202e\ue000\U0001f9ff\ud800":
        assert lettering.unwritable("ok" + character) == character


# What users of other services hit


def test_6_2_bug_1_a_result_beyond_the_gateways_limit_is_a_redirection_to_the_stored_variant() -> None:
    noise = Image.merge("RGB", [Image.effect_noise((512, 512), 100)] * 3)
    shelf = Shelf(saved(noise))
    answer = shelf.get("w=2048&format=png")
    [key] = shelf.variants
    assert len(shelf.deps.blobs.objects[key][0]) > 4_500_000
    assert (answer.status, answer.body) == (307, b"")
    assert answer.headers["Location"].startswith(f"https://bucket.example/{key}?")
    assert shelf.get("w=2048&format=png").status == 307
    assert len(shelf.decoded) == 1


def test_12_5_bug_2_auto_never_overrides_a_format_that_was_asked_for(shelf: Shelf) -> None:
    assert shelf.picture("format=jpeg&w=90", Accept=CHROME).format == "JPEG"
    assert shelf.picture("w=90", Accept=CHROME).format == "PNG"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (CHROME, "AVIF"),
        ("image/webp,*/*", "WEBP"),
        (SAFARI_13, "PNG"),
        ("", "PNG"),
        ("*/*", "PNG"),
        ("image/avif;q=0, IMAGE/WEBP;q=0.1", "WEBP"),
        ("image/avif;q=0.0,image/webp; q=0.000", "PNG"),
        ("image/avif" + "," * 5000, "AVIF"),
        (";;;,q=1,;q", "PNG"),
    ],
)
def test_12_5_auto_is_the_best_that_is_named(shelf: Shelf, accept: str, kind: str) -> None:
    assert shelf.picture("format=auto&w=80", Accept=accept).format == kind


@pytest.mark.parametrize("query", ["", "w=50", "format=webp", "format=auto", "format=auto&w=50&quality=50"])
@pytest.mark.parametrize("accept", [CHROME, SAFARI_13])
def test_12_5_bug_3_the_media_type_is_that_of_the_bytes(shelf: Shelf, query: str, accept: str) -> None:
    shelf.picture(query, Accept=accept)  # compares the two


def test_12_5_bug_4_browsers_with_different_headers_share_a_variant() -> None:
    shelf = Shelf()
    for accept in (CHROME, "image/avif", "text/html,image/avif;q=0.5", SAFARI_13, "*/*"):
        shelf.get("w=50&format=auto", Accept=accept)
        shelf.get("w=50&format=webp", Accept=accept)
    assert len(shelf.decoded) == 3  # avif and png of `auto`, and webp
    assert len(shelf.variants) == 3


def test_12_5_equal_wishes_in_other_words_are_one_variant() -> None:
    shelf = Shelf()
    same = ["w=256&h=192", "h=192&w=256", "w=256", "w=256&fit=contain&h=300", "w=256&blur=0.001", "w=0256", "w=256.0"]
    assert len({shelf.get(query).headers["ETag"] for query in same}) == 1
    assert len(shelf.variants) == 1


def test_12_5_bug_5_vary_says_accept_for_auto_alone(shelf: Shelf) -> None:
    assert shelf.get("format=auto").headers["Vary"] == "Accept"
    assert shelf.get("format=auto&w=50").headers["Vary"] == "Accept"
    for query in ("", "w=50", "format=webp"):
        assert "Vary" not in shelf.get(query, Accept=CHROME).headers
    known = shelf.get("format=auto", **{"If-None-Match": "*"})
    assert (known.status, known.headers["Vary"]) == (304, "Accept")


def test_12_5_vary_names_the_origin_too_where_only_some_may_read(shelf: Shelf) -> None:
    from lambdas.settings import Settings

    ask = Client(shelf.deps, Settings(cors_allow_origins=("https://a.example",)))
    answer = ask("GET", f"{shelf.path}?format=auto", headers={"Origin": "https://a.example"})
    assert answer.headers["Vary"] == "Accept, Origin"
    assert ask("GET", shelf.path, headers={"Origin": "https://a.example"}).headers["Vary"] == "Origin"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_12_5_bug_6_a_picture_that_lies_on_its_side_is_turned(orientation: int) -> None:
    upright = Image.new("RGB", (128, 64), "red")
    upright.paste("blue", (0, 0, 64, 32))
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    lying = upright if back is None else upright.transpose(Image.Transpose(back))
    exif = Image.Exif()
    exif[0x0112] = orientation
    shelf = Shelf(saved(upright, "jpeg", quality=95), "jpeg")
    shelf.put(saved(lying, "jpeg", quality=95, exif=exif))
    for width in (64, 16):  # the smaller one is decoded at a fraction
        made = shelf.picture(f"w={width}&format=png")
        assert made.size == (width, width // 2)
        assert colour(made, 2, 2)[2] > 200
        assert colour(made, width - 3, width // 2 - 3)[0] > 200
        assert not made.getexif()


def test_12_5_bug_7_colours_of_another_profile_are_converted() -> None:
    """Display P3's pure green lies outside of sRGB; without conversion it would be dull."""
    shelf = Shelf(saved(Image.new("RGB", (64, 64), (100, 150, 100))))
    shelf.put(saved(Image.new("RGB", (64, 64), (100, 150, 100)), icc_profile=P3))
    made = shelf.picture("w=32")
    source, srgb = ImageCms.ImageCmsProfile(io.BytesIO(P3)), ImageCms.createProfile("sRGB")
    wanted = ImageCms.profileToProfile(
        Image.new("RGB", (1, 1), (100, 150, 100)), source, srgb, ImageCms.Intent.RELATIVE_COLORIMETRIC
    )
    assert wanted is not None
    assert max(abs(a - b) for a, b in zip(colour(made, 9, 9), colour(wanted, 0, 0), strict=True)) <= 1
    assert colour(made, 9, 9) != (100, 150, 100)
    assert "icc_profile" not in made.info


def test_6_2_bug_8_nobody_may_keep_a_redirection() -> None:
    shelf = Shelf()
    shelf.record(bytes=4_500_001)
    answer = shelf.get()
    assert (answer.status, answer.headers["Cache-Control"]) == (307, "no-store")
    assert "/storage/" not in answer.headers["Location"]  # not to this service again


def test_12_5_bug_9_what_one_image_can_cost_is_bounded() -> None:
    shelf = Shelf(saved(ramp((64, 64))))
    for side in range(1, MAX_VARIANTS + 6):
        assert shelf.get(f"w={side}&h=1").status == 200
    assert len(shelf.variants) == MAX_VARIANTS
    newest = shelf.get("w=69&h=1").headers["ETag"].rpartition(".")[2].strip('"')
    assert any(newest in key for key in shelf.variants)  # the oldest have made room
    assert shelf.get("w=2049&h=2049").status == 400


def test_12_5_a_computed_variant_counts_in_the_rate_and_a_stored_one_does_not() -> None:
    shelf = Shelf(per_minute=2)
    first = shelf.get("w=10")
    assert (first.headers["RateLimit-Limit"], first.headers["RateLimit-Remaining"]) == ("2", "1")
    for _ in range(5):
        assert "RateLimit-Limit" not in shelf.get("w=10").headers
        assert shelf.get().status == 200
    assert shelf.get("w=11").status == 200
    refused = shelf.get("w=12")
    assert (refused.status, refused.json()["code"], refused.headers["Retry-After"]) == (429, "rate_limited", "30")
    assert shelf.deps.meter.rate_hits == 1
    assert shelf.get("w=10").status == shelf.get("format=png").status == 200


def test_12_5_bug_10_of_an_animation_the_first_frame_is_delivered_and_the_others_cost_nothing() -> None:
    frames = [Image.new("RGB", (64, 64), name) for name in ("red", "lime", "blue")] * 20
    shelf = Shelf(saved(Image.new("RGB", (64, 64), "red"), "webp"), "webp")
    shelf.put(saved(frames[0], "webp", save_all=True, append_images=frames[1:], duration=50))
    made = shelf.picture("w=32&format=png")
    assert getattr(made, "n_frames", 1) == 1
    assert colour(made, 9, 9)[0] > 240


def test_12_5_bug_11_an_original_is_not_copied_among_the_variants(shelf: Shelf) -> None:
    shelf = Shelf()
    for query in ("", "format=png", "w=512&h=384", "format=auto"):
        shelf.get(query)
    assert (shelf.variants, shelf.decoded) == ([], [])


def test_12_5_a_variant_says_that_a_model_has_made_it_and_nothing_else(shelf: Shelf) -> None:
    """Bug 13: the mark of a generated picture was lost with the other metadata."""
    shelf = Shelf()
    for kind in ("png", "jpeg", "webp", "avif"):
        data = shelf.get(f"format={kind}&w=60").body
        assert data.count(b"digitalsourcetype/trainedAlgorithmicMedia") == 1, kind
    shelf.record(mask_key="images/acme/default/demo/mask.png")
    assert b"digitalsourcetype/compositeWithTrainedAlgorithmicMedia" in shelf.get("w=60&format=webp").body


# Stored variants


def test_12_5_a_stored_variant_costs_no_decoding_and_is_the_same() -> None:
    shelf = Shelf()
    first, again = shelf.get("w=100&format=webp"), shelf.get("format=webp&w=100")
    assert (first.body, len(shelf.decoded)) == (again.body, 1)
    [key] = shelf.variants
    digest = first.headers["ETag"].rpartition(".")[2].strip('"')
    assert key == f"variants/acme/{shelf.image['id']}/{digest}.webp"
    assert shelf.deps.blobs.objects[key][1] == "image/webp"


def test_6_2_and_6_4_the_variants_are_gone_with_their_image_at_once() -> None:
    shelf = Shelf()
    tag = shelf.get("w=100").headers["ETag"]
    shelf.get("w=200")
    shelf.delete()
    assert shelf.variants == []
    assert shelf.get("w=100").status == shelf.get("w=100", **{"If-None-Match": tag}).status == 404


def test_6_4_a_variant_that_is_made_while_its_image_is_deleted_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    put = shelf.deps.blobs.put

    def late(key: str, data: bytes, media_type: str) -> None:
        if not key.startswith("variants/"):
            return put(key, data, media_type)
        shelf.delete()
        return put(key, data, media_type)

    monkeypatch.setattr(shelf.deps.blobs, "put", late)
    assert shelf.get("w=100").status == 404
    assert shelf.variants == []


def test_12_5_an_original_that_is_lost_or_broken(shelf: Shelf) -> None:
    shelf = Shelf()
    shelf.put(b"\x89PNG\r\n\x1a\nbroken")
    answer = shelf.get("w=100")
    assert (answer.status, answer.json()["detail"]) == (500, "the stored image cannot be read")
    shelf.deps.blobs.objects.clear()
    assert shelf.get("w=100").status == 404


def test_1_3_another_tenants_image_has_no_variants(shelf: Shelf) -> None:
    other = Client(shelf.deps, identity={"tenant": "umbrella", "auth": "ok"})
    theirs, nobodys = other("GET", f"{shelf.path}?w=100"), other("GET", "/storage/images/default/demo/im_0.png?w=100")
    assert theirs.status == nobodys.status == 404
    assert theirs.json()["detail"] == nobodys.json()["detail"]


@pytest.mark.parametrize(("part", "other"), [("/default/", "/spring/"), ("/demo/", "/gemini/")])
def test_6_2_a_stable_link_names_the_images_own_project_and_provider(shelf: Shelf, part: str, other: str) -> None:
    assert shelf.ask("GET", shelf.path).status == 200
    assert shelf.ask("GET", shelf.path.replace(part, other)).status == 404


def test_12_5_a_jpeg_decoded_at_a_fraction_looks_the_same() -> None:
    source = ramp((1024, 768))
    source.paste(Image.radial_gradient("L").resize((300, 300)).convert("RGB"), (200, 200))
    data = saved(source, "jpeg", quality=95)
    shelf = Shelf(data, "jpeg")
    for query, size in (("w=128", (128, 96)), ("w=100&h=75&fit=fill", (100, 75)), ("w=64", (64, 48))):
        whole = Image.open(io.BytesIO(data)).resize(size, Image.Resampling.LANCZOS)
        assert distance(shelf.picture(f"{query}&format=png"), whole) < 1.5
