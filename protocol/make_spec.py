"""Writes the generated parts of SPEC.md, which stand between `<!-- generated: NAME -->` and `<!-- end -->`.

python protocol/make_spec.py           write them
python protocol/make_spec.py --check   exit 1 where SPEC.md differs
"""

import re
import sys
from pathlib import Path

import spec_beacons
import spec_sessions
from tagwire import batch, reference, seal
from vector_cases.beacons import beacons

SPEC = Path(__file__).with_name("SPEC.md")


def table(head: str, rows: list[list[object]]) -> str:
    columns = head.split("|")
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def _step(field: reference.Field) -> str:
    if field.step == int(field.step):
        return f"{int(field.step):,}"
    return f"{int(field.step * field.largest):,} / {field.largest:,}"


def body_table() -> str:
    rows: list[list[object]] = []
    start = 0
    for field in reference.FIELDS:
        end = start + field.bits - 1
        reserved = range(field.largest + 1, field.not_available or 1 << field.bits)
        rows.append(
            [
                f"{start}-{end}",
                field.name.replace("_", " "),
                field.bits,
                field.unit or "code",
                f"{field.minimum:,}" if field.unit else "",
                _step(field) if field.unit else "",
                f"{field.largest:,}",
                "" if field.not_available is None else f"{field.not_available:,}",
                f"{reserved[0]} to {reserved[-1]}" if len(reserved) > 1 else "".join(map(str, reserved)),
            ]
        )
        start = end + 1
    return table("bits|field|width|unit|code 0 is|step|largest code|not available|reserved", rows)


def batch_table() -> str:
    return table(
        "id|column|smallest|largest",
        [
            [c.id, f"`{name}`", f"{c.minimum:,}", f"{c.maximum:,}"]
            for name, c in {**batch.COLUMNS, **batch.FOREIGN_COLUMNS}.items()
        ],
    )


def example() -> str:
    """The first valid vector with every intermediate."""
    case = beacons()["valid"][0]
    data = {name: bytes.fromhex(case[name]) for name in ("beacon_key", "body", "nonce", "b0", "beacon", "adv_data")}
    codes = reference.parse_body(data["body"])
    encrypt = seal.aes128(data["beacon_key"])
    header, sealed = data["beacon"][:7], data["beacon"][7:]
    blocks = [data["b0"], len(header).to_bytes(2, "big") + header + bytes(7), data["body"] + bytes(5)]
    lines = [
        f"K_root          {case['root_key']}",
        f"KDF input       {reference.KdfInput.build({'label': b'tagstack beacon', 'context': bytes([0])}).hex()}",
        f"K_beacon        {case['beacon_key']}        AES-CMAC(K_root, KDF input); generation {case['generation']}",
        f"tag id          {case['tag_id']} = 0x{case['tag_id']:08x}",
        f"counter         {case['counter']} = 0x{case['counter']:08x}",
        "",
        *(
            f"{field.name:15} {'' if case['reading'][field.name] is None else case['reading'][field.name]:<12}"
            f"code {codes[field.name]:<10} 0x{codes[field.name]:x}"
            for field in reference.FIELDS
        ),
        f"as a number     0x{int.from_bytes(data['body'], 'little'):022x}",
        f"body            {case['body']}",
        "",
        f"header          {header.hex()}                      also the associated data",
        f"nonce           {case['nonce']}",
        f"B_0             {blocks[0].hex()}    0x51 | nonce | length 11",
        f"B_1             {blocks[1].hex()}    length 7 | header | padding",
        f"B_2             {blocks[2].hex()}    body | padding",
    ]
    mac = bytes(16)
    for number, block in enumerate(blocks, 1):
        mac = encrypt(bytes(a ^ b for a, b in zip(mac, block, strict=True)))
        lines.append(f"X_{number}             {mac.hex()}" + "    its first 6 bytes are T" * (number == len(blocks)))
    for number in range(2):
        counter_block = b"\x01" + data["nonce"] + number.to_bytes(2, "big")
        lines.append(f"A_{number}             {counter_block.hex()}")
        lines.append(f"S_{number}             {encrypt(counter_block).hex()}    AES(K_beacon, A_{number})")
    lines += [
        f"sealed body     {sealed[:11].hex()}              body XOR the first 11 bytes of S_1",
        f"MIC             {sealed[11:].hex()}                        T XOR the first 6 bytes of S_0",
        f"beacon          {case['beacon']}",
        f"AdvData         {case['adv_data']}",
    ]
    return "```\n" + "\n".join(lines) + "\n```"


PARTS = {"body": body_table, "batch": batch_table, "example": example, **spec_beacons.PARTS, **spec_sessions.PARTS}


def generated(text: str) -> str:
    """SPEC.md's text with its generated parts made anew."""

    def part(match: re.Match[str]) -> str:
        return f"<!-- generated: {match[1]} -->\n{PARTS[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- generated: (\w+) -->\n.*?<!-- end -->", part, text, flags=re.S)


def main() -> int:
    text = SPEC.read_text(encoding="utf-8")
    new = generated(text)
    if new == text:
        return 0
    if sys.argv[1:] == ["--check"]:
        print("SPEC.md differs: run python protocol/make_spec.py")
        return 1
    SPEC.write_text(new, encoding="utf-8")
    print("SPEC.md written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
