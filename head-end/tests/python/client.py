"""A client of a running head-end: what an integrator does first, each answer checked.

Started by `head-end/tests/python.rs`, with `HEADEND_TOKEN` and `HEADEND_VIEWER_TOKEN` in the environment:

    client.py PROTO_FOLDER HEAD_END METER_ADDRESS OTHER_METER_ADDRESS
"""

import datetime
import os
import sys
import time
import uuid

import grpc
from google.protobuf import field_mask_pb2, timestamp_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

import stubs

proto, server, address, other_address = sys.argv[1:]
stubs.generate(proto)

# The modules are there only now.
from dlms.headend.v1 import (  # noqa: E402
    collection_pb2 as collection,
    collection_pb2_grpc,
    data_pb2 as data,
    data_pb2_grpc,
    events_pb2 as events,
    events_pb2_grpc,
    jobs_pb2 as jobs,
    jobs_pb2_grpc,
    meter_pb2 as meters,
    meter_registry_pb2 as registry,
    meter_registry_pb2_grpc,
    operation_pb2 as operation,
    reading_pb2 as reading,
    reading_service_pb2_grpc,
    result_pb2 as result,
    value_pb2 as value,
)

# Of every call, in seconds: the meter's work ends with it.
DEADLINE = 60
LOAD_PROFILE = "1.0.99.1.0.255"
ACTIVE_IMPORT = "1.0.1.8.0.255"
UTC = datetime.timezone.utc


class Client:
    """The services over one channel, with a token or without."""

    def __init__(self, channel, token=None):
        self.metadata = [("authorization", f"Bearer {token}")] if token else []
        self.meters = meter_registry_pb2_grpc.MeterRegistryStub(channel)
        self.reading = reading_service_pb2_grpc.ReadingStub(channel)
        self.collection = collection_pb2_grpc.CollectionStub(channel)
        self.data = data_pb2_grpc.DataStub(channel)
        self.events = events_pb2_grpc.EventsStub(channel)
        self.jobs = jobs_pb2_grpc.JobsStub(channel)

    def call(self, method, request):
        return method(request, timeout=DEADLINE, metadata=self.metadata)


def equal(got, wanted):
    if got != wanted:
        raise AssertionError(f"{got!r} is not {wanted!r}")


def true(what, said):
    if not what:
        raise AssertionError(said)


def refused(method, request, client):
    """The status code of a call that must fail, and its details by type."""
    try:
        answer = client.call(method, request)
        if not hasattr(answer, "DESCRIPTOR"):
            answer = list(answer)
    except grpc.RpcError as error:
        details = {}
        status = rpc_status.from_call(error)
        for packed in status.details if status else []:
            for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.ResourceInfo):
                if packed.Is(kind.DESCRIPTOR):
                    details[kind.DESCRIPTOR.name] = kind.FromString(packed.value)
        return error.code(), details
    raise AssertionError(f"it was answered: {answer}")


def moment(when):
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(when)
    return stamp


def meter(name, at, key=bytes.fromhex("D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF")):
    """The management client's meter, with the keys of the simulated ones."""
    return meters.Meter(
        name=f"meters/{name}",
        labels={"site": "cellar"},
        link=meters.Link(tcp_wrapper=meters.IpLink(address=at)),
        client_sap=1,
        authentication=meters.Authentication(mechanism=meters.Authentication.MECHANISM_HLS_GMAC),
        security=meters.Security(encryption_key=bytes(range(16)), authentication_key=key),
    )


def callers_are_asked_who_they_are(client, viewer, nobody):
    request = registry.ListMetersRequest()
    code, _ = refused(nobody.meters.ListMeters, request, nobody)
    equal(code, grpc.StatusCode.UNAUTHENTICATED)
    equal(len(viewer.call(viewer.meters.ListMeters, request).meters), 0)
    create = registry.CreateMeterRequest(meter=meter("m1", address))
    code, details = refused(viewer.meters.CreateMeter, create, viewer)
    equal(code, grpc.StatusCode.PERMISSION_DENIED)
    equal(details["ErrorInfo"].domain, "headend.dlms")


