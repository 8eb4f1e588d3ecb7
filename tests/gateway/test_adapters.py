"""Which adapter a radio uses, and what is done to one that hangs, on a sysfs and /dev of our own."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taghub.errors import RadioError
from taghub.radio import adapter_reset
from taghub.radio.adapters import Adapter, choose

FIRST, SECOND = Adapter("hci0", "AA:00", True), Adapter("hci10", "BB:00", True)
THIRD = Adapter("hci9", "CC:00", False)


def test_first_free_adapter_that_is_on_is_taken() -> None:
    assert choose([SECOND, THIRD, FIRST], None, None, ()) == FIRST
    assert choose([SECOND, THIRD, FIRST], None, None, {"AA:00"}) == SECOND
    assert choose([THIRD], None, None, ()) == THIRD, "one that is off may be switched on"
    assert choose([FIRST], None, None, {"AA:00"}) is None
    assert choose([], None, None, ()) is None


def test_adapter_is_known_by_its_address_whatever_its_name_is_now() -> None:
    moved = FIRST._replace(name="hci3")
    assert choose([moved, SECOND], "hci0", "AA:00", ()) == moved
    assert choose([FIRST, SECOND], "bb:00", None, ()) == SECOND
    assert choose([SECOND], "hci0", "AA:00", ()) is None
    spare = Adapter("hci0", "DD:00", True)
    assert choose([spare], "hci0", "AA:00", ()) == spare, "a spare part under the old name"
    assert choose([spare], "hci0", "AA:00", {"DD:00"}) is None, "but not another radio's"


adapters = st.lists(
    st.builds(Adapter, st.from_regex(r"hci\d{1,2}", fullmatch=True), st.sampled_from("ABCDEF"), st.booleans()),
    unique_by=(lambda one: one.name, lambda one: one.address),
)


@given(adapters, st.sets(st.sampled_from("ABCDEF")), st.one_of(st.none(), st.sampled_from("ABCDEF")))
def test_taken_adapter_is_never_chosen_but_by_whom_it_belongs_to(
    present: list[Adapter], taken: set[str], known: str | None
) -> None:
    chosen = choose(present, None, known, taken)
    if chosen is not None:
        assert chosen in present
        assert chosen.address == known or chosen.address not in taken
    else:
        assert all(one.address in taken and one.address != known for one in present)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """hci0 on USB, blocked in software; hci1 on a serial line."""
    usb = tmp_path / "devices/usb1/1-2"
    for path, text in {
        usb / "busnum": "1\n",
        usb / "devnum": "12\n",
        usb / "1-2:1.0/bluetooth/hci0/rfkill3/soft": "1\n",
        usb / "1-2:1.0/bluetooth/hci0/rfkill3/hard": "0\n",
        tmp_path / "devices/serial/hci1/rfkill4/soft": "0\n",
        tmp_path / "devices/serial/hci1/rfkill4/hard": "1\n",
        tmp_path / "dev/rfkill": "",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (usb / "1-2:1.0/bluetooth/hci0/device").symlink_to(usb / "1-2:1.0")
    (tmp_path / "devices/serial/hci1/device").symlink_to(tmp_path / "devices/serial")
    (tmp_path / "class").mkdir()
    (tmp_path / "class/hci0").symlink_to(usb / "1-2:1.0/bluetooth/hci0")
    (tmp_path / "class/hci1").symlink_to(tmp_path / "devices/serial/hci1")
    monkeypatch.setattr(adapter_reset, "SYSFS", tmp_path / "class")
    monkeypatch.setattr(adapter_reset, "DEVICES", tmp_path / "dev")
    return tmp_path


def test_blocks_are_told_apart_and_a_soft_one_is_lifted(machine: Path) -> None:
    assert [adapter_reset.blocked(name) for name in ("hci0", "hci1", "hci2")] == ["soft", "hard", ""]
    adapter_reset.unblock("hci0")
    # linux/rfkill.h: index 3, type Bluetooth (2), operation change (2), neither soft nor hard
    assert (machine / "dev/rfkill").read_bytes() == bytes((3, 0, 0, 0, 2, 2, 0, 0))


def test_usb_device_of_an_adapter_is_found(machine: Path) -> None:
    assert adapter_reset.usb_node("hci0") == machine / "dev/bus/usb/001/012"
    assert adapter_reset.usb_node("hci1") is None


def test_what_may_not_be_done_is_one_line_that_says_what_to_run(machine: Path) -> None:
    (machine / "dev/rfkill").unlink()
    (machine / "dev/rfkill").mkdir()  # cannot be written, not even by root
    with pytest.raises(RadioError, match="run: rfkill unblock bluetooth"):
        adapter_reset.unblock("hci0")
    with pytest.raises(RadioError, match="its USB device cannot be reset"):
        adapter_reset.reset_usb("hci0")
    with pytest.raises(RadioError, match="hci1 is not on USB"):
        adapter_reset.reset_usb("hci1")
