"""Make a certificate authority for one stage: made with it, trusted only in it, gone with it.

Rule: its key is in this object and nowhere else, never on a disk. It can speak for the hosts it was
made for and no others (name constraints), and for minutes. Does not know what is said over TLS.
Source: RFC 5280.
"""

from __future__ import annotations

import datetime
import os
import ssl
from collections.abc import Iterable
from ipaddress import ip_network

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_BEFORE = datetime.timedelta(minutes=5)  # a clock inside that is a little behind
_BEYOND = datetime.timedelta(minutes=10)
_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Codex Orchestrator, one attempt")])


class Authority:
    """Sign for `hosts` from a little before `now` until a little after `seconds` later."""

    def __init__(self, hosts: Iterable[str], now: datetime.datetime, seconds: float) -> None:
        self._hosts = tuple(sorted(set(hosts)))
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._begin = now - _BEFORE
        self._end = now + datetime.timedelta(seconds=seconds) + _BEYOND
        names = [x509.DNSName(host) for host in self._hosts]
        nowhere = [x509.IPAddress(ip_network("0.0.0.0/0")), x509.IPAddress(ip_network("::/0"))]
        made = self._certificate(_NAME, self._key.public_key(), _usage(signs=True))
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        made = made.add_extension(x509.NameConstraints(names, nowhere), critical=True)
        self._own = made.sign(self._key, hashes.SHA256())

    @property
    def pem(self) -> str:
        """Return the authority's own certificate."""
        return self._own.public_bytes(serialization.Encoding.PEM).decode("ascii")

    def context(self, host: str) -> ssl.SSLContext:
        """Return the server's side of TLS for one of its hosts, HTTP/1.1 only."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
        made = self._certificate(name, key.public_key(), _usage(signs=False))
        made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        made = made.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        leaf = made.sign(self._key, hashes.SHA256())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        _load(context, leaf.public_bytes(serialization.Encoding.PEM), key)
        return context

    def _certificate(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, usage: x509.KeyUsage
    ) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(_NAME).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(self._begin).not_valid_after(self._end)
        own = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        by = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key), critical=False
        )
        return builder.add_extension(by, critical=False).add_extension(usage, critical=True)


def _usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _load(context: ssl.SSLContext, leaf: bytes, key: ec.EllipticCurvePrivateKey) -> None:
    """Give a context its certificate and key by a file that has no name: OpenSSL wants a path."""
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor = os.memfd_create("leaf", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(private + leaf)
        stream.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