def meters_are_registered_changed_and_listed(client):
    request = registry.CreateMeterRequest(meter=meter("m1", address), request_id=str(uuid.uuid4()))
    created = client.call(client.meters.CreateMeter, request)
    equal((created.security.keys_set, created.security.encryption_key), (True, b""))
    # The same request again, as after a connection that broke, makes nothing twice.
    equal(client.call(client.meters.CreateMeter, request), created)
    change = registry.UpdateMeterRequest(
        meter=meters.Meter(name="meters/m1", display_name="main meter"),
        update_mask=field_mask_pb2.FieldMask(paths=["display_name"]),
    )
    updated = client.call(client.meters.UpdateMeter, change)
    equal((updated.display_name, updated.security.keys_set), ("main meter", True))
    client.call(client.meters.CreateMeter, registry.CreateMeterRequest(meter=meter("m2", other_address)))
    names, token = [], ""
    while True:
        request = registry.ListMetersRequest(page_size=1, page_token=token, labels={"site": "cellar"})
        page = client.call(client.meters.ListMeters, request)
        names += [one.name for one in page.meters]
        token = page.next_page_token
        if not token:
            break
    equal(names, ["meters/m1", "meters/m2"])


def errors_carry_details(client):
    nameless = registry.CreateMeterRequest(meter=meters.Meter(name="meters/m3", client_sap=70000))
    code, details = refused(client.meters.CreateMeter, nameless, client)
    equal(code, grpc.StatusCode.INVALID_ARGUMENT)
    fields = {violation.field for violation in details["BadRequest"].field_violations}
    true({"meter.link", "meter.client_sap"} <= fields, fields)
    code, details = refused(client.meters.GetMeter, registry.GetMeterRequest(name="meters/nobody"), client)
    equal(code, grpc.StatusCode.NOT_FOUND)
    equal(details["ResourceInfo"].resource_name, "meters/nobody")
    # A meter that does not accept our key: the layer that failed stands beside the reason.
    client.call(client.meters.CreateMeter, registry.CreateMeterRequest(meter=meter("wrong", address, bytes(16))))
    registers = [reading.RegisterSelector(obis=ACTIVE_IMPORT, class_id=3)]
    read = reading.ReadRegistersRequest(meter="meters/wrong", registers=registers)
    code, details = refused(client.reading.ReadRegisters, read, client)
    equal((code, details["ErrorInfo"].reason), (grpc.StatusCode.FAILED_PRECONDITION, "SECURITY_FAILED"))
    equal(details["ErrorInfo"].metadata["retryable"], "false")


def registers_and_profiles_are_read(client):
    registers = [reading.RegisterSelector(obis=obis) for obis in ("1-0:1.8.0", "1-0:99.99.99")]
    registers[1].class_id = 3
    read = reading.ReadRegistersRequest(meter="meters/m1", registers=registers)
    answer = client.call(client.reading.ReadRegisters, read)
    value_read, missing = answer.results
    equal((value_read.result, answer.stored), (result.RESULT_SUCCEEDED, True))
    equal((value_read.reading.obis, value_read.reading.scaler_unit.symbol), (ACTIVE_IMPORT, "Wh"))
    true(float(value_read.reading.decimal) > 0, value_read)
    equal((missing.result, missing.failure.answer.name), (result.RESULT_METER_REFUSED, "object-undefined"))

    now = datetime.datetime.now(UTC)
    span = reading.TimeRange(**{"from": moment(now - datetime.timedelta(hours=6))})
    request = reading.ReadProfileRequest(meter="meters/m1", profile=LOAD_PROFILE, range=span)
    parts = list(client.call(client.reading.ReadProfile, request))
    equal((parts[0].WhichOneof("part"), parts[-1].WhichOneof("part")), ("layout", "summary"))
    rows = [capture for part in parts for capture in part.captures.captures]
    true(23 <= len(rows) <= 25, len(rows))
    equal((parts[-1].summary.rows, parts[-1].summary.stored), (len(rows), True))
    equal(parts[0].layout.capture_period_s, 900)

    query = data.QueryReadingsRequest(meter="meters/m1", profile=LOAD_PROFILE)
    stored = [capture for page in client.call(client.data.QueryReadings, query) for capture in page.captures]
    equal([capture.capture_time for capture in stored], [capture.capture_time for capture in rows])
    equal([capture.readings for capture in stored], [capture.readings for capture in rows])


