"""AdvData, the bytes of an advertisement: taken apart, and put together where the system has taken it apart. Pure."""

from bleak.assigned_numbers import AdvertisementDataType as AdType
from bleak.backends.scanner import AdvertisementData

ADV_DATA_BYTES_MAX = 229  # what one report of an extended advertisement carries (Core Specification, Vol 4, 7.7.65.13)

_BASE_UUID = "-0000-1000-8000-00805f9b34fb"


def ad_structures(data: bytes) -> list[tuple[int, bytes]]:
    """AD type and value of each whole structure (Core Specification, Vol 3, Part C, 11)."""
    structures = []
    start = 0
    while start + 1 < len(data):
        length = data[start]
        if length == 0 or start + 1 + length > len(data):
            break
        structures.append((data[start + 1], bytes(data[start + 2 : start + 1 + length])))
        start += 1 + length
    return structures


def adv_data(advertisement: AdvertisementData) -> bytes:
    """The bytes as they were on the air where the backend tells them, as our bumble backend does; else structures of
    what is known: the same ones, in an order of our own, scan response and advertisement in one."""
    known = advertisement.platform_data[0] if advertisement.platform_data else None
    if isinstance(known, bytes):
        return known
    structures = [
        (AdType.MANUFACTURER_SPECIFIC_DATA, company_id.to_bytes(2, "little") + data)
        for company_id, data in advertisement.manufacturer_data.items()
    ]
    if len(advertisement.platform_data) > 1 and isinstance(advertisement.platform_data[1], dict):  # BlueZ's properties
        flags = advertisement.platform_data[1].get("AdvertisingFlags")
        if flags:
            structures.insert(0, (AdType.FLAGS, bytes(flags)))
    for uuid, data in advertisement.service_data.items():
        size, value = _uuid(uuid)
        structures.append((_SERVICE_DATA[size], value + data))
    for size in (2, 4, 16):
        values = [value for length, value in map(_uuid, advertisement.service_uuids) if length == size]
        if values:
            structures.append((_UUID_LIST[size], b"".join(values)))
    if advertisement.local_name:
        structures.append((AdType.COMPLETE_LOCAL_NAME, advertisement.local_name.encode("utf-8", "replace")))
    if advertisement.tx_power is not None and -128 <= advertisement.tx_power < 128:
        structures.append((AdType.TX_POWER_LEVEL, advertisement.tx_power.to_bytes(1, "little", signed=True)))
    whole = b""
    for ad_type, value in structures:
        if len(whole) + 2 + len(value) <= ADV_DATA_BYTES_MAX:
            whole += bytes((1 + len(value), ad_type)) + value
    return whole


def local_name(data: bytes) -> str | None:
    """The name in an advertisement, whole or shortened; None when it has none."""
    for ad_type, value in ad_structures(data):
        if ad_type in (AdType.COMPLETE_LOCAL_NAME, AdType.SHORTENED_LOCAL_NAME):
            return value.decode("utf-8", "replace")
    return None


def company_ids(data: bytes) -> list[int]:
    """Of each manufacturer specific structure."""
    return [
        int.from_bytes(value[:2], "little")
        for ad_type, value in ad_structures(data)
        if ad_type == AdType.MANUFACTURER_SPECIFIC_DATA and len(value) >= 2
    ]


_SERVICE_DATA = {
    2: AdType.SERVICE_DATA_UUID16,
    4: AdType.SERVICE_DATA_UUID32,
    16: AdType.SERVICE_DATA_UUID128,
}
_UUID_LIST = {
    2: AdType.COMPLETE_LIST_SERVICE_UUID16,
    4: AdType.COMPLETE_LIST_SERVICE_UUID32,
    16: AdType.COMPLETE_LIST_SERVICE_UUID128,
}


def _uuid(text: str) -> tuple[int, bytes]:
    """Length and little-endian bytes of bleak's 128-bit text form, as short as it goes."""
    whole = bytes.fromhex(text.replace("-", ""))[::-1]
    if not text.endswith(_BASE_UUID):
        return 16, whole
    return (2, whole[12:14]) if text.startswith("0000") else (4, whole[12:16])
