"""Reads a telegram of a customer port with the PyPI package dsmr-parser, and opens a ciphered one with cryptography.

    p1_peer.py KIND FILE [KEY AUTHENTICATION_KEY]

KIND is the name of a specification of the package, such as V5; keys are hexadecimal. Prints a JSON object of the values.
"""

import json
import sys

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from dsmr_parser import telegram_specifications
from dsmr_parser.parsers import TelegramParser


def opened(octets: bytes, key: bytes, authentication_key: bytes) -> bytes:
    """The text inside general-glo-ciphering: DB, title, length, control, counter, text, tag of twelve octets."""
    assert octets[0] == 0xDB and octets[1] == 8 and octets[10] == 0x82 and octets[13] == 0x30
    title, counter = octets[2:10], octets[14:18]
    assert int.from_bytes(octets[11:13], "big") == len(octets) - 13
    # The package takes tags of sixteen octets only; the counter mode does not need it, the tag is compared apart.
    cipher = AESGCM(key)
    nonce, associated = title + counter, octets[13:14] + authentication_key
    text, tag = octets[18:-12], octets[-12:]
    stream = cipher.encrypt(nonce, bytes(len(text)), None)[: len(text)]
    plain = bytes(a ^ b for a, b in zip(text, stream))
    assert cipher.encrypt(nonce, plain, associated)[len(text) :][:12] == tag, "wrong tag"
    return plain


def main() -> None:
    kind, path, *keys = sys.argv[1:]
    with open(path, "rb") as file:
        octets = file.read()
    if keys:
        octets = opened(octets, *(bytes.fromhex(key) for key in keys))
    # Its parser verifies the check sum where the specification has one.
    telegram = TelegramParser(getattr(telegram_specifications, kind)).parse(octets.decode("ascii"), throw_ex=True)
    values = {}
    for name, item in telegram:
        if isinstance(item, list):
            continue
        value = getattr(item, "value", None)
        values[name] = str(value)
    json.dump(values, sys.stdout)


if __name__ == "__main__":
    main()
