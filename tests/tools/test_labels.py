"""Labels as a scanner sees them."""

import io

import pypdfium2
import pytest
import zxingcpp
from PIL import Image

from tagsmith.identity import parse_id, readable_id
from tagsmith.label import SHEETS, Label, pdf, png, unprintable


def scanned(image: Image.Image) -> list[int]:
    return [parse_id(code.text) for code in zxingcpp.read_barcodes(image)]


@pytest.mark.parametrize("tag_id", [0, 1, 305419896, 0xFFFFFFFF])
def test_png_is_read_by_a_scanner(tag_id: int) -> None:
    image = Image.open(io.BytesIO(png(Label(tag_id, "Behälter 7, a long name that must shrink"))))
    assert scanned(image.convert("L")) == [tag_id]
    assert image.size == (591, 295)  # 50 mm by 25 mm at 300 dots per inch


def test_png_has_every_letter_that_is_not_told_to_be_missing() -> None:
    letters = bytes(range(33, 256)).decode("cp1252", errors="ignore")
    printable = "".join(letter for letter in letters if letter.isprintable())
    assert len(printable) > 200
    assert unprintable(printable) == ""
    box = png(Label(1, "\uffff"))
    assert [letter for letter in printable if png(Label(1, letter)) == box] == []


@pytest.mark.parametrize("name", SHEETS)
def test_sheets_hold_every_label_once(name: str) -> None:
    sheet = SHEETS[name]
    places = sheet.columns * sheet.rows
    labels = [Label(tag_id, f"box {tag_id}") for tag_id in range(1000, 1002 + places)]
    document = pypdfium2.PdfDocument(pdf(labels, sheet, skip=1 if places > 1 else 0))
    pages = list(document)
    assert len(pages) == (2 if places > 1 else 3)
    found = [tag_id for page in pages for tag_id in scanned(page.render(scale=4).to_pil())]
    assert sorted(found) == [label.tag_id for label in labels]
    text = "".join(page.get_textpage().get_text_bounded() for page in pages)
    for label in labels:
        assert readable_id(label.tag_id) in text
        assert label.reference in text


def test_labels_stay_on_the_page() -> None:
    for sheet in SHEETS.values():
        for axis, count in ((0, sheet.columns), (1, sheet.rows)):
            end_mm = sheet.margin_mm[axis] + count * sheet.label_mm[axis] + (count - 1) * sheet.gap_mm[axis]
            assert end_mm + sheet.margin_mm[axis] == pytest.approx(sheet.page_mm[axis], abs=0.5)


def test_same_labels_give_the_same_file() -> None:
    assert pdf([Label(1, "x")], SHEETS["a4-24"]) == pdf([Label(1, "x")], SHEETS["a4-24"])
