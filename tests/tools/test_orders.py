"""Files of orders and of tags from elsewhere."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagsmith.firmware_rules import board_names, setting_kinds
from tagsmith.orders import OrderFault, csv_text, parse_orders, parse_tags
from tagsmith.records import Imported, Order

KEY = "00112233445566778899aabbccddeeff"


def test_orders_with_defaults_counts_and_settings() -> None:
    text = "\ufeffreference,count,interval_s,company_id\nbox,2,60,0x004C\n,,,\n"
    assert parse_orders(text) == [
        Order("esp32-devkit", 0x4C, {"interval_s": 60}, "box"),
        Order("esp32-devkit", 0x4C, {"interval_s": 60}, "box"),
        Order("esp32-devkit", 0xFFFF, {}, ""),
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "a header line"),
        ("reference\n", "a header line"),
        ("board\nnone-such\n", "line 2: there is no board 'none-such'; known are esp32-devkit"),
        ("interval_s\n1\n", "line 2: interval_s is '1', not an integer within 2"),
        ("intervall_s\n60\n", "line 2: there is no setting intervall_s; known are interval_s"),
        ("count\n0\n", "line 2: count is '0'"),
        ("reference,count\nbox\n", "line 2: it does not have as many cells"),
        ("reference\nbox,2\n", "line 2: it does not have as many cells"),
        ("reference\n" + "x" * 41 + "\n", "line 2: the reference has more"),
        ('reference\n"a\x1b[2J"\n', "line 2: the reference has more"),
        ("reference,reference\na,b\n", "line 1: two columns are called 'reference'"),
        ("count\n" + "1000\n" * 11, "more than 10000 tags"),
        ('reference\n"open\n', "line 1: unexpected end"),
    ],
)
def test_wrong_orders_say_where_and_how(text: str, fault: str) -> None:
    with pytest.raises(OrderFault) as caught:
        parse_orders(text)
    assert str(caught.value).startswith(fault)


def test_tags_from_elsewhere() -> None:
    text = f"id,root_key,generation,chip,reference\n28T5-CY3P,{KEY},2,AA:BB:cc:00-11.22,box\n7,,,,\n"
    assert parse_tags(text) == [
        Imported(305419896, Order("esp32-devkit", 0xFFFF, {}, "box"), 2, bytes.fromhex(KEY), "aabbcc001122"),
        Imported(7, Order("esp32-devkit", 0xFFFF, {}, ""), 0, None, None),
    ]


@pytest.mark.parametrize("row", [f"{KEY},5,0,", f"5,{KEY},0,", f"5,0,0,{KEY}", f"5,0,{KEY[1:]},", f"5,,{KEY[2:]}0x,"])
@pytest.mark.parametrize("columns", ["id,generation,root_key,chip", "id,interval_s,company_id,board"])
def test_key_in_a_wrong_column_is_not_shown(row: str, columns: str) -> None:
    with pytest.raises(OrderFault, match="line 2: ") as caught:
        parse_tags(f"{columns}\n{row}\n")
    assert KEY[2:] not in str(caught.value)


def test_orders_from_a_spreadsheet_with_semicolons() -> None:
    assert parse_orders("\ufeffreference;interval_s\r\nbox, blue;60\r\n") == [
        Order("esp32-devkit", 0xFFFF, {"interval_s": 60}, "box, blue")
    ]


@pytest.mark.parametrize("key", [KEY[:-1], KEY + "00", "x" * 32])
def test_wrong_key_is_named_and_not_shown(key: str) -> None:
    with pytest.raises(OrderFault, match="line 2: root_key does not have 32") as caught:
        parse_tags(f"id,root_key\n7,{key}\n")
    assert key not in str(caught.value)


@given(st.text(max_size=200))
def test_any_text_is_orders_or_one_fault(text: str) -> None:
    with contextlib.suppress(OrderFault):
        assert parse_orders(text)


def test_csv_does_not_run_formulas() -> None:
    assert csv_text(["a", "b"], [["=1+1", None], ["x,y", -5]]) == 'a,b\n\'=1+1,\n"x,y",-5\n'


def test_rules_are_those_of_the_firmware() -> None:
    assert "esp32-devkit" in board_names()
    assert setting_kinds().numbers["interval_s"].default == 300
