"""The tile codec, safe decoding and names."""

import io

import numpy as np
import pytest
from PIL import Image

from nanobana.protocol.errors import BadInput
from nanobana.protocol.geometry import Box
from nanobana.raster.codec import blob_name, decode_tile, encode_png, encode_tile, encode_webp
from nanobana.raster.decode import decode_image, decode_mask, decode_patch, probe


def noise(height: int, width: int, seed: int = 1) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)


def test_c2_a_tile_survives_the_codec_byte_for_byte_with_colour_under_zero_alpha() -> None:
    tile = noise(256, 256)
    tile[:100, :, 3] = 0
    data = encode_tile(tile)
    assert data is not None
    assert np.array_equal(decode_tile(data), tile)


def test_c1_a_transparent_tile_is_no_tile() -> None:
    assert encode_tile(np.zeros((256, 256, 4), np.uint8)) is None


def test_c2_a_blob_is_named_by_its_content() -> None:
    assert blob_name(b"a") == blob_name(b"a") != blob_name(b"b")
    assert len(blob_name(b"a")) == 32


def test_r10_an_image_bomb_is_refused_before_it_is_decoded() -> None:
    bomb = io.BytesIO()
    Image.new("1", (8192, 8192)).save(bomb, "PNG")
    with pytest.raises(BadInput) as refusal:
        decode_image(bomb.getvalue())
    assert refusal.value.code == "image_too_big"


@pytest.mark.parametrize("data", [b"", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"GIF89a\x01\x00\x01\x00"])
def test_r10_what_is_not_on_the_list_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput) as refusal:
        decode_image(data)
    assert refusal.value.code == "image_format"


def test_r10_a_truncated_jpeg_is_refused() -> None:
    out = io.BytesIO()
    Image.fromarray(noise(64, 64)[..., :3]).save(out, "JPEG")
    with pytest.raises(BadInput) as refusal:
        decode_image(out.getvalue()[:-200])
    assert refusal.value.code == "bad_image"


def test_a_photo_is_turned_upright() -> None:
    sideways = Image.new("RGB", (40, 20), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    sideways.save(out, "JPEG", exif=exif)
    assert decode_image(out.getvalue()).shape == (40, 20, 4)


def test_probe_tells_the_size_from_the_header_alone() -> None:
    data = encode_png(noise(30, 50))
    assert probe(data[:60]) == ("PNG", 50, 30)


def test_c11_a_patch_has_exactly_the_size_of_its_box() -> None:
    data = encode_webp(noise(8, 16))
    assert decode_patch(data, Box(5, 5, 21, 13)).shape == (8, 16, 4)
    with pytest.raises(BadInput) as refusal:
        decode_patch(data, Box(0, 0, 16, 16))
    assert refusal.value.code == "bad_patch"


def test_a_mask_is_gray_and_of_its_box() -> None:
    assert decode_mask(encode_png(np.full((4, 6), 255, np.uint8)), Box(0, 0, 6, 4)).min() == 255
    for wrong in (encode_png(noise(4, 6)), encode_png(np.zeros((4, 4), np.uint8))):
        with pytest.raises(BadInput) as refusal:
            decode_mask(wrong, Box(0, 0, 6, 4))
        assert refusal.value.code == "bad_mask"


def test_sixteen_bit_pictures_are_scaled_and_not_clipped() -> None:
    out = io.BytesIO()
    Image.fromarray(np.full((4, 4), 32768, np.uint16)).save(out, "PNG")
    assert decode_image(out.getvalue())[0, 0].tolist() == [128, 128, 128, 255]
