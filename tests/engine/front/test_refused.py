"""A listener that cannot be opened says why, and what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import trustme

from archflow_engine.front import refused
from archflow_engine.front.serve import server_tls
from archflow_schema.errors import ArchflowError
from archflow_schema.graph import Tls

ENCRYPTED = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    for name in ("one", "other"):
        made = authority.issue_cert(f"{name}.example")
        made.cert_chain_pems[0].write_to_path(str(folder / f"{name}.crt"))
        made.private_key_pem.write_to_path(str(folder / f"{name}.key"))
    (folder / "empty").write_text("")
    (folder / "encrypted.key").write_text(ENCRYPTED)
    return folder


@pytest.mark.parametrize(
    ("certificate", "key", "says"),
    [
        ("nowhere", "one.key", "the certificate {folder}/nowhere cannot be read: no such file or directory: mend"),
        ("one.crt", "nowhere", "the private key {folder}/nowhere cannot be read: no such file or directory: mend"),
        ("empty", "one.key", "{folder}/empty holds no certificate in PEM form"),
        ("one.key", "one.key", "{folder}/one.key holds no certificate in PEM form"),
        ("one.crt", "empty", "{folder}/empty holds no private key in PEM form"),
        ("one.crt", "encrypted.key", "the private key {folder}/encrypted.key has a passphrase"),
        ("one.crt", "other.key", "the private key {folder}/other.key does not belong to the certificate {folder}/"),
    ],
)  # fmt: skip
def test_tls(files: Path, certificate: str, key: str, says: str) -> None:
    with pytest.raises(ArchflowError) as error:
        server_tls(Tls(str(files / certificate), str(files / key)))
    assert str(error.value).startswith("TLS: " + says.format(folder=files))


def test_what_belongs_together_is_taken(files: Path) -> None:
    assert server_tls(Tls(str(files / "one.crt"), str(files / "one.key")))


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.EADDRINUSE, "end what listens there, or choose another port"),
        (errno.EACCES, "choose a higher one"),
        (errno.EADDRNOTAVAIL, "this machine has no such address"),
        (errno.EMFILE, "too many open files"),
    ],
)
def test_addresses(number: int, says: str) -> None:
    told = refused.address("127.0.0.1", 80, OSError(number, os.strerror(number)))
    assert told.startswith("cannot listen on 127.0.0.1:80: ")
    assert says in told
