"""Captions: the emoji that ship, their splits, folders of one's own, the font and names that are fetched."""

import hashlib
import io
import json
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
import torch
from fontTools.fontBuilder import FontBuilder
from fontTools.ttLib.tables import C_B_D_T_, C_B_L_C_, E_B_L_C_, BitmapGlyphMetrics
from fontTools.ttLib.tables._g_l_y_f import Glyph
from PIL import Image
from tests.tasks.caption.made_pictures import folder

from chalkgrad.tasks.caption import TaskError, load
from chalkgrad.tasks.caption.emoji import HELD_OUT, SHIPPED, Emoji, fetched, shipped
from chalkgrad.tasks.caption.shipping import chosen, files


@pytest.fixture(scope="module")
def emoji() -> list[Emoji]:
    return shipped()


def test_what_ships_is_what_its_manifest_says() -> None:
    manifest = json.loads((SHIPPED / "manifest.json").read_text(encoding="utf-8"))
    here = {path.name for path in SHIPPED.iterdir()} - {"manifest.json"}
    assert here == set(manifest["files"])
    for name, expected in manifest["files"].items():
        assert hashlib.sha256((SHIPPED / name).read_bytes()).hexdigest() == expected
    assert "OFL-1.1" in manifest["pictures"]
    assert "Unicode-3.0" in manifest["names"]


def test_every_emoji_has_a_picture_and_two_names(emoji: list[Emoji]) -> None:
    assert len({e.characters for e in emoji}) == len(emoji) == 1440
    for each in emoji:
        assert each.picture.size == (32, 32)
        assert each.picture.convert("L").getextrema()[0] < 250, f"{each.names} is white"
        assert set(each.names) == {"en", "ko"}
        assert all(name and unicodedata.is_normalized("NFC", name) for name in each.names.values())
    by_name = {e.names["en"]: e.names["ko"] for e in emoji}
    assert by_name["woman teacher: medium skin tone"] == "여교사: 갈색 피부"


def test_the_held_out_combinations_are_in_no_training_caption_but_their_words_are(emoji: list[Emoji]) -> None:
    names = [e.names["en"] for e in emoji if e.part == "training"]
    for one, other in HELD_OUT:
        assert sum(bool(one.search(name)) for name in names) > 50
        assert sum(bool(other.search(name)) for name in names) > 50
        assert not any(one.search(name) and other.search(name) for name in names)


def test_a_base_is_trained_on_or_held_out_with_all_its_variants(emoji: list[Emoji]) -> None:
    held_out = {e.base for e in emoji if e.part == "bases"}
    assert held_out
    assert not held_out & {e.base for e in emoji if e.part != "bases"}
    assert Emoji("👩🏽‍🚀", {}, None).base == Emoji("👨🏿‍🚀", {}, None).base == Emoji("🧑‍🚀", {}, None).base
    assert Emoji("🏃🏽‍♀️", {}, None).base == "🏃"


def test_the_parts_are_of_the_sizes_that_the_documentation_names(emoji: list[Emoji]) -> None:
    data = load("emoji", "ko")
    sizes = {"training": len(data.training), **{name: len(part) for name, part in data.tests.items()}}
    assert sizes == Counter(e.part for e in emoji)
    assert sizes == {"training": 1117, "pictures": 60, "combinations": 69, "bases": 194}
    assert data.shape == (3, 32, 32)
    assert data.digest != load("emoji", "en").digest


def test_the_maker_gives_what_ships(emoji: list[Emoji]) -> None:
    assert files(emoji)["names.tsv"] == (SHIPPED / "names.tsv").read_bytes()
    with (
        Image.open(io.BytesIO(files(emoji)["pictures.png"])) as made,
        Image.open(SHIPPED / "pictures.png") as there,
    ):
        assert made.tobytes() == there.tobytes()


def test_the_maker_takes_whole_families_and_fills_up_with_others(emoji: list[Emoji]) -> None:
    few = chosen(emoji, count=700)
    assert len(few) == 700
    kept = {e.characters for e in few}
    families = Counter(e.base for e in emoji)
    for base in {e.base for e in few if "skin tone" in e.names["en"]}:
        assert sum(e.characters in kept for e in emoji if e.base == base) == families[base]
    assert [e.characters for e in few] == sorted(kept)


def small_font(path: Path) -> None:
    """A font with three pictures: of a character, of a sequence, and of what a keycap is put on."""
    names = [".notdef", "cat", "black", "blackcat", "five"]
    made = FontBuilder(109)
    made.setupGlyphOrder(names)
    made.setupCharacterMap({0x1F408: "cat", 0x2B1B: "black", ord("5"): "five"})
    made.setupGlyf(dict.fromkeys(names, Glyph()))
    made.setupHorizontalMetrics(dict.fromkeys(names, (109, 0)))
    made.setupHorizontalHeader()
    made.setupNameTable({"familyName": "Tiny", "styleName": "Regular"})
    made.setupOS2()
    made.setupPost()
    made.addOpenTypeFeatures("feature ccmp { sub cat black by blackcat; } ccmp;")
    pictures, places = C_B_D_T_.table_C_B_D_T_(), C_B_L_C_.table_C_B_L_C_()
    pictures.version = places.version = 3.0
    strike = E_B_L_C_.Strike()
    size = strike.bitmapSizeTable
    size.hori, size.vert = E_B_L_C_.SbitLineMetrics(), E_B_L_C_.SbitLineMetrics()
    for line in (size.hori, size.vert):
        for field in (
            "ascender",
            "descender",
            "widthMax",
            "caretSlopeNumerator",
            "caretSlopeDenominator",
            "caretOffset",
            "minOriginSB",
            "minAdvanceSB",
            "maxBeforeBL",
            "minAfterBL",
            "pad1",
            "pad2",
        ):
            setattr(line, field, 0)
    size.colorRef, size.startGlyphIndex, size.endGlyphIndex = 0, 1, 4
    size.ppemX = size.ppemY = 109
    size.bitDepth, size.flags = 32, 1
    index = E_B_L_C_.eblc_sub_table_classes[1](None, None)
    index.names, index.imageFormat, index.indexFormat = ["cat", "blackcat", "five"], 17, 1
    strike.indexSubTables = [index]
    places.strikes = [strike]
    glyphs = {}
    for name, colour in (("cat", "orange"), ("blackcat", "black"), ("five", "blue")):
        png = io.BytesIO()
        Image.new("RGBA", (6, 4), colour).save(png, "PNG")
        glyph = C_B_D_T_.cbdt_bitmap_format_17(None, None)
        glyph.metrics = BitmapGlyphMetrics.SmallGlyphMetrics()
        for field in ("height", "width", "BearingX", "BearingY", "Advance"):
            setattr(glyph.metrics, field, 4)
        glyph.imageData = png.getvalue()
        glyphs[name] = glyph
    pictures.strikeData = [glyphs]
    made.font["CBDT"], made.font["CBLC"] = pictures, places
    made.save(path)


