"""Why a listener cannot be opened, in words for who configured it, and what to do.

Rule: called when opening has failed; it reads files and decides nothing.
"""

from __future__ import annotations

import errno
import ssl
from pathlib import Path

from archflow_schema.errors import os_reason
from archflow_schema.graph import Tls

_NEXT = {
    errno.EADDRINUSE: "end what listens there, or choose another port",
    errno.EACCES: "ports below 1024 need the right to bind them; choose a higher one",
    errno.EADDRNOTAVAIL: "this machine has no such address; 0.0.0.0 and :: stand for all that it has",
}


def address(name: str, port: int, error: OSError) -> str:
    """Why an address cannot be listened on."""
    reason = os_reason(error)
    step = _NEXT.get(error.errno or 0)
    return f"cannot listen on {name}:{port}: {reason}" + (f": {step}" if step else "")


def tls(files: Tls, error: OSError) -> str:
    """Why TLS cannot be had with a certificate and a key."""
    return f"TLS: {_tls(files, error)}"


def _tls(files: Tls, error: OSError) -> str:
    certificate, key = files.certificate, files.private_key
    read: dict[str, bytes] = {}
    for what, path in (("certificate", certificate), ("private key", key)):
        try:
            read[what] = Path(path).read_bytes()
        except OSError as unread:
            reason = os_reason(unread)
            return f"the {what} {path} cannot be read: {reason}: mend the path or its rights in `tls`"
    if b"-----BEGIN CERTIFICATE-----" not in read["certificate"]:
        return f"{certificate} holds no certificate in PEM form: `tls.certificate` names the chain, its own first"
    if b"PRIVATE KEY-----" not in read["private key"]:
        return f"{key} holds no private key in PEM form: `tls.private_key` names the certificate's own"
    if b"ENCRYPTED" in read["private key"]:
        return (
            f"the private key {key} has a passphrase, and nobody is asked for one: "
            f"`openssl pkey -in {key} -out FILE` writes it without"
        )
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        return f"the private key {key} does not belong to the certificate {certificate}: name the one it was made with"
    return f"certificate {certificate} with private key {key}: {error}"
