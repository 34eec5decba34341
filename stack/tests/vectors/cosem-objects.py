"""Writes cosem-objects.toml: attributes of objects as gurux-dlms 1.0.203 (PyPI) encodes them in SET requests.

Run with the packages of conformance/peers/requirements.txt:

    python stack/tests/vectors/cosem-objects.py > stack/tests/vectors/cosem-objects.toml
"""

import datetime
import sys

import gurux_dlms.objects as objects
from gurux_dlms import GXDateTime, GXDLMSClient, GXUInt16, GXUInt32
from gurux_dlms.enums import Authentication, DataType, InterfaceType
from gurux_dlms.objects import (GXDLMSAccount, GXDLMSArrayManager, GXDLMSCharge, GXDLMSCredit, GXDLMSDisconnectControl,
                                GXDLMSFunctionControl, GXDLMSGSMDiagnostic, GXDLMSGprsSetup, GXDLMSIp4Setup,
                                GXDLMSIp6Setup, GXDLMSLimiter, GXDLMSLteMonitoring, GXDLMSMBusClient,
                                GXDLMSMacAddressSetup, GXDLMSParameterMonitor, GXDLMSPppSetup, GXDLMSPushSetup,
                                GXDLMSRegister, GXDLMSScriptTable, GXDLMSSecuritySetup, GXDLMSTcpUdpSetup,
                                GXDLMSTokenGateway)

CLIENT = GXDLMSClient(True, 16, 1, Authentication.NONE, None, InterfaceType.WRAPPER)
CLIENT.settings.maxPduSize = 0xFFFF
TIME = GXDateTime(datetime.datetime(2025, 5, 29, 10, 15, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=2))))
REGISTER = GXDLMSRegister("1.0.1.8.0.255")
SCRIPTS = GXDLMSScriptTable("0.0.10.0.106.255")
failures = []


def part(module, name=None):
    """A class that the package does not export."""
    return getattr(__import__("gurux_dlms.objects." + module, fromlist=[module]), name or module)


def write(thing, *indices):
    for index in indices:
        try:
            frames = CLIENT.write(thing, index)
        except Exception as error:  # What the library cannot write is listed at the end.
            failures.append(f"{thing.objectType} version {thing.version} attribute {index}: {error!r}")
            continue
        # Wrapper (8), set-request-normal and invoke id (3), class (2), logical name (6), attribute (1), no selection (1).
        octets = b"".join(bytes(frame) for frame in frames)[8 + 3 + 2 + 6 + 1 + 1:]
        print(f"\n[[vector]]\nclass = {int(thing.objectType)}\nversion = {thing.version}\nattribute = {index}")
        print(f'hex = "{octets.hex()}"')


def all_but(thing, *skipped):
    return [index for index in range(2, thing.getAttributeCount() + 1) if index not in skipped]


print("# Attributes of objects as gurux-dlms 1.0.203 (PyPI) encodes them in SET requests; written by cosem-objects.py.")

push = GXDLMSPushSetup("0.7.25.9.0.255")
push.destination = "10.0.0.1:4059"
push.communicationWindow.append((TIME, TIME))
push.randomisationStartInterval, push.numberOfRetries, push.repetitionDelay = 300, 3, 60
push.repetitionDelay2.min, push.repetitionDelay2.exponent, push.repetitionDelay2.max = 10, 150, 600
push.portReference, push.pushClientSAP = GXDLMSTcpUdpSetup("0.0.25.0.0.255"), 1
push.confirmationParameters.startDate, push.confirmationParameters.interval = TIME, 86400
push.lastConfirmationDateTime = TIME
captured = part("GXDLMSCaptureObject")()
captured.attributeIndex, captured.dataIndex = 2, 0
for version in (0, 1, 2):
    push.version = version
    push.pushObjectList = [(REGISTER, captured)]
    write(push, *range(2, {0: 7, 1: 9, 2: 13}[version] + 1))

tcp = GXDLMSTcpUdpSetup("0.0.25.0.0.255")
tcp.ipReference, tcp.maximumSimultaneousConnections = "0.0.25.1.0.255", 2
write(tcp, *all_but(tcp))

ip4 = GXDLMSIp4Setup("0.0.25.1.0.255")
ip4.dataLinkLayerReference, ip4.ipAddress = "0.0.25.3.0.255", "192.168.0.1"
ip4.multicastIPAddress = ["224.0.0.1"]
option = part("GXDLMSIp4SetupIpOption")()
option.type_, option.length, option.data = 0x07, 3, bytearray(b"\x01")
ip4.ipOptions = [option]
ip4.subnetMask, ip4.gatewayIPAddress = "255.255.255.0", "192.168.0.254"
ip4.primaryDNSAddress, ip4.secondaryDNSAddress, ip4.useDHCP = "10.0.0.2", "10.0.0.3", True
write(ip4, *all_but(ip4))

mac = GXDLMSMacAddressSetup("0.0.25.2.0.255")
mac.macAddress = "00:11:22:33:44:55"
write(mac, 2)

