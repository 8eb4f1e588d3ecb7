"""Labels: a QR code with the tag's id, the id as people read it, and the customer's reference. Pure: bytes out.

The QR code holds `TAG:` and the eight characters of the id without hyphen, in QR's alphanumeric mode: with error
correction Q (a quarter may be dirt) it is the smallest code there is, 21 modules wide.
"""

import io
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from tagsmith.identity import readable_id

if TYPE_CHECKING:
    from PIL import ImageFont
    from reportlab.pdfgen.canvas import Canvas

QUIET_MODULES = 4  # ISO/IEC 18004 asks for a margin of four modules
MODULES = 21 + 2 * QUIET_MODULES
DPI = 300
POINTS_PER_INCH = 72
MM_PER_INCH = 25.4


class Label(NamedTuple):
    """What stands on one label. reference may be empty."""

    tag_id: int
    reference: str


class Sheet(NamedTuple):
    """Self-adhesive labels on a page, in millimetres from its upper left corner; gaps are between two labels."""

    page_mm: tuple[float, float]
    columns: int
    rows: int
    label_mm: tuple[float, float]
    margin_mm: tuple[float, float]
    gap_mm: tuple[float, float]


A4_MM = (210.0, 297.0)
SHEETS = {
    "a4-24": Sheet(A4_MM, 3, 8, (70.0, 37.0), (0.0, 0.5), (0.0, 0.0)),  # Avery Zweckform 3474 and its many copies
    "a4-65": Sheet(A4_MM, 5, 13, (38.1, 21.2), (4.75, 10.7), (2.5, 0.0)),  # Avery L7651
    "single": Sheet((50.0, 25.0), 1, 1, (50.0, 25.0), (0.0, 0.0), (0.0, 0.0)),  # a label printer's roll
}


def qr_text(tag_id: int) -> str:
    """What the label's QR code says; `identity.parse_id` reads it."""
    return "TAG:" + readable_id(tag_id).replace("-", "")


def unprintable(reference: str) -> str:
    """Those characters of a reference that the labels' letters do not have; they would come out as boxes."""
    return "".join(dict.fromkeys(letter for letter in reference if not _has_letter(letter)))


def _has_letter(letter: str) -> bool:
    try:
        letter.encode("cp1252")  # WinAnsi: what a PDF's Helvetica has
    except UnicodeEncodeError:
        return False
    return True


def _modules(tag_id: int) -> list[list[bool]]:
    import segno

    code = segno.make(qr_text(tag_id), error="q", micro=False, boost_error=False)
    return [[bool(module) for module in row] for row in code.matrix_iter(border=QUIET_MODULES)]


def _texts(label: Label) -> tuple[str, str, str]:
    return readable_id(label.tag_id), f"tag {label.tag_id}", label.reference


def png(label: Label, size_mm: tuple[float, float] = (50.0, 25.0)) -> bytes:
    """One label as a PNG of 300 dots per inch."""
    from PIL import Image, ImageDraw  # what makes pictures is loaded where some are made

    width, height = (round(side_mm / MM_PER_INCH * DPI) for side_mm in size_mm)
    image = Image.new("1", (width, height), 1)
    draw = ImageDraw.Draw(image)
    module = height // MODULES
    offset = (height - module * MODULES) // 2
    for y, row in enumerate(_modules(label.tag_id)):
        for x, dark in enumerate(row):
            if dark:
                left, top = offset + x * module, offset + y * module
                draw.rectangle((left, top, left + module - 1, top + module - 1), fill=0)
    left = height + module
    room = width - left - QUIET_MODULES * module
    for text, middle, size in zip(_texts(label), (0.3, 0.58, 0.8), (0.22, 0.15, 0.15), strict=True):
        font = _fitting_font(text, round(size * height), room)
        draw.text((left, round(middle * height)), text, font=font, fill=0, anchor="lm")
    out = io.BytesIO()
    image.save(out, "PNG", dpi=(DPI, DPI))
    return out.getvalue()


def _fitting_font(text: str, size: int, room: int) -> "ImageFont.FreeTypeFont":
    """Bitstream Vera, which reportlab brings: it has all of WinAnsi's letters, and Pillow's own font only ASCII's."""
    from PIL import ImageFont

    path = str(resources.files("reportlab") / "fonts" / "Vera.ttf")
    font = ImageFont.truetype(path, size)
    width = font.getlength(text)
    return font if width <= room else ImageFont.truetype(path, max(int(size * room / width), 6))


def pdf(labels: Sequence[Label], sheet: Sheet, skip: int = 0) -> bytes:
    """Sheets of labels, row by row. skip: places at the start of the first sheet that are used up already."""
    from reportlab.lib.units import mm
    from reportlab.pdfgen.canvas import Canvas

    out = io.BytesIO()
    page_points = (sheet.page_mm[0] * mm, sheet.page_mm[1] * mm)
    canvas = Canvas(out, pagesize=page_points, invariant=True)
    canvas.setTitle("Tag labels")
    places = sheet.columns * sheet.rows
    for number, label in enumerate(labels, skip):
        if number > skip and number % places == 0:
            canvas.showPage()
        row, column = divmod(number % places, sheet.columns)
        left_mm = sheet.margin_mm[0] + column * (sheet.label_mm[0] + sheet.gap_mm[0])
        top_mm = sheet.margin_mm[1] + row * (sheet.label_mm[1] + sheet.gap_mm[1])
        bottom_mm = sheet.page_mm[1] - top_mm - sheet.label_mm[1]
        _draw(canvas, label, left_mm * mm, bottom_mm * mm, sheet.label_mm[0] * mm, sheet.label_mm[1] * mm)
    canvas.save()
    return out.getvalue()


def _draw(canvas: "Canvas", label: Label, left: float, bottom: float, width: float, height: float) -> None:
    side = min(height, 0.5 * width)
    module = side / MODULES
    top = bottom + (height + side) / 2
    for y, row in enumerate(_modules(label.tag_id)):
        for x, dark in enumerate(row):
            if dark:
                canvas.rect(left + x * module, top - (y + 1) * module, module, module, stroke=0, fill=1)
    room = width - side - QUIET_MODULES * module  # printers leave the paper's edge white
    for text, middle, size in zip(_texts(label), (0.66, 0.4, 0.18), (0.2, 0.14, 0.14), strict=True):
        points = size * height
        text_width = canvas.stringWidth(text, "Helvetica", points)
        canvas.setFont("Helvetica", points if text_width <= room else points * room / text_width)
        canvas.drawString(left + side, bottom + middle * height, text)