def attributes_are_written_and_methods_invoked(client):
    zone = reading.AttributeRef(class_id=8, obis="0-0:1.0.0", attribute=3)
    assignment = reading.AttributeAssignment(attribute=zone, value=value.Value(long=-60))
    request = reading.SetAttributesRequest(meter="meters/m1", assignments=[assignment], request_id=str(uuid.uuid4()))
    answer = client.call(client.reading.SetAttributes, request)
    equal([one.result for one in answer.results], [result.RESULT_SUCCEEDED])
    get = reading.GetAttributesRequest(meter="meters/m1", attributes=[reading.AttributeSelector(attribute=zone)])
    equal(client.call(client.reading.GetAttributes, get).results[0].value.long, -60)
    # The daily profile is emptied.
    zero = value.Value(integer=0)
    invoke = reading.InvokeMethodRequest(
        meter="meters/m1", class_id=7, obis="1-0:99.2.0", method=1, parameter=zero, request_id=str(uuid.uuid4())
    )
    equal(client.call(client.reading.InvokeMethod, invoke).result, result.RESULT_SUCCEEDED)
    # What may take a supply away is for Control and Jobs alone.
    disconnect = reading.InvokeMethodRequest(
        meter="meters/m1", class_id=70, obis="0-0:96.3.10", method=1, parameter=zero
    )
    code, details = refused(client.reading.InvokeMethod, disconnect, client)
    equal((code, details["ErrorInfo"].reason), (grpc.StatusCode.FAILED_PRECONDITION, "GUARDED"))


def a_plan_fills_its_gaps(client):
    plan = collection.Plan(
        name="plans/load",
        profiles=[LOAD_PROFILE],
        selector=collection.LabelSelector(labels={"site": "cellar"}),
        daily=collection.Daily(),
    )
    # Its key would stop the meter that is there for errors.
    client.call(client.meters.DeleteMeter, registry.DeleteMeterRequest(name="meters/wrong"))
    client.call(client.collection.CreatePlan, collection.CreatePlanRequest(plan=plan))
    run = client.call(client.collection.RunNow, collection.RunNowRequest(plan="plans/load"))
    try:
        for progress in client.call(client.collection.WatchPlanRun, collection.GetPlanRunRequest(name=run.name)):
            run = progress
    except grpc.RpcError:
        # Why it does not end stands in the states of its meters.
        states = collection.ListPlanStatesRequest(plan="plans/load")
        print(client.call(client.collection.ListPlanStates, states), file=sys.stderr)
        raise
    equal((run.done, run.meters, run.succeeded, run.failed), (True, 2, 2, 0))
    # A capture belongs to the time before it: the first of a day is that of a quarter past midnight.
    first = datetime.datetime.now(UTC).replace(hour=0, minute=15, second=0, microsecond=0)
    for name in ("meters/m1", "meters/m2"):
        request = collection.GetCoverageRequest(meter=name, profiles=[LOAD_PROFILE], to=moment(first))
        getattr(request, "from").CopyFrom(moment(first - datetime.timedelta(days=1)))
        profile = client.call(client.collection.GetCoverage, request).profiles[0]
        equal((profile.expected, profile.held, len(profile.gaps)), (96, 96, 0))


def subscriptions_go_on_where_they_were(client):
    request = data.SubscribeReadingsRequest(resume_token="0", meters=["meters/m1"], profile=LOAD_PROFILE)
    call = client.call(client.data.SubscribeReadings, request)
    first = next(call)
    equal(first.captures[0].meter, "meters/m1")
    last = first
    while int(last.resume_token) == 0:
        last = next(call)
    call.cancel()
    # From its token on, nothing comes but what is read from now on.
    registers = [reading.RegisterSelector(obis=ACTIVE_IMPORT, class_id=3)]
    request = data.SubscribeReadingsRequest(meters=["meters/m2"])
    call = client.call(client.data.SubscribeReadings, request)
    # The subscription stands once its headers are there.
    call.initial_metadata()
    client.call(client.reading.ReadRegisters, reading.ReadRegistersRequest(meter="meters/m2", registers=registers))
    capture = next(part for part in call if part.captures).captures[0]
    equal((capture.meter, capture.profile), ("meters/m2", ""))
    call.cancel()