ppp = GXDLMSPppSetup("0.0.25.3.0.255")
ppp.phyReference = "0.0.2.0.0.255"
lcp = part("GXDLMSPppSetupLcpOption")()
lcp.type_, lcp.length, lcp.data = 1, 4, GXUInt16(1500)
ppp.lcpOptions = [lcp]
ipcp = part("GXDLMSPppSetupIPCPOption")()
ipcp.type_, ipcp.length, ipcp.data = 3, 6, GXUInt32(0x0A000001)
ppp.ipcpOptions = [ipcp]
ppp.userName, ppp.password = bytearray(b"user"), bytearray(b"secret")
write(ppp, *all_but(ppp))

gprs = GXDLMSGprsSetup("0.0.25.4.0.255")
gprs.apn, gprs.pinCode = "meters.example", 1234
for number, quality in enumerate((gprs.defaultQualityOfService, gprs.requestedQualityOfService)):
    quality.precedence, quality.delay, quality.reliability = 1 + number, 2, 3
    quality.peakThroughput, quality.meanThroughput = 4, 5
write(gprs, *all_but(gprs))

gsm = GXDLMSGSMDiagnostic("0.0.25.6.0.255")
gsm.operator, gsm.status, gsm.captureTime = "Operator", 1, TIME
cell = gsm.cellInfo
cell.cellId, cell.locationId, cell.signalQuality, cell.ber = 513, 1027, 20, 0
cell.mobileCountryCode, cell.mobileNetworkCode, cell.channelNumber = 204, 8, 6400
adjacent = part("GXAdjacentCell")()
adjacent.cellId, adjacent.signalQuality = 514, 11
gsm.adjacentCells = [adjacent]
for version in (0, 1):
    gsm.version = version
    write(gsm, *all_but(gsm))

ip6 = GXDLMSIp6Setup("0.0.25.7.0.255")
ip6.dataLinkLayerReference, ip6.trafficClass = "0.0.25.2.0.255", 3
ip6.unicastIPAddress, ip6.primaryDNSAddress, ip6.secondaryDNSAddress = ["2001:db8::1"], "2001:db8::2", "2001:db8::3"
discovery = part("GXNeighborDiscoverySetup")()
discovery.maxRetry, discovery.retryWaitTime, discovery.sendPeriod = 3, 10000, 60000
ip6.neighborDiscoverySetup = [discovery]
write(ip6, *all_but(ip6))

security = GXDLMSSecuritySetup("0.0.43.0.0.255")
security.clientSystemTitle, security.serverSystemTitle = bytearray(b"MMM\0\0\0\0\1"), bytearray(b"MMM\0\0\xbc\x61\x4e")
certificate = part("GXDLMSCertificateInfo")()
certificate.serialNumber, certificate.issuer, certificate.subject = 0x1234, "CN=Issuer", "CN=Subject"
certificate.subjectAltName = ""
security.certificates = [certificate]
for version in (0, 1):
    security.version = version
    write(security, *([2, 3, 4, 5] if version == 0 else [2, 3, 4, 5, 6]))

monitor = GXDLMSParameterMonitor("0.0.16.2.0.255")
monitor.changedParameter.target, monitor.changedParameter.attributeIndex = REGISTER, 3
monitor.changedParameter.value = GXUInt32(7)
monitor.captureTime = TIME
target = part("GXDLMSTarget")()
target.target, target.attributeIndex = REGISTER, 2
monitor.parameters = [target]
write(monitor, *all_but(monitor))

control = GXDLMSDisconnectControl("0.0.96.3.10.255")
control.outputState, control.controlState, control.controlMode = True, 1, 4
write(control, *all_but(control))

limiter = GXDLMSLimiter("0.0.17.0.0.255")
limiter.monitoredValue, limiter.monitoredAttributeIndex = REGISTER, 2
limiter.thresholdActive = limiter.thresholdNormal = GXUInt32(5000)
limiter.thresholdEmergency = GXUInt32(1000)
limiter.minOverThresholdDuration, limiter.minUnderThresholdDuration = 60, 30
limiter.emergencyProfile.id, limiter.emergencyProfile.duration = 7, 3600
limiter.emergencyProfile.activationTime = TIME
limiter.emergencyProfileGroupIDs, limiter.emergencyProfileActive = [7, 8], False
limiter.actionOverThreshold.logicalName = limiter.actionUnderThreshold.logicalName = SCRIPTS.logicalName
limiter.actionOverThreshold.scriptSelector, limiter.actionUnderThreshold.scriptSelector = 1, 2
for threshold in (3, 4, 5):
    limiter.setDataType(threshold, DataType.UINT32)
write(limiter, *all_but(limiter))

mbus = GXDLMSMBusClient("0.1.24.1.0.255")
mbus.mBusPortReference, mbus.capturePeriod, mbus.primaryAddress = "0.0.24.6.0.255", 3600, 1
mbus.captureDefinition = [(bytearray(b"\x0c"), bytearray(b"\x13"))]
mbus.manufacturerID, mbus.dataHeaderVersion, mbus.deviceType = 0x2C2D, 27, 3
mbus.accessNumber, mbus.status, mbus.alarm, mbus.configuration, mbus.encryptionKeyStatus = 5, 0, 0, 0x0510, 4
for version in (0, 1):
    mbus.version, mbus.identificationNumber = version, 12345678
    write(mbus, *range(2, 13 + 2 * version))

