"""Key pairs, certificates and agreed keys of a meter's security setup (class 64, version 1), by gurux-dlms as the client
and the package cryptography (OpenSSL) as the certification authority.

    commissioning.py AUTHORITY CURVE

makes an authority: its private key goes to the file AUTHORITY, its certificate to standard output, in hex. `commission`
is what a plan's `commission` asks for.
"""

import datetime
import hashlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.x509.oid import NameOID

CURVES = {"P-256": (ec.SECP256R1(), hashes.SHA256()), "P-384": (ec.SECP384R1(), hashes.SHA384())}
# AlgorithmID of AES-GCM-128 and AES-GCM-256 in the key derivation.
ALGORITHMS = {1: (bytes.fromhex("60857405080300"), hashlib.sha256, 16), 2: (bytes.fromhex("60857405080301"), hashlib.sha384, 32)}


def name_of(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def usage_of(kind):
    """keyUsage: 0 digital signature, 1 key agreement, None an authority's."""
    flags = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "encipher_only", "decipher_only"), False
    )
    signs = kind is None
    return x509.KeyUsage(
        digital_signature=kind == 0, key_agreement=kind == 1, key_cert_sign=signs, crl_sign=signs, **flags
    )


def certificate(subject, key, kind, issuer_key, curve):
    """DER of a certificate of this authority."""
    issuer = issuer_key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(name_of("Peer root"))
        .public_key(key)
        .serial_number(x509.random_serial_number() >> 64)
        .not_valid_before(datetime.datetime(2024, 1, 1))
        .not_valid_after(datetime.datetime(2049, 12, 31))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(usage_of(kind), critical=True)
    )
    if kind is None:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(issuer_key, CURVES[curve][1]).public_bytes(serialization.Encoding.DER)


def raw(key):
    """X and Y of a public key."""
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)[1:]


def fixed(signature, curve):
    """R and S at their full width."""
    width = (curve.key_size + 7) // 8
    return b"".join(half.to_bytes(width, "big") for half in decode_dss_signature(signature))


def agreed_key(suite, own, others, client_title, meter_title):
    """One key of the suite's derivation, from an ephemeral pair."""
    algorithm, digest, length = ALGORITHMS[suite]
    secret = own.exchange(ec.ECDH(), others)
    return digest(b"\0\0\0\1" + secret + algorithm + client_title + meter_title).digest()[:length]


def commission(peer, wanted: dict) -> dict:
    """Everything that a head-end does with a new meter; what came of each step."""
    with open(wanted["authority"], "rb") as file:
        root = serialization.load_pem_private_key(file.read(), None)
    curve = wanted["curve"]
    client_title, meter_title = (bytes.fromhex(wanted[name]) for name in ("client_title", "meter_title"))
    steps, meter_keys = {}, []
    for kind in (0, 1):
        peer.setup_generate(kind)
        request = x509.load_der_x509_csr(peer.setup_request(kind))
        made = certificate(request.subject, request.public_key(), kind, root, curve)
        peer.setup_import(made)
        steps[f"request {kind}"] = [request.is_signature_valid, request.subject.rfc4514_string()]
        steps[f"export {kind}"] = peer.setup_export(0, kind, meter_title) == made
        meter_keys.append(request.public_key())
    signing = ec.derive_private_key(int(wanted["signing_key"], 16), CURVES[curve][0])
    own = certificate(name_of(client_title.hex().upper()), signing.public_key(), 0, root, curve)
    peer.setup_import(own)
    steps["export client"] = peer.setup_export(1, 0, client_title) == own
    forged = bytearray(own)
    forged[-1] ^= 1
    steps["forged"] = peer.refuses(lambda: peer.setup_import(bytes(forged)))

    # A key that nobody has ever sent: each side offers a point and signs it with the identifier of the key.
    group, digest = CURVES[curve]
    ephemeral = ec.generate_private_key(group)
    point = raw(ephemeral.public_key())
    answer = peer.setup_agree(0, point + fixed(signing.sign(b"\0" + point, ec.ECDSA(digest)), group))
    meter_point, signature = answer[: len(point)], answer[len(point) :]
    width = len(point) // 2
    halves = (int.from_bytes(half, "big") for half in (signature[:width], signature[width:]))
    # Raises when the signature is not the meter's.
    meter_keys[0].verify(encode_dss_signature(*halves), b"\0" + meter_point, ec.ECDSA(digest))
    steps["agreed"] = True
    others = ec.EllipticCurvePublicKey.from_encoded_point(group, b"\4" + meter_point)
    peer.use_key(agreed_key(wanted["suite"], ephemeral, others, client_title, meter_title))
    peer.setup_remove(1, 0, client_title)
    steps["removed"] = peer.refuses(lambda: peer.setup_export(1, 0, client_title))
    return steps


if __name__ == "__main__":
    path, curve_name = sys.argv[1:]
    private = ec.generate_private_key(CURVES[curve_name][0])
    with open(path, "wb") as output:
        output.write(
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    print(certificate(name_of("Peer root"), private.public_key(), None, private, curve_name).hex())
