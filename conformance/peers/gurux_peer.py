"""A client built on the PyPI package gurux-dlms."""

import os
import socket
from types import SimpleNamespace

from gurux_dlms import GXByteBuffer, GXDateTime, GXReplyData
from gurux_dlms.GXDLMSAccessItem import GXDLMSAccessItem
from gurux_dlms.enums import AccessServiceCommandType, Authentication, Conformance, DataType, InterfaceType, ObjectType, RequestTypes, Security
from gurux_dlms.enums.AccessMode import AccessMode
from gurux_dlms.ecdsa import GXPrivateKey, GXPublicKey
from gurux_dlms.objects.enums import CertificateEntity, CertificateType, GlobalKeyType, SecuritySuite
from gurux_dlms.objects import GXDLMSProfileGeneric, GXDLMSSecuritySetup
from gurux_dlms.secure import GXDLMSSecureClient

from session import Attribute, Refused, Session, plain

MECHANISMS = {
    "none": Authentication.NONE,
    "lls": Authentication.LOW,
    "hls2": Authentication.HIGH,
    "md5": Authentication.HIGH_MD5,
    "sha1": Authentication.HIGH_SHA1,
    "gmac": Authentication.HIGH_GMAC,
    "sha256": Authentication.HIGH_SHA256,
    "ecdsa": Authentication.HIGH_ECDSA,
}


