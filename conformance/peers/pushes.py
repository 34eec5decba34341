"""Has both implementations read notifications that a meter has pushed, and reports the values that they found.

    pushes.py PLAN.json REPORT.json

The plan has the keys in hex (encryption_key, authentication_key) and `pushes`, each with `link` ("wrapper" or "hdlc"),
`client`, `server` and `octets`, as they came, in hex. The report has `gurux-dlms` and `dlms-cosem`, each a list with the
body of each push, without the types of the implementation, or with what it said instead as {"error": ...}.
"""

import json
import sys

from gurux_dlms import GXByteBuffer, GXReplyData
from gurux_dlms.enums import Authentication, InterfaceType, Security
from gurux_dlms.secure import GXDLMSSecureClient

from dlms_cosem import utils
from dlms_cosem.hdlc import frames
from dlms_cosem.protocol.wrappers import WrapperProtocolDataUnit
from dlms_cosem.protocol.xdlms.data_notification import DataNotification
from dlms_cosem.protocol.xdlms.general_global_cipher import GeneralGlobalCipher

from session import plain


def by_gurux(plan: dict, push: dict):
    interface = InterfaceType.HDLC if push["link"] == "hdlc" else InterfaceType.WRAPPER
    client = GXDLMSSecureClient(True, push["client"], push["server"], Authentication.NONE, None, interface)
    client.ciphering.blockCipherKey = bytes.fromhex(plan["encryption_key"])
    client.ciphering.authenticationKey = bytes.fromhex(plan["authentication_key"])
    if push["ciphered"]:
        client.ciphering.security = Security.AUTHENTICATION_ENCRYPTION
    octets = GXByteBuffer(bytes.fromhex(push["octets"]))
    reply, notify = GXReplyData(), GXReplyData()
    # A notification in several frames is handed in frame after frame.
    while octets.position < octets.size:
        if client.getData(octets, reply, notify) and not notify.isMoreData():
            break
    return plain(notify.value)


def by_dlms_cosem(plan: dict, push: dict):
    octets = bytes.fromhex(push["octets"])
    if push["link"] == "hdlc":
        apdu = b""
        for frame in octets.strip(b"\x7e").split(b"\x7e\x7e"):
            apdu += frames.UnnumberedInformationFrame.from_bytes(b"\x7e" + frame + b"\x7e").payload
        # The LLC header of what a server sends.
        apdu = apdu[3:]
    else:
        apdu = WrapperProtocolDataUnit.from_bytes(octets).data
    if apdu[0] == GeneralGlobalCipher.TAG:
        # It knows lengths of one octet only in this APDU; this one may have more.
        assert apdu[1] == 8
        title, rest = apdu[2:10], apdu[10:]
        more = rest[0] & 0x7F if rest[0] & 0x80 else 0
        content = rest[1 + more:]
        ciphered = GeneralGlobalCipher(
            title,
            security_control=security_control(content[:1]),
            invocation_counter=int.from_bytes(content[1:5], "big"),
            ciphered_text=content[5:],
        )
        keys = [bytes.fromhex(plan[name]) for name in ("encryption_key", "authentication_key")]
        apdu = ciphered.to_plain_apdu(*keys)
    return plain(utils.parse_as_dlms_data(DataNotification.from_bytes(apdu).body))


def security_control(octet: bytes):
    from dlms_cosem.security import SecurityControlField

    return SecurityControlField.from_bytes(octet)


def attempt(read, plan: dict, push: dict):
    try:
        return read(plan, push)
    except Exception as error:  # noqa: BLE001: whatever an implementation says is what is reported
        return {"error": f"{type(error).__name__}: {error}"}


def main(plan_path: str, report_path: str):
    with open(plan_path, encoding="utf-8") as file:
        plan = json.load(file)
    report = {
        name: [attempt(read, plan, push) for push in plan["pushes"]]
        for name, read in (("gurux-dlms", by_gurux), ("dlms-cosem", by_dlms_cosem))
    }
    with open(report_path, "w", encoding="utf-8") as file:
        json.dump(report, file)


main(*sys.argv[1:])
