"""A meter served by the PyPI package gurux-dlms over the wrapper.

    gurux_meter.py CLIENT MECHANISM

with the mechanisms none and lls prints its port, and serves one connection after the other. The package leaves the socket
and what a meter does when it is read to its user; how requests are understood and answered is its own. Version 1.0.203
gets no further than this: its server fails with errors of its own (names that do not exist) at SNRM, SET, selective
access, objects that it does not have and the second block of an answer, and its AARE with ciphering is malformed.
"""

import socket
import sys
import traceback

from gurux_dlms import GXServerReply
from gurux_dlms.enums import AccessMode, Authentication, DataType, InterfaceType, MethodAccessMode, SourceDiagnostic
from gurux_dlms.objects import (
    GXDLMSAssociationLogicalName,
    GXDLMSCaptureObject,
    GXDLMSData,
    GXDLMSDisconnectControl,
    GXDLMSProfileGeneric,
    GXDLMSRegister,
)
from gurux_dlms.secure import GXDLMSSecureServer

ROWS = 240
PASSWORD = b"12345678"


class Reply(GXServerReply):
    """The package's own lacks a method that its server calls."""

    def setReply(self, value):
        self.reply = value

    def getConnectionInfo(self):
        return self.connectionInfo


class Meter(GXDLMSSecureServer):
    def __init__(self, client, mechanism):
        self.association = GXDLMSAssociationLogicalName()
        super().__init__(self.association, InterfaceType.WRAPPER)
        self.mechanism = mechanism
        self.association.clientSAP = client
        self.association.authenticationMechanismName.mechanismId = mechanism
        self.association.secret = PASSWORD

    def reportError(self, command, error):
        traceback.print_exc()
        return super().reportError(command, error)

    def isTarget(self, serverAddress, clientAddress):
        return serverAddress == 1

    def onValidateAuthentication(self, authentication, password):
        if authentication != self.mechanism:
            return SourceDiagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED
        if authentication == Authentication.LOW and bytes(password) != PASSWORD:
            return SourceDiagnostic.AUTHENTICATION_FAILURE
        return SourceDiagnostic.NONE

    def onFindObject(self, objectType, sn, ln):
        return None

    def onGetAttributeAccess(self, arg):
        return AccessMode.READ_WRITE

    def onGetMethodAccess(self, arg):
        return MethodAccessMode.ACCESS

    def _nothing(self, *args):
        pass

    # Its handlers call some by other names than its class has them.
    notifyRead = notifyPostRead = notifyPreWrite = notifyPostWrite = notifyAction = notifyPostAction = _nothing
    notifyWrite = notifyPreAction = notifyPreGet = notifyPostGet = _nothing
    onPreGet = onPostGet = onPreRead = onPostRead = onPreWrite = onPostWrite = _nothing
    onPreAction = onPostAction = onConnected = onInvalidConnection = onDisconnected = _nothing


def meter(client, mechanism):
    made = Meter(client, mechanism)
    name = GXDLMSData("0.0.42.0.0.255")
    name.value = b"OTHER0123"
    register = GXDLMSRegister("1.0.1.8.0.255")
    register.setDataType(2, DataType.UINT32)
    register.value, register.scaler, register.unit = 12345678, 0.01, 30
    relay = GXDLMSDisconnectControl("0.0.96.3.10.255")
    relay.outputState = True
    profile = GXDLMSProfileGeneric("1.0.99.1.0.255")
    profile.captureObjects = [(register, GXDLMSCaptureObject(2, 0)), (register, GXDLMSCaptureObject(2, 0))]
    profile.buffer = [[1000000 + row * 17, row * 7 % 1000] for row in range(ROWS)]
    profile.profileEntries = profile.entriesInUse = ROWS
    for item in (made.association, name, register, relay, profile):
        made.items.append(item)
        made.association.objectList.append(item)
    made.initialize()
    return made


def serve(made, connection):
    while True:
        received = connection.recv(65536)
        if not received:
            made.reset()
            return
        reply = Reply(received)
        made.handleRequest(reply)
        if reply.reply:
            connection.sendall(bytes(reply.reply))


def main():
    client, mechanism = sys.argv[1:]
    made = meter(int(client), {"none": Authentication.NONE, "lls": Authentication.LOW}[mechanism])
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            serve(made, connection)


if __name__ == "__main__":
    main()