class GuruxPeer:
    name = "gurux-dlms"

    def __init__(self, session: Session):
        self.session = session
        self.socket = None
        self.by_short_name = session.referencing == "short-name"
        self.known = None
        interface = InterfaceType.HDLC if session.link == "hdlc" else InterfaceType.WRAPPER
        password = session.password or None
        client = GXDLMSSecureClient(
            not self.by_short_name, session.client, session.server, MECHANISMS[session.mechanism], password, interface
        )
        client.maxReceivePDUSize = session.max_pdu
        client.proposedConformance |= Conformance.PRIORITY_MGMT_SUPPORTED
        if session.general:
            client.proposedConformance |= Conformance.GENERAL_PROTECTION
        else:
            client.proposedConformance &= ~Conformance.GENERAL_PROTECTION
        if self.by_short_name:
            client.proposedConformance |= Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
        if session.general_blocks:
            client.proposedConformance |= Conformance.GENERAL_BLOCK_TRANSFER | Conformance.ACCESS
            # With both, the meter answers a GET in blocks of its own.
            client.proposedConformance &= ~Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
            # It reads on behind a burst only when all of it arrives at once.
            client.setGbtWindowSize(1)
        client.hdlcSettings.maxInfoTX = session.information_field
        client.hdlcSettings.maxInfoRX = session.information_field
        client.hdlcSettings.windowSizeTX = session.window
        client.hdlcSettings.windowSizeRX = session.window
        if session.ciphered:
            client.ciphering.security = Security.AUTHENTICATION_ENCRYPTION
            client.ciphering.systemTitle = session.client_title
            client.ciphering.blockCipherKey = session.encryption_key
            client.ciphering.authenticationKey = session.authentication_key
            client.ciphering.invocationCounter = session.invocation_counter
            client.ciphering.dedicatedKey = session.dedicated_key or None
        elif session.client_title:
            client.ciphering.systemTitle = session.client_title
        if session.suite:
            client.ciphering.securitySuite = SecuritySuite(session.suite)
        if session.signing_key:
            own = GXPrivateKey.fromRawBytes(session.signing_key)
            # The point is uncompressed.
            others = GXPublicKey.fromRawBytes(b"\x04" + session.verifying_key) if session.verifying_key else None
            client.ciphering.signingKeyPair = (others, own)
        if session.mechanism == "ecdsa":
            # Its own challenges are too short for this mechanism.
            client.settings.useCustomChallenge = True
            client.settings.setCtoSChallenge(os.urandom(32))
        self.client = client

    def open(self):
        if self.session.link == "udp":
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.settimeout(self.session.timeout)
            self.socket.connect((self.session.host, self.session.port))
        else:
            self.socket = socket.create_connection((self.session.host, self.session.port), self.session.timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        snrm = self.client.snrmRequest()
        if snrm:
            self.client.parseUAResponse(self._exchange([snrm]).data)
        self.client.parseAareResponse(self._exchange(self.client.aarqRequest()).data)
        if self.client.getIsAuthenticationRequired():
            reply = self._exchange(self.client.getApplicationAssociationRequest())
            self.client.parseApplicationAssociationResponse(reply.data)

    @property
    def counter(self) -> int:
        """The next invocation counter of the client."""
        return self.client.ciphering.invocationCounter

    def read(self, attribute: Attribute):
        if self.by_short_name:
            return plain(self._exchange(self.client.read(self._find(attribute), attribute.index)).value)
        request = self.client._read(attribute.obis, ObjectType(attribute.class_id), attribute.index)
        return plain(self._exchange(request).value)

    def _find(self, attribute: Attribute):
        """The object with its short name, which only the object list tells."""
        if self.known is None:
            self.known = list(self.objects())
        for item in self.known:
            if int(item.objectType) == attribute.class_id and item.logicalName == attribute.obis:
                return item
        raise Refused(f"{attribute.obis} is not in the object list")

    def objects(self):
        """The object list as this implementation parses it, with access rights."""
        reply = self._exchange([self.client.getObjectsRequest()])
        return self.client.parseObjects(reply.data, True, False)

    def readable(self, item):
        """Indices of the attributes that the object list grants for reading."""
        granted = (AccessMode.READ, AccessMode.READ_WRITE, AccessMode.AUTHENTICATED_READ, AccessMode.AUTHENTICATED_READ_WRITE)
        return [index for index in range(1, item.getAttributeCount() + 1) if item.getAccess(index) in granted]

    def read_typed(self, item, index):
        """Reads an attribute and has the implementation's own class parse it."""
        reply = self._exchange(self.client.read(item, index))
        try:
            self.client.updateValue(item, index, reply.value)
        except IndexError:
            # Some of its classes (28, version 2) have fewer values than attributes.
            pass
        return plain(reply.value)

    def read_range(self, attribute: Attribute, start, end):
        profile = GXDLMSProfileGeneric(attribute.obis)
        request = self.client.readRowsByRange(profile, GXDateTime(start), GXDateTime(end))
        return plain(self._exchange(request).value)

    def read_entries(self, attribute: Attribute, first: int, last: int):
        profile = self._find(attribute) if self.by_short_name else GXDLMSProfileGeneric(attribute.obis)
        request = self.client.readRowsByEntry(profile, first, last - first + 1)
        return plain(self._exchange(request).value)

    def transfer_key(self, master: bytes, key: bytes):
        """Replaces the unicast key by key_transfer, and goes on with the new one."""
        setup = GXDLMSSecuritySetup("0.0.43.0.0.255")
        keys = [(GlobalKeyType.UNICAST_ENCRYPTION, key)]
        self._exchange(setup.globalKeyTransfer(self.client, master, keys))
        self.use_key(key)

    def _setup(self):
        setup = GXDLMSSecuritySetup("0.0.43.0.0.255")
        setup.version = 1
        return setup

    def setup_generate(self, kind):
        """A new key pair of the meter for certificates of this kind."""
        self._exchange(self._setup().generateKeyPair(self.client, CertificateType(kind)))

    def setup_request(self, kind) -> bytes:
        """The request for a certificate of the pair."""
        return bytes(self._exchange(self._setup().generateCertificate(self.client, CertificateType(kind))).value)

    def setup_import(self, certificate: bytes):
        # Its own parser fails on a keyUsage that is critical, as the profile of DLMS has it.
        self._exchange(self._setup().importCertificate(self.client, SimpleNamespace(encoded=certificate)))

    def _named(self, method, entity, kind, title):
        return method(self.client, CertificateEntity(entity), CertificateType(kind), title)

    def setup_export(self, entity, kind, title) -> bytes:
        return bytes(self._exchange(self._named(self._setup().exportCertificateByEntity, entity, kind, title)).value)

    def setup_remove(self, entity, kind, title):
        self._exchange(self._named(self._setup().removeCertificateByEntity, entity, kind, title))

    def setup_agree(self, kind, offer: bytes) -> bytes:
        """Offers a signed point; what the meter offers. Its own method for that ends in an error of its own."""
        parameter = bytes([1, 1, 2, 2, 0x16, kind, 9, 0x81, len(offer)]) + offer
        reply = self._exchange(self.client.method(self._setup(), 3, parameter, DataType.ARRAY))
        return bytes(reply.value[0][1])

    def refuses(self, action) -> bool:
        """Whether the meter refuses what an action asks for."""
        try:
            action()
        except Refused:
            return True
        return False

    def use_key(self, key: bytes):
        """Goes on with another unicast key."""
        self.client.ciphering.blockCipherKey = key
        self.client.ciphering.invocationCounter = 0

    def read_access(self, attributes):
        """Reads several attributes by ACCESS; the values as its own object model takes them."""
        items = []
        for attribute in attributes:
            target = self.client.createObject(ObjectType(attribute.class_id))
            target.logicalName = attribute.obis
            # What the request takes for an event looks here for the settings.
            target.settings = self.client.settings
            items.append(GXDLMSAccessItem(AccessServiceCommandType.GET, target, attribute.index))
        reply = self._exchange(self.client.accessRequest(None, items))
        self.client.parseAccessResponse(items, reply.data)
        return [[int(item.error), plain(item.value)] for item in items]

    def close(self):
        if self.socket is None:
            return
        try:
            release = self.client.releaseRequest()
            if release:
                self._exchange(release)
            if self.session.link == "hdlc":
                self._exchange([self.client.disconnectRequest(True)])
        finally:
            self.socket.close()
            self.socket = None

    def _exchange(self, requests):
        """Sends the messages of one request and gathers frames and blocks of its answer."""
        reply = GXReplyData()
        for request in requests:
            self._send_and_receive(request, reply)
        acknowledgement = 0
        while reply.isMoreData():
            if reply.moreData == RequestTypes.GBT:
                # Its settings lack the number that its own acknowledgement of a block is to have.
                acknowledgement += 1
                self.client.settings.blockNumber = acknowledgement
            self._send_and_receive(None if reply.isStreaming() else self.client.receiverReady(reply), reply)
        return reply

    def _send_and_receive(self, request, reply):
        if request:
            self.socket.sendall(bytes(request))
        reply.complete = False
        octets = GXByteBuffer()
        notify = GXReplyData()
        while not self.client.getData(octets, reply, notify):
            received = self.socket.recv(65536)
            if not received:
                raise ConnectionError("the meter closed the connection")
            octets.set(received)
        if reply.error:
            raise Refused(reply.getErrorMessage())