def events_of_a_log_are_told(client):
    # What the wrong key was to the meter stands in its log of fraud.
    request = reading.ReadProfileRequest(meter="meters/m1", profile="0-0:99.98.1")
    list(client.call(client.reading.ReadProfile, request))
    query = events.QueryEventsRequest(filter=events.EventFilter(meters=["meters/m1"], source="0-0:99.98.1"))
    found = client.call(client.events.QueryEvents, query).events
    true(any(event.code == 49 for event in found), found)
    call = client.call(client.events.SubscribeEvents, events.SubscribeEventsRequest(resume_token="0"))
    part = next(part for part in call if part.events)
    equal(part.events[0].meter, "meters/m1")
    note = events.AcknowledgeAlarmRequest(name=part.events[0].name, note="seen from Python")
    equal(client.call(client.events.AcknowledgeAlarm, note).acknowledgement.subject, "python")
    call.cancel()


def jobs_are_submitted_watched_and_cancelled(client):
    registers = [reading.RegisterSelector(obis=ACTIVE_IMPORT, class_id=3)]
    both = operation.Target(selector=operation.MeterSelector(labels={"site": "cellar"}))
    request = jobs.SubmitRequest(
        target=both,
        spec=jobs.JobSpec(read_registers=jobs.ReadRegistersSpec(registers=registers)),
        instruction=operation.Instruction(request_id=str(uuid.uuid4()), reason="a look from Python"),
    )
    job = client.call(client.jobs.Submit, request)
    equal(client.call(client.jobs.Submit, request).name, job.name)
    ended = []
    for progress in client.call(client.jobs.Watch, jobs.WatchJobRequest(name=job.name)):
        ended += progress.ended
        job = progress.job
    equal((job.state, job.counts.total, job.counts.succeeded), (operation.JOB_STATE_FINISHED, 2, 2))
    equal(sorted(task.meter for task in ended), ["meters/m1", "meters/m2"])
    listed = client.call(client.jobs.ListResults, jobs.ListResultsRequest(job=job.name)).tasks
    for task in listed:
        equal(task.outcome.registers.results[0].reading.scaler_unit.symbol, "Wh")
    # Tomorrow's, cancelled today.
    tomorrow = datetime.datetime.now(UTC) + datetime.timedelta(days=1)
    instruction = operation.Instruction(
        request_id=str(uuid.uuid4()),
        not_before=moment(tomorrow),
        expires_at=moment(tomorrow + datetime.timedelta(hours=1)),
        reason="not today",
    )
    later = jobs.SubmitRequest(target=both, spec=jobs.JobSpec(ping=jobs.PingSpec()), instruction=instruction)
    job = client.call(client.jobs.Submit, later)
    client.call(client.jobs.Cancel, jobs.CancelJobRequest(name=job.name))
    until = time.monotonic() + DEADLINE
    while job.state != operation.JOB_STATE_CANCELLED:
        true(time.monotonic() < until, job)
        time.sleep(0.05)
        job = client.call(client.jobs.Get, jobs.GetJobRequest(name=job.name))
    equal(job.counts.cancelled, 2)


def main():
    with grpc.insecure_channel(server) as channel:
        client = Client(channel, os.environ["HEADEND_TOKEN"])
        viewer = Client(channel, os.environ["HEADEND_VIEWER_TOKEN"])
        callers_are_asked_who_they_are(client, viewer, Client(channel))
        print("callers_are_asked_who_they_are")
        for part in (
            meters_are_registered_changed_and_listed,
            errors_carry_details,
            registers_and_profiles_are_read,
            attributes_are_written_and_methods_invoked,
            a_plan_fills_its_gaps,
            subscriptions_go_on_where_they_were,
            events_of_a_log_are_told,
            jobs_are_submitted_watched_and_cancelled,
        ):
            part(client)
            print(part.__name__)


main()
