"""TLS to the broker: the context, and sentences for what is wrong with certificates."""

import datetime
import logging
import ssl

from cryptography import x509

from taghub.errors import SettingsError
from taghub.settings import TlsSettings

_ADVICE = {
    "certificate has expired": "renew the broker's certificate; or is it this machine's clock, which shows {now}?",
    "not yet valid": "this machine's clock shows {now}: set it, or wait for NTP",
    "self-signed": "is ca_file the authority that has signed the broker's certificate?",
    "unable to get local issuer": "is ca_file the authority that has signed the broker's certificate?",
    "signature failure": "is ca_file the authority that has signed the broker's certificate?",
    "mismatch": "the broker's certificate is for another name than mqtt.host",
    "alert certificate expired": "this hub's certificate has expired: renew cert_file",
    "alert": "the broker refuses this hub's certificate: see its log, and cert_file",
    "wrong version number": "this port speaks no TLS: another port, or no [mqtt.tls]",
}

_logger = logging.getLogger(__name__)


def tls_context(settings: TlsSettings) -> ssl.SSLContext:
    """What the settings say. A certificate of this hub's own that has expired is worth a warning: the broker will not
    say it. Raises SettingsError."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.cert_file is not None and settings.key_file is not None:
            context.load_cert_chain(settings.cert_file, settings.key_file)
            ends = x509.load_pem_x509_certificate(settings.cert_file.read_bytes()).not_valid_after_utc
            if ends < _now():
                _logger.warning("mqtt.tls.cert_file: %s expired on %s: renew it", settings.cert_file, ends.date())
    except (OSError, ValueError) as error:
        raise SettingsError(f"mqtt.tls: a certificate or key cannot be used: {error}") from None
    return context


def with_advice(reason: str) -> str:
    """Why a connection failed, with what to do about it where TLS is to blame."""
    for words, advice in _ADVICE.items():
        if words in reason and ("SSL" in reason or "certificate" in reason):
            return f"{reason}; {advice.format(now=f'{_now():%Y-%m-%d %H:%M} UTC')}"
    return reason


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
