"""Keys of Ed25519 as PEM: made, and read from whatever a file holds.

Floor 6. Imports cryptography in the function that needs it.
"""

from typing import TYPE_CHECKING

from research_fsm.errors import InvalidInput

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

__all__ = ["load_private_key", "load_public_key", "new_key", "public_pem"]


def new_key() -> bytes:
    """Return a new private key, as PEM: keep it where who writes the log cannot read it."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: "Ed25519PrivateKey") -> bytes:
    """Return the public half of a key, as PEM: for everybody."""
    from cryptography.hazmat.primitives import serialization

    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def load_private_key(pem: bytes) -> "Ed25519PrivateKey":
    """Return a private key from PEM.

    Raises:
        InvalidInput: It is none of Ed25519, or it is encrypted.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        key = serialization.load_pem_private_key(pem, None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInput("key", f"is no private key in PEM: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidInput("key", "is no key of Ed25519")
    return key


def load_public_key(pem: bytes) -> "Ed25519PublicKey":
    """Return a public key from PEM.

    Raises:
        InvalidInput: It is none of Ed25519.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInput("key", f"is no public key in PEM: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidInput("key", "is no key of Ed25519")
    return key
