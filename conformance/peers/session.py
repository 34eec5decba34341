"""What a peer needs to know to open an association, and what it reports."""

from dataclasses import dataclass
from typing import Optional, Protocol


class Refused(Exception):
    """The meter answered a request with something else than data."""


@dataclass(frozen=True)
class Session:
    """One association of one client with one meter."""

    host: str
    port: int
    link: str  # "wrapper", "udp" (the wrapper in datagrams) or "hdlc"
    client: int  # client SAP
    server: int = 1  # server SAP
    mechanism: str = "none"  # "none", "lls", "hls2", "md5", "sha1", "gmac", "sha256" or "ecdsa"
    password: bytes = b""
    encryption_key: bytes = b""
    authentication_key: bytes = b""
    client_title: bytes = b""
    dedicated_key: bytes = b""
    suite: int = 0  # security suite
    signing_key: bytes = b""  # the client's private key
    verifying_key: bytes = b""  # the meter's public key, as X and Y
    general: bool = True  # propose general protection
    invocation_counter: int = 1
    max_pdu: int = 1024
    information_field: int = 128
    window: int = 1
    referencing: str = "logical-name"  # or "short-name"
    general_blocks: bool = False  # general block transfer
    timeout: float = 10.0

    @property
    def ciphered(self) -> bool:
        return bool(self.encryption_key)


@dataclass(frozen=True)
class Attribute:
    class_id: int
    obis: str
    index: int


class Peer(Protocol):
    """A client of another implementation."""

    name: str

    def open(self) -> None:
        """Connects and associates."""

    def read(self, attribute: Attribute):
        """The value as the implementation reports it, reduced by `plain`."""

    def read_range(self, attribute: Attribute, start, end):
        """Rows of a profile between two UTC times, both included."""

    def read_entries(self, attribute: Attribute, first: int, last: int):
        """Rows of a profile by position, from 1."""

    def close(self) -> None:
        """Releases and disconnects."""


def plain(value) -> Optional[object]:
    """A value without the types of the implementation: numbers, text, hex strings and lists."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(element) for element in value]
    return str(value)
