"""A site's keys: one Ed25519 pair a signing role (PKCS #8 PEM), and two secrets that its nodes share.

They live under `<data-dir>/keys`, never in the folder that the owner keeps in git.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final, NamedTuple

from securesystemslib.signer import CryptoSigner

from edgewise.errors import RefusedError, UnavailableError
from hub.durable import locked, replace_file

SIGNING_ROLES: Final = ("root", "targets", "snapshot", "timestamp", "assignment", "facts")
ONLINE_ROLES: Final = ("snapshot", "timestamp", "assignment", "facts")
"""Roles that a running hub signs with; `root` and `targets` are only needed when a person acts."""
SECRET_BYTES: Final = 32


class SiteSecrets(NamedTuple):
    """What nodes receive at enrolment."""

    subject_key: bytes
    """Key of the keyed hash that turns an identifier into a subject id."""
    visitor_key: bytes
    """Signs visitors' cookies and tokens."""


class KeyFolder:
    """The keys of a data folder. Nothing is read before it is asked for: a hub may hold the online keys only."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "keys"

    def signer(self, role: str) -> CryptoSigner:
        """The private key of a role.

        Raises:
            UnavailableError: it is not in this folder, or it is not an Ed25519 key in PKCS #8 PEM.
        """
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        path = self._pem(role)
        try:
            return CryptoSigner(load_pem_private_key(path.read_bytes(), None))
        except FileNotFoundError as missing:
            raise UnavailableError(
                f"the key of the role {role} is not here ({path}); make keys with `edgewise keys init`, "
                f"or run this where the key is kept"
            ) from missing
        except (ValueError, TypeError, OSError) as damaged:
            raise UnavailableError(f"the key {path} cannot be used: {damaged}") from damaged

    def secrets(self) -> SiteSecrets:
        """The secrets that nodes share.

        Raises:
            UnavailableError: they are missing or damaged.
        """
        return SiteSecrets(self._secret("subject"), self._secret("visitor"))

    def missing(self) -> list[str]:
        """Names of key files that are not there."""
        return [path.name for path in self._files() if not path.exists()]

    def _files(self) -> list[Path]:
        return [*map(self._pem, SIGNING_ROLES), self.path / "subject.key", self.path / "visitor.key"]

    def _pem(self, role: str) -> Path:
        return self.path / f"{role}.pem"

    def _secret(self, name: str) -> bytes:
        path = self.path / f"{name}.key"
        try:
            secret = bytes.fromhex(path.read_text("ascii"))
        except (OSError, ValueError) as wrong:
            raise UnavailableError(
                f"the secret {path} cannot be read ({wrong}); `edgewise keys init` makes it"
            ) from wrong
        if len(secret) != SECRET_BYTES:
            raise UnavailableError(f"the secret {path} holds {len(secret)} bytes, expected {SECRET_BYTES}")
        return secret


def make_keys(data_dir: Path) -> list[str]:
    """Make the keys that are missing, readable by their owner only; returns the names of the files made.

    Raises:
        RefusedError: `keys-lost`: the repository was signed by keys that are gone; new ones would be a stranger's.
    """
    keys = KeyFolder(data_dir)
    with locked(data_dir / "keys.lock"):
        missing = keys.missing()
        if missing and (data_dir / "repository" / "metadata" / "timestamp.json").exists():
            raise RefusedError(
                "keys-lost",
                f"{', '.join(missing)} missing in {keys.path}, but nodes trust the keys that signed the repository "
                f"beside it; copy them back from where they are kept",
            )
        keys.path.mkdir(parents=True, exist_ok=True)
        keys.path.chmod(0o700)
        for name in missing:
            if name.endswith(".pem"):
                content = CryptoSigner.generate_ed25519().private_bytes
            else:
                content = secrets.token_hex(SECRET_BYTES).encode()
            replace_file(keys.path / name, content, mode=0o600)
    return missing