ports = objects.GXDLMSMBusMasterPortSetup("0.0.24.6.0.255")
write(ports, 2)

ntp = part("GXDLMSNtpSetup")("0.0.25.10.0.255")
ntp.activated, ntp.serverAddress, ntp.authentication = True, "ntp.example", 1
ntp.keys, ntp.clientKey = {5: bytearray(b"key")}, bytearray(b"client")
write(ntp, *all_but(ntp))

account = GXDLMSAccount("0.0.19.0.0.255")
account.paymentMode, account.accountStatus, account.currentCreditInUse = 2, 2, 1
account.availableCredit, account.amountToClear, account.clearanceThreshold, account.aggregatedDebt = 1000, -5, 10, 20
account.creditReferences, account.chargeReferences = ["0.0.19.10.0.255"], ["0.0.19.20.0.255"]
pair = part("GXCreditChargeConfiguration")()
pair.creditReference, pair.chargeReference = "0.0.19.10.0.255", "0.0.19.20.0.255"
account.creditChargeConfigurations = [pair]
share = part("GXTokenGatewayConfiguration")()
share.creditReference, share.tokenProportion = "0.0.19.10.0.255", 100
account.tokenGatewayConfigurations = [share]
account.accountActivationTime = account.accountClosureTime = TIME
account.currency.name, account.currency.scale, account.currency.unit = "EUR", -2, 2
account.lowCreditThreshold, account.nextCreditAvailableThreshold = 500, 100
account.maxProvision, account.maxProvisionPeriod = 3, 86400
write(account, *all_but(account))

credit = GXDLMSCredit("0.0.19.10.0.255")
credit.currentCreditAmount, credit.type_, credit.priority, credit.warningThreshold, credit.limit = 100, 2, 1, 50, -10
credit.status, credit.presetCreditAmount, credit.creditAvailableThreshold, credit.period = 3, 10, 5, TIME
write(credit, *all_but(credit))

charge = GXDLMSCharge("0.0.19.20.0.255")
charge.totalAmountPaid, charge.chargeType, charge.priority = 70, 1, 2
for unit in (charge.unitChargeActive, charge.unitChargePassive):
    unit.chargePerUnitScaling.commodityScale, unit.chargePerUnitScaling.priceScale = 3, -2
    unit.commodity.target, unit.commodity.index = REGISTER, 2
    price = part("GXChargeTable")()
    price.index, price.chargePerUnit = "T1", 31
    unit.chargeTables = [price]
charge.unitChargeActivationTime = charge.lastCollectionTime = TIME
charge.period, charge.lastCollectionAmount, charge.totalAmountRemaining, charge.proportion = 3600, 4, 1234, 500
write(charge, *all_but(charge))

gateway = GXDLMSTokenGateway("0.0.19.40.0.255")
gateway.token, gateway.time, gateway.descriptions = bytearray(b"12345"), TIME, ["credit"]
gateway.deliveryMethod, gateway.statusCode, gateway.dataValue = 1, 3, "101"
write(gateway, *all_but(gateway))

functions = GXDLMSFunctionControl("0.0.44.1.0.255")
functions.activationStatus = [("F1", True)]
functions.functionList = [("F1", [REGISTER])]
write(functions, 2, 3)

manager = GXDLMSArrayManager("0.0.18.0.0.255")
item = part("GXDLMSArrayManagerItem")()
item.id, item.element = 1, part("GXDLMSTargetObject")()
item.element.target, item.element.attribute_index = REGISTER, 2
manager.elements = [item]
write(manager, 2)

protection = part("GXDLMSCommunicationPortProtection")("0.0.44.2.0.255")
try:
    protection.protectionMode, protection.allowedFailedAttempts, protection.initialLockoutTime = 1, 3, 60
    protection.steepnessFactor, protection.maxLockoutTime, protection.port = 2, 3600, REGISTER
    protection.protectionStatus, protection.failedAttempts, protection.cumulativeFailedAttempts = 1, 4, 9
except AttributeError as error:
    failures.append(repr(error))
write(protection, *range(2, 11))

lte = GXDLMSLteMonitoring("0.0.25.11.0.255")
network, quality = lte.networkParameters, lte.qualityOfService
for name, number in {"t3402": 720, "t3412": 3240, "t3412ext2": 86400, "t3324": 60, "teDRX": 512, "tPTW": 256,
                     "qRxlevMin": -70, "qRxlevMinCE": -80, "qRxLevMinCE1": -90}.items():
    setattr(network, name, number)
for name, number in {"signalQuality": 20, "signalLevel": -90, "signalToNoiseRatio": 11, "coverageEnhancement": 1}.items():
    setattr(quality, name, number)
lte.version = 1
write(lte, 2, 3)

for failure in failures:
    print("# not written:", failure, file=sys.stderr)
