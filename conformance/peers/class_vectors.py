#!/usr/bin/env python3
"""Prints attributes of COSEM objects as gurux-dlms encodes them: stack/tests/vectors/classes.toml.

Left out is what that version of gurux-dlms cannot encode or encodes for another version of the class than it says:
thresholds of class 21, class 24, class 12, and class 27 version 0.
"""

import datetime

import gurux_dlms.objects.enums as en
from gurux_dlms import GXByteBuffer, GXDate, GXDateTime, GXDLMSSettings, GXTime, ValueEventArgs
from gurux_dlms.enums import DataType, ObjectType, Unit
from gurux_dlms.internal._GXCommon import _GXCommon
from gurux_dlms.objects import *

settings = GXDLMSSettings(True, None)


def encode(obj, index):
    value = obj.getValue(settings, ValueEventArgs(settings, obj, index))
    kind = obj.getDataType(index)
    if kind in (DataType.ARRAY, DataType.STRUCTURE):
        octets = value.array() if hasattr(value, "array") else value
    else:
        out = GXByteBuffer()
        _GXCommon.setData(settings, out, kind, value)
        octets = out.array()
    return bytes(octets).hex().upper()


def vector(name, obj, version, index):
    print(f'{name} = "{encode(obj, index)}"')


print("""# Attributes as gurux-dlms 1.0.203 (PyPI) encodes them, made by conformance/peers/class_vectors.py.
# The name is that of the class's module, v0 for version 0 where there is a newer one, and the attribute.""")

r = GXDLMSRegisterActivation("0.0.14.0.1.255")
r.registerAssignment = [
    GXDLMSObjectDefinition(ObjectType.REGISTER, "1.0.1.8.1.255"),
    GXDLMSObjectDefinition(ObjectType.EXTENDED_REGISTER, "1.0.1.8.2.255"),
]
r.maskList = [(b"R1", [1]), (b"R2", [1, 2])]
r.activeMask = bytearray(b"R2")
for i in (2, 3, 4):
    vector(f"register_activation_{i}", r, 0, i)

s = GXDLMSScriptTable("0.0.10.0.106.255")
a = GXDLMSScriptAction()
a.type_ = en.ScriptActionType.EXECUTE
a.objectType = ObjectType.DISCONNECT_CONTROL
a.target = GXDLMSDisconnectControl("0.0.96.3.10.255")
a.logicalName = "0.0.96.3.10.255"
a.index = 1
a.parameter = 0
a.parameterDataType = DataType.INT8
b = GXDLMSScriptAction()
b.type_ = en.ScriptActionType.WRITE
b.objectType = ObjectType.REGISTER_ACTIVATION
b.target = GXDLMSRegisterActivation("0.0.14.0.1.255")
b.logicalName = "0.0.14.0.1.255"
b.index = 4
b.parameter = b"R1"
b.parameterDataType = DataType.OCTET_STRING
x = GXDLMSScript()
x.id = 1
x.actions = [a]
y = GXDLMSScript()
y.id = 2
y.actions = [b, a]
s.scripts = [x, y]
vector("script_table_2", s, 0, 2)

c = GXDLMSSchedule("0.0.12.0.0.255")
e = GXDLMSScheduleEntry()
e.index = 7
e.enable = True
e.logicalName = "0.0.10.0.100.255"
e.scriptSelector = 3
e.switchTime = GXTime(datetime.datetime(2026, 1, 1, 6, 30, 0))
e.validityWindow = 0xFFFF

e.execWeekdays = en.Weekdays.MONDAY | en.Weekdays.SATURDAY
e.execSpecDays = "101"
e.beginDate = GXDate(datetime.datetime(2026, 3, 1))
e.endDate = GXDate(datetime.datetime(2026, 10, 31))
c.entries = [e]
vector("schedule_2", c, 0, 2)

d = GXDLMSSpecialDaysTable("0.0.11.0.0.255")
p = GXDLMSSpecialDay()
p.index = 1
p.date = GXDate(datetime.datetime(2026, 12, 25))
p.dayId = 2
d.entries = [p]
vector("special_days_table_2", d, 0, 2)

