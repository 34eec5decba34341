//! What collection knows, as answers.

use dlms_proto::v1;

use crate::{
    api::parse::to_timestamp,
    collection::{GapMap, Timeliness},
    store::{PlanRun, PlanState},
};

pub(in crate::api) fn state(state: &PlanState) -> v1::PlanState {
    let time = |time: Option<jiff::Timestamp>| time.map(to_timestamp);
    let (error, message) = state.error.clone().unwrap_or_default();
    v1::PlanState {
        meter: state.meter.resource_name(),
        due_time: time(state.due),
        watermark: time(state.watermark),
        attempt: state.attempt,
        error,
        message,
        attempt_time: time(state.attempted),
        success_time: time(state.succeeded),
        contact_time: time(state.contact),
    }
}

pub(super) fn run(run: &PlanRun) -> v1::PlanRun {
    v1::PlanRun {
        name: format!("{}/runs/{}", run.plan.resource_name(), run.id),
        create_time: Some(to_timestamp(run.created)),
        meters: run.meters,
        succeeded: run.succeeded,
        failed: run.failed,
        done: run.has_ended(),
    }
}

pub(super) fn coverage(map: &GapMap) -> v1::ProfileCoverage {
    let gap = |gap: &crate::collection::Gap| v1::CoverageGap {
        first: Some(to_timestamp(gap.from)),
        last: Some(to_timestamp(gap.to)),
        captures: gap.captures,
        absent: gap.absent,
    };
    v1::ProfileCoverage {
        profile: map.profile.to_string(),
        capture_period_s: map.period_s,
        expected: map.expected,
        held: map.held,
        absent: map.absent,
        gaps: map.gaps.iter().map(gap).collect(),
    }
}

pub(super) const fn timeliness(of: &Timeliness) -> v1::Timeliness {
    v1::Timeliness {
        meters: of.meters,
        due: of.due,
        by_deadline: of.by_deadline,
        within_4_h: of.within_4_h,
        within_8_h: of.within_8_h,
        within_24_h: of.within_24_h,
        held: of.held,
        absent: of.absent,
    }
}
