"""Draws data-path.svg beside this file: the path of one sample on the desk, and what of it is real."""

from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 960, 430
REAL, VIRTUAL = ("#e6f4ea", "#1e7d3c"), ("#fff3dc", "#b06d00")
FONT = "font-family='Helvetica, Arial, sans-serif'"


def box(x: int, y: int, width: int, height: int, colours: tuple[str, str], title: str, lines: list[str]) -> str:
    fill, stroke = colours
    dash = "" if colours is REAL else " stroke-dasharray='6 4'"
    parts = [
        f"<rect x='{x}' y='{y}' width='{width}' height='{height}' rx='8' fill='{fill}' stroke='{stroke}'"
        f" stroke-width='1.6'{dash}/>",
        f"<text x='{x + width / 2}' y='{y + 21}' text-anchor='middle' font-size='14' font-weight='bold' {FONT}>"
        f"{escape(title)}</text>",
    ]
    for row, line in enumerate(lines):
        parts.append(
            f"<text x='{x + width / 2}' y='{y + 40 + 16 * row}' text-anchor='middle' font-size='11' fill='#333' {FONT}>"
            f"{escape(line)}</text>"
        )
    return "".join(parts)


def arrow(points: list[tuple[int, int]], label: str = "", label_at: tuple[int, int] = (0, 0)) -> str:
    path = " ".join(f"{x},{y}" for x, y in points)
    text = (
        f"<text x='{label_at[0]}' y='{label_at[1]}' text-anchor='middle' font-size='11' fill='#555' {FONT}>"
        f"{escape(label)}</text>"
        if label
        else ""
    )
    return f"<polyline points='{path}' fill='none' stroke='#555' stroke-width='1.5' marker-end='url(#tip)'/>{text}"


def data_path() -> str:
    parts = [
        box(
            20,
            30,
            170,
            92,
            VIRTUAL,
            "virtual board",
            ["SHT4x on I2C, GNSS UART", "ADC, RTC memory, NVS", "LittleFS on a file"],
        ),
        box(
            245,
            30,
            170,
            92,
            REAL,
            "firmware/",
            ["boot.py, main.py, tag/:", "samples, journal, GATT;", "unchanged, real MicroPython"],
        ),
        box(
            470,
            30,
            170,
            92,
            VIRTUAL,
            "virtual antenna",
            ["bumble controllers", "on one LocalLink;", "raw HCI over TCP"],
        ),
        box(
            20,
            190,
            170,
            92,
            VIRTUAL,
            "world",
            ["trucks on roads, weather,", "cold boxes, GNSS noise", "(numpy, seeded)"],
        ),
        box(
            245,
            190,
            170,
            92,
            VIRTUAL,
            "flock",
            ["200 tags, the same bytes", "as the firmware makes", "(proven by test)"],
        ),
        box(
            470, 190, 170, 92, VIRTUAL, "air", ["who hears whom, how loud,", "losses, connections;", "records over TCP"]
        ),
        box(
            720,
            72,
            220,
            168,
            REAL,
            "taghub (gateway/)",
            [
                "radios: bleak on BlueZ,",
                "bleak on bumble, air",
                "intake: key, seal, replay check",
                "courier: fetches from journals (GATT)",
                "rules and batcher: columns, 1 s",
                "spool: SQLite, on the disk",
                "uplink: paho, MQTT 5, QoS 1",
                "status: retained, last will",
            ],
        ),
        box(720, 318, 220, 76, REAL, "MQTT broker", ["iotcore (rumqttd) on loopback,", "or any other by one setting"]),
        box(470, 318, 170, 76, REAL, "subscriber", ["paho, MQTT 5;", "decodes each batch"]),
        box(
            20,
            318,
            395,
            76,
            REAL,
            "ledger",
            [
                "every sample that was made = delivered, value by value,",
                "or unheard; lost, duplicated and wrong must be 0",
            ],
        ),
        arrow([(190, 76), (243, 76)], "buses", (217, 66)),
        arrow([(415, 76), (468, 76)], "24 B", (441, 68)),
        arrow([(640, 76), (718, 110)], "bleak", (684, 82)),
        arrow([(190, 236), (243, 236)]),
        arrow([(415, 236), (468, 236)], "24 B", (441, 228)),
        arrow([(640, 236), (718, 200)], "air", (674, 206)),
        arrow([(105, 190), (105, 124)], "readings", (134, 160)),
        arrow([(830, 240), (830, 316)], "batches, QoS 1", (878, 282)),
        arrow([(720, 356), (642, 356)]),
        arrow([(470, 356), (417, 356)]),
        arrow([(300, 282), (300, 316)], "made", (322, 303)),
        box(700, 14, 110, 34, REAL, "real", []),
        box(826, 14, 114, 34, VIRTUAL, "virtual", []),
    ]
    tip = (
        "<marker id='tip' viewBox='0 0 10 10' refX='9' refY='5' markerWidth='7' markerHeight='7' orient='auto'>"
        "<path d='M0,0 L10,5 L0,10 z' fill='#555'/></marker>"
    )
    body = "\n".join(parts)
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' role='img'"
        f" aria-label='The path of one sample from sensor to ledger'>\n<defs>{tip}</defs>\n"
        f"<rect width='{WIDTH}' height='{HEIGHT}' fill='white'/>\n{body}\n</svg>\n"
    )


if __name__ == "__main__":
    Path(__file__).with_name("data-path.svg").write_text(data_path())
