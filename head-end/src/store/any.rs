//! The store that the configuration asks for, and every call of a store handed on.

use std::{collections::BTreeMap, net::IpAddr, ops::Range, sync::Arc};

use dlms::{id::SystemTitle, obis::ObisCode};
use jiff::Timestamp;
use tokio::sync::watch;
use uuid::Uuid;

#[cfg(feature = "postgres")]
use super::postgres::PostgresStore;
use super::{
    hooked::{Hook, Hooked},
    sqlite::SqliteStore,
    *,
};
use crate::{
    group::GroupRecord,
    meter::{CounterId, EquipmentId, MeterId, MeterRecord, Tenant},
    operation::{CounterBlock, ObjectModel, Priority, ProfileLayout},
    plan::{PlanId, PlanRecord},
    vault::SecretRole,
};

/// One of the stores. Clones share it.
#[derive(Clone, Debug)]
pub enum AnyStore {
    /// In files of a directory.
    Sqlite(SqliteStore),
    /// In a PostgreSQL database.
    #[cfg(feature = "postgres")]
    Postgres(PostgresStore),
}

/// Hands calls on to the store that there is, and to the one behind a hook.
macro_rules! forward {
    ($($part:ident {
        $($method:ident($($name:ident: $type:ty),*) -> $result:ty;)*
        $(@at_once $watch:ident() -> $watched:ty;)*
    })*) => {$(
        impl $part for AnyStore {
            $(fn $watch(&self) -> $watched {
                match self {
                    Self::Sqlite(store) => store.$watch(),
                    #[cfg(feature = "postgres")]
                    Self::Postgres(store) => store.$watch(),
                }
            })*
            $(async fn $method(&self, $($name: $type),*) -> Result<$result, StoreError> {
                match self {
                    Self::Sqlite(store) => store.$method($($name),*).await,
                    #[cfg(feature = "postgres")]
                    Self::Postgres(store) => store.$method($($name),*).await,
                }
            })*
        }

        impl<S: Store, H: Hook> $part for Hooked<S, H> {
            $(fn $watch(&self) -> $watched {
                self.store().$watch()
            })*
            $(async fn $method(&self, $($name: $type),*) -> Result<$result, StoreError> {
                self.hook().call(stringify!($method), self.store().$method($($name),*)).await
            })*
        }
    )*};
}