def test_fetched_emoji_are_read_from_the_font_and_the_names(tmp_path: Path) -> None:
    small_font(tmp_path / "NotoColorEmoji.ttf")
    (tmp_path / "names").mkdir()
    for language, cat, black in (("en", "cat", "black cat"), ("ko", "고양이", "검은 고양이")):
        decomposed = unicodedata.normalize("NFD", cat)
        plain = {"annotations": {"annotations": {"🐈": {"tts": [decomposed]}, "5": {"tts": ["5"]}}}}
        derived = {"annotationsDerived": {"annotations": {"🐈\ufe0f⬛": {"tts": [black]}}}}
        (tmp_path / "names" / f"{language}.json").write_text(json.dumps(plain))
        (tmp_path / "names" / f"{language}-derived.json").write_text(json.dumps(derived))
    found = {e.characters: e for e in fetched(tmp_path, 12)}
    assert set(found) == {"🐈", "🐈⬛"}
    assert found["🐈⬛"].names == {"en": "black cat", "ko": "검은 고양이"}
    assert found["🐈"].names["ko"] == "고양이"
    picture = found["🐈⬛"].picture
    assert picture.size == (12, 12)
    assert max(picture.getpixel((6, 6))) < 40
    assert picture.getpixel((6, 0)) == (255, 255, 255)
    (tmp_path / "NotoColorEmoji.ttf").write_bytes(b"no font")
    with pytest.raises(TaskError, match="is not the font that was fetched"):
        fetched(tmp_path)
    (tmp_path / "names" / "ko.json").write_text("{}")
    with pytest.raises(TaskError, match=r"ko\.json does not hold CLDR's names"):
        fetched(tmp_path)


def test_a_folder_is_read_with_several_captions_for_a_picture(tmp_path: Path) -> None:
    path = folder(tmp_path / "photos")
    with (path / "captions.tsv").open("a", encoding="utf-8") as file:
        file.write("0.png\ta red thing\n")
    data = load(str(path))
    everything = [*data.training.captions, *(c for part in data.tests.values() for c in part.captions)]
    assert ("red square: left", "a red thing") in everything
    assert len(everything) == 12
    assert data.shape == (3, 8, 8)
    assert load(str(path), pixels=6).shape == (3, 6, 6)
    assert load(str(path)).digest == data.digest


def test_a_third_field_names_the_part(tmp_path: Path) -> None:
    path = folder(tmp_path / "photos")
    lines = (path / "captions.tsv").read_text().splitlines()
    (path / "captions.tsv").write_text(
        "\n".join(f"{line}\tnight" * (k > 9) or line for k, line in enumerate(lines))
    )
    data = load(str(path))
    assert {name: len(part) for name, part in data.tests.items()} == {"night": 3}
    assert len(data.training) == 9


def test_bad_lines_and_damaged_pictures_are_counted_said_and_left_out(tmp_path: Path) -> None:
    path = folder(tmp_path / "photos")
    (path / "3.png").write_bytes((path / "3.png").read_bytes()[:60])
    with (path / "captions.tsv").open("ab") as file:
        file.write(b"no tab\nnone.png\tnothing\n\n" + b"1.png\t\xff\xfe\n")
    data = load(str(path))
    assert len(data.training) + sum(map(len, data.tests.values())) == 11
    [note] = data.notes
    assert note.startswith("4 lines and files are left out: captions.tsv, line 14: a file, a tab")
    assert "and 1 others" in note
    assert torch.equal(data.training.pictures, load(str(path)).training.pictures)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("emojis",), r"no data 'emojis': emoji, emoji-all, or a folder of pictures with a captions\.tsv"),
        (("emoji", "fr"), "the names of emoji are in en, ko, not in 'fr'"),
        (("emoji", "en", 64), "emoji-all come in any size"),
        (("emoji-all",), "run `chalkgrad data fetch emoji`"),
        ((".",), r"\. has no captions\.tsv: a line for each caption"),
    ],
)
def test_what_is_no_data_is_said(
    words: tuple[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(TaskError, match=says):
        load(*words)


def test_a_table_without_pictures_says_what_was_wrong(tmp_path: Path) -> None:
    (tmp_path / "captions.tsv").write_text("none.png\tnothing\n")
    with pytest.raises(TaskError, match=r"no pictures to train on \(of 1 lines and files .*there is no file"):
        load(str(tmp_path))