i = GXDLMSImageTransfer("0.0.44.0.0.255")
i.imageBlockSize = 200
i.imageTransferredBlocksStatus = "1110"
i.imageFirstNotTransferredBlockNumber = 3
i.imageTransferEnabled = True
i.imageTransferStatus = en.ImageTransferStatus.IMAGE_TRANSFER_INITIATED
ia = GXDLMSImageActivateInfo()
ia.size = 700
ia.identification = b"FW-1"
ia.signature = b"\x01\x02"
i.imageActivateInfo = [ia]
for k in (2, 3, 4, 5, 6, 7):
    vector(f"image_transfer_{k}", i, 0, k)

l = GXDLMSIECLocalPortSetup("0.0.20.0.0.255")
l.defaultMode = en.OpticalProtocolMode.NET
l.defaultBaudrate = en.BaudRate.BAUDRATE_300
l.proposedBaudrate = en.BaudRate.BAUDRATE_9600
l.responseTime = en.LocalPortResponseTime.ms200
l.deviceAddress = "12345"
l.password1 = "11111111"
l.password2 = "2"
l.password5 = "55"
for k in range(2, 10):
    vector(f"local_port_setup_{k}", l, 1, k)

t = GXDLMSActivityCalendar("0.0.13.0.0.255")
t.calendarNameActive = "A"
t.calendarNamePassive = "P1"
sp = GXDLMSSeasonProfile()
sp.name = b"S"
sp.start = GXDateTime(datetime.datetime(2026, 4, 1, 0, 0, 0))
sp.weekName = b"W"
w = GXDLMSWeekProfile()
w.name = b"W"
w.monday = w.tuesday = w.wednesday = w.thursday = w.friday = 1
w.saturday = 2
w.sunday = 3
da = GXDLMSDayProfileAction()
da.startTime = GXTime(datetime.datetime(2026, 1, 1, 22, 0, 0))
da.scriptLogicalName = "0.0.10.0.100.255"
da.scriptSelector = 2
dp = GXDLMSDayProfile()
dp.dayId = 1
dp.daySchedules = [da]
t.seasonProfileActive = t.seasonProfilePassive = [sp]
t.weekProfileTableActive = t.weekProfileTablePassive = [w]
t.dayProfileTableActive = t.dayProfileTablePassive = [dp]
t.time = GXDateTime(datetime.datetime(2026, 5, 1, 0, 0, 0))
for k in range(2, 11):
    vector(f"activity_calendar_{k}", t, 0, k)

m = GXDLMSRegisterMonitor("0.0.16.1.0.255")
m.thresholds = [1000, 2000]
m.monitoredValue.objectType = ObjectType.REGISTER
m.monitoredValue.logicalName = "1.0.1.7.0.255"
m.monitoredValue.attributeIndex = 2
ac = GXDLMSActionSet()
ac.actionUp.logicalName = "0.0.10.0.106.255"
ac.actionUp.scriptSelector = 1
ac.actionDown.logicalName = "0.0.10.0.106.255"
ac.actionDown.scriptSelector = 2
m.actions = [ac]
for k in (3, 4):
    vector(f"register_monitor_{k}", m, 0, k)

g = GXDLMSActionSchedule("0.0.15.0.0.255")
g.target = GXDLMSScriptTable("0.0.10.0.1.255")
g.executedScriptLogicalName = "0.0.10.0.1.255"
g.executedScriptSelector = 1
g.type_ = en.SingleActionScheduleType.SingleActionScheduleType1
g.executionTime = [GXDateTime(datetime.datetime(2026, 3, 1, 1, 2, 3))]
for k in (2, 3, 4):
    vector(f"single_action_schedule_{k}", g, 0, k)

h = GXDLMSHdlcSetup("0.0.22.0.0.255")
h.communicationSpeed = en.BaudRate.BAUDRATE_9600
h.windowSizeTransmit = 1
h.windowSizeReceive = 7
h.maximumInfoLengthTransmit = 248
h.maximumInfoLengthReceive = 2030
h.interCharachterTimeout = 25
h.inactivityTimeout = 120
h.deviceAddress = 0x11
for k in range(2, 10):
    vector(f"hdlc_setup_{k}", h, 1, k)
h.version = 0
h.maximumInfoLengthTransmit = 128
h.maximumInfoLengthReceive = 128
for k in (5, 6):
    vector(f"hdlc_setup_v0_{k}", h, 0, k)


