"""The checksum of Sensirion's and Aosong's I2C sensors. Pure."""


def crc8(word: bytes) -> int:
    """Polynomial 0x31, start 0xFF; of BE EF it is 92 (SHT4x datasheet of October 2024, section 4.4)."""
    crc = 0xFF
    for byte in word:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x31) & 0xFF if crc & 0x80 else crc << 1
    return crc