forward! {
    AuditStore {
        append_audit(row: AuditRow) -> u64;
        query_audit(query: AuditQuery) -> Vec<AuditedCall>;
        audit_links(after: u64, limit: usize) -> Vec<AuditLink>;
    }
    CounterStore {
        reserve_counters(counter: CounterId) -> CounterBlock;
        raise_counter(counter: CounterId, seen: u32) -> ();
    }
    CursorStore {
        cursor(name: &'static str) -> Option<u64>;
        keep_cursor(name: &'static str, position: u64) -> ();
    }
    CoverageStore {
        coverage(meter: &MeterId, profile: ObisCode, span: Range<Timestamp>) -> Coverage;
        mark_absent(meter: &MeterId, profile: ObisCode, grid: Grid, slots: Vec<Range<i64>>) -> ();
    }
    EventStore {
        append_events(events: Vec<NewEvent>) -> Option<i64>;
        query_events(query: EventQuery) -> Vec<Event>;
        last_event() -> i64;
        acknowledge_event(sequence: i64, by: Acknowledgement) -> Event;
        append_alarms(meter: &MeterId, register: ObisCode, value: u32, events: Vec<NewEvent>) -> Option<i64>;
        swap_alarms(meter: &MeterId, register: ObisCode, value: u32) -> u32;
    }
    FirmwareStore {
        add_image_chunk(upload: Uuid, number: u32, octets: Vec<u8>) -> ();
        finish_image(upload: Uuid, image: ImageRow) -> bool;
        drop_upload(upload: Uuid) -> ();
        image(id: ImageId) -> Option<ImageRow>;
        images(after: Option<ImageId>, limit: usize) -> Vec<ImageRow>;
        image_chunk(id: ImageId, number: u32) -> Option<Vec<u8>>;
        delete_image(id: ImageId) -> bool;
    }
    GroupStore {
        create_group(group: GroupRecord) -> ();
        group(name: &str) -> Option<GroupRecord>;
        list_groups(after: Option<String>, tenant: Option<Tenant>, limit: usize) -> Vec<GroupRecord>;
        delete_group(name: &str) -> ();
    }
    TemplateStore {
        add_template(template: TemplateRow) -> TemplateRow;
        template(tenant: Option<Tenant>, name: &str, revision: Option<u32>) -> Option<TemplateRow>;
        list_templates(tenant: Option<Tenant>, after: Option<String>, limit: usize) -> Vec<TemplateRow>;
        delete_template(tenant: Option<Tenant>, name: &str, revision: Option<u32>) -> ();
    }
    KeyStore {
        stage_keys(meter: &MeterId, keys: NewKeys) -> NewKeys;
        new_keys(meter: &MeterId) -> Option<NewKeys>;
        confirm_keys(meter: &MeterId, rotation: &str) -> ();
        promote_keys(meter: &MeterId, rotation: &str, at: Timestamp) -> bool;
        drop_keys(meter: &MeterId, rotation: &str) -> bool;
        key_times(meter: &MeterId) -> BTreeMap<SecretRole, Option<Timestamp>>;
    }
    JobStore {
        insert_job(job: JobRow, request: Option<RequestKey>) -> Inserted;
        add_tasks(job: JobId, meters: Vec<MeterId>) -> ();
        last_task(job: JobId) -> Option<MeterId>;
        move_job(job: JobId, from: JobState, to: JobState, approver: Option<String>) -> bool;
        release_tasks(job: JobId, limit: usize) -> usize;
        end_waiting(job: JobId, end: TaskEnd, limit: usize) -> usize;
        job(job: JobId) -> Option<JobRow>;
        list_jobs(filter: JobFilter, after: Option<JobId>, limit: usize) -> Vec<JobRow>;
        count_tasks(job: JobId) -> TaskCounts;
        claim_tasks(now: Timestamp, priority: Priority, limit: usize) -> Vec<ClaimedTask>;
        rival(task: TaskRef) -> Option<JobId>;
        next_task_due() -> Option<Timestamp>;
        begin_action(task: TaskRef, now: Timestamp, checkpoint: Vec<u8>, limit: Option<RateLimit>) -> Permit;
        settle_action(task: TaskRef, acted: bool, checkpoint: Option<Vec<u8>>) -> ();
        requeue_task(task: TaskRef, retry: Retry) -> ();
        end_task(task: TaskRef, end: TaskEnd) -> ();
        task(task: TaskRef) -> Option<TaskRow>;
        list_tasks(job: JobId, filter: TaskFilter, after: Option<MeterId>, limit: usize) -> Vec<TaskRow>;
        ended_tasks(job: JobId, after: u64, limit: usize) -> Vec<(u64, TaskRow)>;
        recover_tasks(now: Timestamp) -> usize;
        hasten_tasks(limit: Timestamp, now: Timestamp) -> usize;
        open_jobs(state: JobState) -> Vec<JobId>;
        count_interrupted(tenant: Option<Tenant>, since: Timestamp, except: JobId) -> u64;
    }
    MeterStore {
        create_meter(meter: NewMeter, request: Option<RequestKey>) -> Written;
        meter(id: &MeterId) -> Option<StoredMeter>;
        list_meters(after: Option<MeterId>, filter: MeterFilter, limit: usize) -> Vec<MeterRecord>;
        update_meter(meter: NewMeter, request: Option<RequestKey>) -> Written;
        delete_meter(id: &MeterId, revision: Option<u64>, request: Option<RequestKey>) -> ();
    }
    ModelStore {
        object_model(id: &MeterId) -> Option<ObjectModel>;
        save_object_model(id: &MeterId, model: Arc<ObjectModel>) -> ();
        profile_layout(id: &MeterId, profile: ObisCode) -> Option<ProfileLayout>;
        save_profile_layout(id: &MeterId, layout: Arc<ProfileLayout>) -> ();
        instance_value(name: &'static str, value: Vec<u8>) -> Vec<u8>;
    }
    PlanStore {
        create_plan(plan: PlanRecord, request: Option<RequestKey>) -> PlanRecord;
        plan(id: &PlanId) -> Option<PlanRecord>;
        list_plans(after: Option<PlanId>, limit: usize) -> Vec<PlanRecord>;
        update_plan(plan: PlanRecord, due: Timestamp, anew: bool, request: Option<RequestKey>) -> PlanRecord;
        delete_plan(id: &PlanId, revision: Option<u64>, request: Option<RequestKey>) -> ();
        enrol(plan: &PlanId, meters: Vec<(MeterId, Timestamp)>) -> ();
        dismiss(plan: &PlanId, meters: Vec<MeterId>) -> ();
        revive(meter: &MeterId, due: Timestamp) -> ();
        plan_states(plan: &PlanId, after: Option<MeterId>, limit: usize) -> Vec<PlanState>;
        meter_states(meter: &MeterId) -> Vec<PlanState>;
        due_states(plan: &PlanId, now: Timestamp, limit: usize) -> Vec<PlanState>;
        next_due(plan: &PlanId, after: Timestamp) -> Option<Timestamp>;
        write_state(state: PlanState, ended: Option<bool>) -> ();
        request_run(run: RunRequest, request: Option<RequestKey>) -> PlanRun;
        plan_run(id: Uuid) -> Option<PlanRun>;
    }
    PushStore {
        meters_by_title(title: SystemTitle) -> Vec<StoredMeter>;
        meters_by_push_source(address: IpAddr) -> Vec<StoredMeter>;
        meters_by_equipment(equipment: EquipmentId) -> Vec<StoredMeter>;
        meters_by_device_name(name: &str) -> Vec<StoredMeter>;
        accept_push(push: NewPush) -> Accepted;
        waiting_pushes(after: i64, limit: usize) -> Vec<StoredPush>;
        finish_push(id: i64, outcome: PushOutcome) -> ();
        list_pushes(meter: &MeterId, before: Option<i64>, limit: usize) -> Vec<StoredPush>;
        forget_pushes(before: Timestamp, limit: usize) -> usize;
        note_unclaimed(sighting: Sighting, most: usize) -> bool;
        list_unclaimed(after: Option<DeviceIdentity>, limit: usize) -> Vec<UnclaimedDevice>;
        unclaimed(identity: DeviceIdentity) -> Option<UnclaimedDevice>;
        forget_unclaimed(identity: DeviceIdentity) -> ();
    }
    ReadingStore {
        append(batch: CaptureBatch) -> AppendOutcome;
        changes(after: u64, limit: usize) -> Vec<Change>;
        query(query: CaptureQuery) -> CapturePage;
        latest(meter: &MeterId, profile: Option<ObisCode>, before: Timestamp) -> Option<StoredCapture>;
        arrivals(meter: &MeterId, profile: ObisCode, span: Range<Timestamp>) -> Vec<Arrival>;
        @at_once newest_change() -> watch::Receiver<u64>;
    }
    RequestStore {
        begin_request(request: RequestKey) -> RequestState;
        finish_request(request: RequestKey, response: Vec<u8>) -> ();
        abandon_request(request: RequestKey) -> ();
    }
    UpkeepStore {
        forget_jobs(before: Timestamp, limit: usize) -> usize;
        forget_events(before: Timestamp, limit: usize) -> usize;
        forget_runs(before: Timestamp, limit: usize) -> usize;
    }
    WaveStore {
        waves(job: JobId) -> Option<WavesRow>;
        save_waves(row: WavesRow) -> bool;
        release_named(job: JobId, meters: Vec<MeterId>) -> usize;
        hold_tasks(job: JobId, limit: usize) -> usize;
    }
}

impl Store for AnyStore {
    async fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.close().await,
        }
    }

    fn counts(&self) -> Option<&StoreCounts> {
        match self {
            Self::Sqlite(store) => store.counts(),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.counts(),
        }
    }
}
