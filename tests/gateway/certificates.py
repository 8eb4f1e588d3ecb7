"""Certificates for tests: an authority, and what it signs for 127.0.0.1 and for clients."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """Writes ca.pem, and NAME.pem with NAME.key for whoever asks, into one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        basic = x509.BasicConstraints(ca=True, path_length=0)
        certificate = self._builder("authority", self._key, 365).add_extension(basic, critical=True)
        self._write("ca.pem", certificate.sign(self._key, hashes.SHA256()))
        self.ca_file = folder / "ca.pem"

    def issue(self, name: str, days: int = 1) -> tuple[Path, Path]:
        """A certificate for `name` and 127.0.0.1 that ends in so many days, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        where = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate = self._builder(name, key, days).add_extension(where, critical=False)
        self._write(f"{name}.pem", certificate.sign(self._key, hashes.SHA256()))
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self._folder / f"{name}.key").write_bytes(pem)
        return self._folder / f"{name}.pem", self._folder / f"{name}.key"

    def _builder(self, name: str, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name("authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - 10 * DAY)
            .not_valid_after(NOW + days * DAY)
        )

    def _write(self, file: str, certificate: x509.Certificate) -> None:
        (self._folder / file).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
