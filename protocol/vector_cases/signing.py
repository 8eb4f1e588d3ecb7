"""An RSA-2048 key that is no secret: its primes come from SHA-256 of two texts. For tests and vectors."""

from functools import cache
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    RSAPublicNumbers,
    rsa_crt_dmp1,
    rsa_crt_dmq1,
    rsa_crt_iqmp,
)

EXPONENT = 65537


def _is_prime(number: int) -> bool:
    if any(number % small == 0 for small in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)):
        return False
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7, 11, 13):  # Miller-Rabin
        power = pow(base, odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


def _prime(text: str) -> int:
    start = b"".join(sha256(f"{text} {block}".encode()).digest() for block in range(4))
    number = int.from_bytes(start, "big") | 3 << 1022 | 1
    while not _is_prime(number) or number % EXPONENT == 1:
        number += 2
    return number


@cache
def signing_key(name: str = "tagstack test key") -> RSAPrivateKey:
    """The key of that name: always the same."""
    p, q = _prime(f"{name} p"), _prime(f"{name} q")
    d = pow(EXPONENT, -1, (p - 1) * (q - 1))
    return RSAPrivateNumbers(
        p, q, d, rsa_crt_dmp1(d, p), rsa_crt_dmq1(d, q), rsa_crt_iqmp(p, q), RSAPublicNumbers(EXPONENT, p * q)
    ).private_key()
