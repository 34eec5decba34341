"""A client built on the PyPI package dlms-cosem."""

import logging
import socket

import structlog
from dlms_cosem import cosem, enumerations, utils
from dlms_cosem.client import DataResultError, DlmsClient
from dlms_cosem.cosem.capture_object import CaptureObject
from dlms_cosem.cosem.selective_access import RangeDescriptor
from dlms_cosem.hdlc import frames
from dlms_cosem.io import BlockingTcpIO, HdlcTransport, TcpTransport
from dlms_cosem.security import (
    HighLevelSecurityCommonAuthentication,
    HighLevelSecurityGmacAuthentication,
    LowLevelSecurityAuthentication,
    NoSecurityAuthentication,
)

from session import Attribute, Refused, Session, plain

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


def attribute_of(attribute: Attribute) -> cosem.CosemAttribute:
    return cosem.CosemAttribute(
        enumerations.CosemInterface(attribute.class_id),
        cosem.Obis(*(int(part) for part in attribute.obis.split("."))),
        attribute.index,
    )


class DatagramIO:
    """The package has no datagrams: what its transport for TCP asks for, out of one datagram for each APDU."""

    def __init__(self, host, port, timeout):
        self.address, self.timeout = (host, port), timeout
        self.socket, self.buffered = None, b""

    def connect(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(self.timeout)
        self.socket.connect(self.address)

    def disconnect(self):
        self.socket.close()

    def send(self, data):
        self.socket.send(data)

    def recv(self, amount=1):
        if not self.buffered:
            self.buffered = self.socket.recv(65536)
        octets, self.buffered = self.buffered[:amount], self.buffered[amount:]
        return octets


class PatientHdlcTransport(HdlcTransport):
    """The package's own reader takes a flag octet that ends a check sequence for the start of the next frame."""

    def recv_frame(self):
        return self.io.recv_until(frames.HDLC_FLAG)


class DlmsCosemPeer:
    name = "dlms-cosem"

    def __init__(self, session: Session):
        connection = DatagramIO if session.link == "udp" else BlockingTcpIO
        io = connection(host=session.host, port=session.port, timeout=session.timeout)
        transport = PatientHdlcTransport if session.link == "hdlc" else TcpTransport
        authentication = {
            "none": NoSecurityAuthentication,
            "lls": lambda: LowLevelSecurityAuthentication(secret=session.password),
            "hls2": lambda: HighLevelSecurityCommonAuthentication(secret=session.password),
            "gmac": lambda: HighLevelSecurityGmacAuthentication(challenge_length=16),
        }[session.mechanism]()
        self.client = DlmsClient(
            transport=transport(
                client_logical_address=session.client, server_logical_address=session.server, io=io
            ),
            authentication=authentication,
            encryption_key=session.encryption_key or None,
            authentication_key=session.authentication_key or None,
            client_system_title=session.client_title or None,
            client_initial_invocation_counter=session.invocation_counter,
            max_pdu_size=session.max_pdu,
        )

    def open(self):
        self.client.connect()
        self.client.associate()

    @property
    def counter(self) -> int:
        """The next invocation counter of the client."""
        return self.client.client_invocation_counter

    def read(self, attribute: Attribute):
        return self._get(attribute, None)

    def read_range(self, attribute: Attribute, start, end):
        clock = CaptureObject(attribute_of(Attribute(8, "0.0.1.0.0.255", 2)))
        return self._get(attribute, RangeDescriptor(clock, start, end))

    def read_entries(self, attribute: Attribute, first: int, last: int):
        raise NotImplementedError("dlms-cosem 25.1.0 cannot encode an entry descriptor")

    def close(self):
        self.client.release_association()
        self.client.disconnect()

    def _get(self, attribute: Attribute, selection):
        try:
            octets = self.client.get(attribute_of(attribute), selection)
        except DataResultError as error:
            raise Refused(str(error)) from error
        return plain(utils.parse_as_dlms_data(octets))
