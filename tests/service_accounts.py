"""A service account that nobody has, with a key made for the run."""

from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec import json

EMAIL = "gateway@my-project.iam.gserviceaccount.com"


@cache
def key() -> rsa.RSAPrivateKey:
    """The account's key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def account(token_uri: str = "http://tokens.test/token") -> str:
    """The file that Google gives for it."""
    pem = key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return json.encode(
        {
            "type": "service_account",
            "project_id": "my-project",
            "private_key_id": "key-1",
            "private_key": pem,
            "client_email": EMAIL,
            "token_uri": token_uri,
            "universe_domain": "googleapis.com",
        }
    ).decode()
