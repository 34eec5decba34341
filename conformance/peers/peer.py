"""Runs one client of another implementation against a meter, as a plan says, and reports what it read.

    peer.py PLAN.json REPORT.json

The plan is an object with the fields of `Session`, with octets in hex, and

    stack      "gurux-dlms" or "dlms-cosem"
    requests   what to read: class, obis, attribute, and optionally range (two UTC times) or entries (two numbers);
               or access, a list of such, to be read in one ACCESS request
    transfer_key  optional: master key and new unicast key, to be transferred before the requests are made
    commission  optional: what `commissioning.commission` is to do before that (gurux-dlms only)
    typed      true: also have the implementation's own object model read all it is granted (gurux-dlms only)

The report is an object with `values`, one for each request, in order, each with `value` or `refused`; with `typed`,
those of the object model; `counter`, the client's next invocation counter; and `seconds`.
"""

import json
import sys
import time
import traceback
from datetime import datetime

from session import Attribute, Refused, Session

OCTETS = ("password", "encryption_key", "authentication_key", "client_title", "dedicated_key", "signing_key", "verifying_key")


def session_of(plan: dict) -> Session:
    fields = {name: plan[name] for name in Session.__dataclass_fields__ if name in plan}
    fields.update({name: bytes.fromhex(fields[name]) for name in OCTETS if name in fields})
    return Session(**fields)


def peer_of(plan: dict):
    session = session_of(plan)
    if plan["stack"] == "gurux-dlms":
        from gurux_peer import GuruxPeer

        return GuruxPeer(session)
    from dlms_cosem_peer import DlmsCosemPeer

    return DlmsCosemPeer(session)


def answer(peer, request: dict) -> dict:
    """One request and what came of it."""
    if "access" in request:
        wanted = [Attribute(item["class"], item["obis"], item["attribute"]) for item in request["access"]]
        return {"value": peer.read_access(wanted)}
    attribute = Attribute(request["class"], request["obis"], request["attribute"])
    report = {"class": attribute.class_id, "obis": attribute.obis, "attribute": attribute.index}
    try:
        if "range" in request:
            start, end = (datetime.fromisoformat(text) for text in request["range"])
            return report | {"selector": 1, "value": peer.read_range(attribute, start, end)}
        if "entries" in request:
            return report | {"selector": 2, "value": peer.read_entries(attribute, *request["entries"])}
        return report | {"value": peer.read(attribute)}
    except Refused as refusal:
        return report | {"refused": str(refusal)}


def typed(peer) -> list:
    """Everything that the object list grants, through the implementation's own classes."""
    reports = []
    for item in peer.objects():
        indices = peer.readable(item)
        # A profile's rows are parsed by its columns, which come first.
        for index in sorted(indices, key=lambda index: (int(item.objectType) == 7 and index == 2, index)):
            # Whole buffers of load profiles are read by selective access instead.
            if int(item.objectType) == 7 and index == 2:
                continue
            report = {"class": int(item.objectType), "obis": str(item.logicalName), "attribute": index}
            try:
                reports.append(report | {"value": peer.read_typed(item, index)})
            except Refused as refusal:
                reports.append(report | {"refused": str(refusal)})
    return reports


def main() -> int:
    plan_path, report_path = sys.argv[1:]
    with open(plan_path, encoding="utf-8") as file:
        plan = json.load(file)
    started = time.monotonic()
    report = {"values": []}
    try:
        peer = peer_of(plan)
        peer.open()
        if "transfer_key" in plan:
            peer.transfer_key(*(bytes.fromhex(key) for key in plan["transfer_key"]))
        if "commission" in plan:
            from commissioning import commission

            report["commissioned"] = commission(peer, plan["commission"])
        for request in plan["requests"]:
            report["values"].append(answer(peer, request))
        if plan.get("typed"):
            report["typed"] = typed(peer)
        report["counter"] = peer.counter
        peer.close()
    except Exception:  # pylint: disable=broad-except
        report["error"] = traceback.format_exc()
    report["seconds"] = round(time.monotonic() - started, 3)
    with open(report_path, "w", encoding="utf-8") as file:
        json.dump(report, file)
    return 1 if "error" in report else 0


if __name__ == "__main__":
    sys.exit(main())
