"""AES-128-CCM and AES-CMAC from bare AES blocks. Portable: MicroPython's cryptolib has neither.

A *block cipher* here is a function that encrypts one or more 16-byte blocks in ECB mode; `aes128` makes one.
"""

from tagwire.errors import REASON_FORGED, DecodeError, EncodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    BlockCipher = Callable[[bytes], bytes]

try:
    from cryptolib import aes as _aes  # MicroPython

    def _ecb(key: bytes) -> "BlockCipher":
        return _aes(key, 1).encrypt  # type: ignore[no-any-return]
except ImportError:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    _ECB = modes.ECB()

    def _ecb(key: bytes) -> "BlockCipher":
        return Cipher(algorithms.AES(key), _ECB).encryptor().update


KEY_BYTES = 16
NONCE_BYTES = 13  # 15 - L, with L = 2 (RFC 3610, section 2)


def aes128(key: bytes) -> "BlockCipher":
    """An AES-128 block cipher from a 16-byte key. Raises EncodeError for another length."""
    if len(key) != KEY_BYTES:
        raise EncodeError("an AES-128 key has 16 bytes, not %d" % len(key))
    return _ecb(key)


def _xor(a: bytes, b: bytes) -> bytes:
    """As long as the shorter one. By way of integers: a list would take 8 bytes of a tag's heap for each byte."""
    size = min(len(a), len(b))
    return (int.from_bytes(a[:size], "little") ^ int.from_bytes(b[:size], "little")).to_bytes(size, "little")


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 16)


def _cbc_mac(encrypt: "BlockCipher", blocks: bytes) -> bytes:
    mac = bytes(16)
    for start in range(0, len(blocks), 16):
        mac = encrypt(_xor(mac, blocks[start : start + 16]))
    return mac


def _ccm_mac(encrypt: "BlockCipher", nonce: bytes, associated: bytes, plaintext: bytes, mic_bytes: int) -> bytes:
    """The CBC-MAC over B_0, the associated data and the plaintext (RFC 3610, section 2.2)."""
    flags = (0x40 if associated else 0) | (mic_bytes - 2) // 2 << 3 | 1
    blocks = bytes([flags]) + nonce + len(plaintext).to_bytes(2, "big")
    if associated:
        blocks += _padded(len(associated).to_bytes(2, "big") + associated)
    return _cbc_mac(encrypt, blocks + _padded(plaintext))


def _ccm_keystream(encrypt: "BlockCipher", nonce: bytes, data_bytes: int) -> bytes:
    """S_0 | S_1 | ... (RFC 3610, section 2.3): the first block masks the MIC, the rest the data."""
    counters = b""
    for i in range((data_bytes + 15) // 16 + 1):
        counters += b"\x01" + nonce + i.to_bytes(2, "big")
    return encrypt(counters)


def ccm_seal(encrypt: "BlockCipher", nonce: bytes, associated: bytes, plaintext: bytes, mic_bytes: int) -> bytes:
    """Encrypt and authenticate: ciphertext (as long as the plaintext), then `mic_bytes` of MIC.

    One key and nonce may seal at most one (associated data, plaintext). `associated` up to 65,279 bytes.
    """
    if len(nonce) != NONCE_BYTES:
        raise EncodeError("a nonce has 13 bytes, not %d" % len(nonce))
    mac = _ccm_mac(encrypt, nonce, associated, plaintext, mic_bytes)
    stream = _ccm_keystream(encrypt, nonce, len(plaintext))
    return _xor(plaintext, stream[16:]) + _xor(mac[:mic_bytes], stream)


def ccm_open(encrypt: "BlockCipher", nonce: bytes, associated: bytes, sealed: bytes, mic_bytes: int) -> bytes:
    """The plaintext of what `ccm_seal` made. Raises DecodeError("forged") when the MIC does not fit."""
    data_bytes = len(sealed) - mic_bytes
    if data_bytes < 0:
        raise DecodeError(REASON_FORGED, "shorter than its MIC")
    stream = _ccm_keystream(encrypt, nonce, data_bytes)
    plaintext = _xor(sealed[:data_bytes], stream[16:])
    mic = _xor(_ccm_mac(encrypt, nonce, associated, plaintext, mic_bytes)[:mic_bytes], stream)
    difference = 0
    for a, b in zip(mic, sealed[data_bytes:]):  # every byte is compared: no timing oracle
        difference |= a ^ b
    if difference:
        raise DecodeError(REASON_FORGED, "MIC does not fit")
    return plaintext


def _doubled(block: bytes) -> bytes:
    """Multiplication by x in GF(2^128) (RFC 4493, section 2.3)."""
    number = int.from_bytes(block, "big") << 1
    if number >> 128:
        number = (number & ((1 << 128) - 1)) ^ 0x87
    return number.to_bytes(16, "big")


def cmac(encrypt: "BlockCipher", message: bytes) -> bytes:
    """AES-CMAC of a message (RFC 4493): 16 bytes."""
    subkey = _doubled(encrypt(bytes(16)))
    if message and len(message) % 16 == 0:
        last = message[-16:]
        head = message[:-16]
    else:
        subkey = _doubled(subkey)
        rest = len(message) % 16
        last = _padded(message[len(message) - rest :] + b"\x80")
        head = message[: len(message) - rest]
    return encrypt(_xor(_xor(_cbc_mac(encrypt, head), last), subkey))