mb = GXDLMSMBusSlavePortSetup("0.0.24.6.0.255")
mb.defaultBaud = en.BaudRate.BAUDRATE_300
mb.availableBaud = en.BaudRate.BAUDRATE_2400
mb.addressState = en.AddressState.ASSIGNED
mb.busAddress = 9
for k in range(2, 6):
    vector(f"mbus_slave_port_setup_{k}", mb, 0, k)

u = GXDLMSUtilityTables("0.0.65.0.0.255")
u.tableId = 23
u.buffer = bytearray([1, 2, 3])
for k in (2, 3, 4):
    vector(f"utility_tables_{k}", u, 0, k)

mo = GXDLMSModemConfiguration("0.0.2.0.0.255")
mi = GXDLMSModemInitialisation()
mi.request = "ATZ"
mi.response = "OK"
mi.delay = 500
mo.initialisationStrings = [mi]
mo.communicationSpeed = en.BaudRate.BAUDRATE_9600
mo.modemProfile = ["OK", "CONNECT"]
mo.version = 1
for k in (2, 3, 4):
    vector(f"modem_configuration_{k}", mo, 1, k)

aa = GXDLMSAutoAnswer("0.0.2.2.0.255")
st = GXDateTime(datetime.datetime(2026, 1, 1, 0, 0, 0))
et = GXDateTime(datetime.datetime(2026, 1, 2, 0, 0, 0))
aa.mode = en.AutoAnswerMode.CONNECTED
aa.listeningWindow = [(st, et)]
aa.status = en.AutoAnswerStatus.ACTIVE
aa.numberOfCalls = 3
aa.numberOfRingsInListeningWindow = 1
aa.numberOfRingsOutListeningWindow = 6
for k in range(2, 7):
    vector(f"auto_answer_{k}", aa, 0, k)

co = GXDLMSAutoConnect("0.0.2.1.0.255")
co.mode = en.AutoConnectMode.AUTO_DIALLING_ALLOWED_ANYTIME
co.repetitions = 3
co.repetitionDelay = 60
co.callingWindow = [(st, et)]
co.destinations = ["10.0.0.1:4059", "host"]
for k in range(2, 7):
    vector(f"auto_connect_{k}", co, 2, k)


dr = GXDLMSDemandRegister("1.0.1.4.0.255")
dr.currentAverageValue = 100
dr.lastAverageValue = 200
dr.scaler = 0.1
dr.unit = Unit.ACTIVE_POWER
dr.period = 900
dr.numberOfPeriods = 1
dr.captureTime = GXDateTime(datetime.datetime(2026, 1, 1))
dr.startTimeCurrent = dr.captureTime
dr.status = 1
for k in (4, 6, 7, 8, 9):
    vector(f"demand_register_{k}", dr, 0, k)

er = GXDLMSExtendedRegister("1.0.1.6.0.255")
er.scaler = 10
er.unit = Unit.ACTIVE_ENERGY
er.captureTime = dr.captureTime
for k in (3, 5):
    vector(f"extended_register_{k}", er, 0, k)

cl = GXDLMSClock("0.0.1.0.0.255")
cl.time = GXDateTime(datetime.datetime(2026, 5, 29, 10, 15, 30))
cl.timeZone = -60
cl.deviation = 60
cl.enabled = True
cl.clockBase = en.ClockBase.CRYSTAL
for k in (2, 3, 4, 7, 8, 9):
    vector(f"clock_{k}", cl, 0, k)

pg = GXDLMSProfileGeneric("1.0.99.1.0.255")
pg.capturePeriod = 900
pg.sortMethod = en.SortMethod.FIFO
pg.entriesInUse = 96
pg.profileEntries = 960
co1 = GXDLMSCaptureObject(2, 0)
co2 = GXDLMSCaptureObject(2, 0)
pg.captureObjects = [(cl, co1), (GXDLMSRegister("1.0.1.8.0.255"), co2)]
for k in (3, 4, 5, 6, 7, 8):
    vector(f"profile_generic_{k}", pg, 1, k)

sa = GXDLMSSapAssignment("0.0.41.0.0.255")
sa.sapAssignmentList = [(1, "ABCD"), (16, "EF")]
vector("sap_assignment_2", sa, 0, 2)
