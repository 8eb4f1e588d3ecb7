"""A bill as a picture: a bar for each phase, and how far off it may be. Pure."""

from tagfleet.energy import Bill

WIDTH, LEFT, RIGHT, ROW, TOP = 720, 110, 90, 34, 64


def svg(bill: Bill, title: str) -> str:
    """SVG text."""
    rows = [*bill.phases.items(), ("in all", bill.total)]
    scale = (WIDTH - LEFT - RIGHT) / max(charge.high for _, charge in rows)
    height = TOP + ROW * len(rows) + 40
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' role='img' font-family='sans-serif' "
        f"font-size='13'><rect width='{WIDTH}' height='{height}' fill='white'/>",
        f"<text x='16' y='26' font-size='16'>{_escaped(title)}</text>",
        "<text x='16' y='46' fill='#555'>mAh a day; the line spans all constants at their lows to all at their highs"
        "</text>",
    ]
    for i, (name, charge) in enumerate(rows):
        y = TOP + ROW * i
        colour = "#456" if name == "in all" else "#48a"
        middle = y + ROW // 2 - 4
        parts.append(
            f"<text x='{LEFT - 8}' y='{middle + 5}' text-anchor='end'>{name}</text>"
            f"<rect x='{LEFT}' y='{y + 4}' width='{charge.typical * scale:.1f}' height='{ROW - 16}' fill='{colour}'/>"
            f"<path d='M{LEFT + charge.low * scale:.1f} {middle}H{LEFT + charge.high * scale:.1f}' stroke='#c60' "
            f"stroke-width='2'/>"
            f"<text x='{WIDTH - RIGHT + 8}' y='{middle + 5}'>{charge.typical:.2f}</text>"
        )
    life = bill.life_days
    parts.append(
        f"<text x='16' y='{height - 14}'>battery lasts {life.typical:,.0f} days ({life.low:,.0f} to {life.high:,.0f})"
        "</text></svg>"
    )
    return "\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
