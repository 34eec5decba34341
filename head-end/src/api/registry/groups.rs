//! Groups on the way in and out.

use std::collections::BTreeSet;

use dlms_proto::v1::{self, Group, group};
use jiff::Timestamp;
use tonic::Status;

use crate::{
    api::parse::{self, Violations, to_timestamp},
    group::{GroupId, GroupRecord, METERS_MAX, Members},
    meter::Tenant,
};

/// The name of a group in a request that has no other field to check.
pub(super) fn named(name: &str) -> Result<GroupId, Status> {
    let mut violations = Violations::default();
    let id = violations.check("name", GroupId::from_resource_name(name));
    violations.finish(id)
}

/// A new group of a caller, who makes it for `tenant` alone where one is given.
pub(super) fn record(group: &Group, tenant: Option<&Tenant>) -> Result<GroupRecord, Status> {
    let mut violations = Violations::default();
    let id = violations.check("group.name", GroupId::from_resource_name(&group.name));
    let stated = match group.tenant.as_str() {
        "" => Some(None),
        name => violations.check("group.tenant", name.parse::<Tenant>()).map(Some),
    };
    if let (Some(own), Some(Some(stated))) = (tenant, &stated)
        && own != stated
    {
        violations.add("group.tenant", format!("callers of the tenant {own} cannot make groups for another"));
    }
    let members = match &group.members {
        None => {
            violations.add("group.members", "is required: a selector or meters");
            None
        }
        Some(group::Members::Selector(selector)) => Some(Members::Labels(selector.labels.clone())),
        Some(group::Members::Meters(of)) => {
            parse::count(&mut violations, "group.meters", of.meters.len(), METERS_MAX);
            let meters = of.meters.iter().take(METERS_MAX).enumerate().map(|(n, name)| {
                let meter = violations.check(format!("group.meters[{n}]"), parse::meter_name(name));
                meter.map(|meter| meter.as_str().to_owned())
            });
            meters.collect::<Option<BTreeSet<_>>>().map(Members::Meters)
        }
    };
    let now = Timestamp::now();
    let record = id.zip(stated).zip(members).map(|((id, stated), members)| GroupRecord {
        id,
        display_name: group.display_name.clone(),
        tenant: tenant.cloned().or(stated),
        members,
        created: Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now),
    });
    for problem in record.iter().flat_map(GroupRecord::problems) {
        violations.add(format!("group.{}", problem.field), problem.problem);
    }
    violations.finish(record)
}

pub(super) fn to_proto(record: &GroupRecord) -> Group {
    let members = match &record.members {
        Members::Labels(labels) => group::Members::Selector(v1::MeterSelector { labels: labels.clone() }),
        Members::Meters(meters) => group::Members::Meters(v1::MeterNames {
            meters: meters.iter().map(|meter| format!("meters/{meter}")).collect(),
        }),
    };
    Group {
        name: record.id.resource_name(),
        display_name: record.display_name.clone(),
        members: Some(members),
        tenant: record.tenant.clone().map(Into::into).unwrap_or_default(),
        create_time: Some(to_timestamp(record.created)),
    }
}
