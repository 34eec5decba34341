//! Plans.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::{SqliteStore, control::FILE, failure::Context, requests, states};
use crate::{
    meter::MeterId,
    plan::{PlanId, PlanRecord},
    store::{PlanRun, PlanState, PlanStore, RequestKey, RequestState, RunRequest, StoreError, records},
};

impl PlanStore for SqliteStore {
    async fn create_plan(&self, plan: PlanRecord, request: Option<RequestKey>) -> Result<PlanRecord, StoreError> {
        let work = move |db: &Connection| {
            if get(db, &plan.id)?.is_some() {
                return Err(StoreError::AlreadyExists(plan.id.resource_name()));
            }
            put(db, &plan)?;
            Ok(plan)
        };
        self.0.control.write(move |db| once(db, request.as_ref(), || work(db), to_json, parse)).await
    }

    async fn plan(&self, id: &PlanId) -> Result<Option<PlanRecord>, StoreError> {
        let id = id.clone();
        self.0.readers.control(move |db| get(db, &id)).await
    }

    async fn list_plans(&self, after: Option<PlanId>, limit: usize) -> Result<Vec<PlanRecord>, StoreError> {
        self.0.readers.control(move |db| list(db, after.as_ref(), limit)).await
    }

    async fn update_plan(
        &self,
        plan: PlanRecord,
        due: Timestamp,
        anew: bool,
        request: Option<RequestKey>,
    ) -> Result<PlanRecord, StoreError> {
        let work = move |db: &Connection| {
            check_revision(db, &plan.id, Some(plan.revision.saturating_sub(1)))?;
            put(db, &plan)?;
            db.execute(
                "UPDATE plan_states SET due_ms = ?2, attempt = 0, refusals = 0,
                 watermark_ms = CASE WHEN ?3 THEN NULL ELSE watermark_ms END WHERE plan = ?1",
                params![plan.id.as_str(), due.as_millisecond(), anew],
            )
            .context(FILE, "changing a plan")?;
            Ok(plan)
        };
        self.0.control.write(move |db| once(db, request.as_ref(), || work(db), to_json, parse)).await
    }

    async fn delete_plan(
        &self,
        id: &PlanId,
        revision: Option<u64>,
        request: Option<RequestKey>,
    ) -> Result<(), StoreError> {
        let id = id.clone();
        let work = move |db: &Connection| {
            check_revision(db, &id, revision)?;
            db.execute("DELETE FROM plans WHERE name = ?1", [id.as_str()]).map(drop).context(FILE, "deleting a plan")
        };
        let keep = |_: &()| Ok(String::new());
        self.0.control.write(move |db| once(db, request.as_ref(), || work(db), keep, |_| Ok(()))).await
    }

    async fn enrol(&self, plan: &PlanId, meters: Vec<(MeterId, Timestamp)>) -> Result<(), StoreError> {
        let plan = plan.clone();
        self.0.control.write(move |db| states::enrol(db, &plan, &meters)).await
    }

    async fn dismiss(&self, plan: &PlanId, meters: Vec<MeterId>) -> Result<(), StoreError> {
        let plan = plan.clone();
        self.0.control.write(move |db| states::dismiss(db, &plan, &meters)).await
    }

    async fn revive(&self, meter: &MeterId, due: Timestamp) -> Result<(), StoreError> {
        let meter = meter.clone();
        self.0.control.write(move |db| states::revive(db, &meter, due)).await
    }

    async fn plan_states(
        &self,
        plan: &PlanId,
        after: Option<MeterId>,
        limit: usize,
    ) -> Result<Vec<PlanState>, StoreError> {
        let plan = plan.clone();
        self.0.readers.control(move |db| states::list(db, &plan, after.as_ref(), limit)).await
    }

    async fn meter_states(&self, meter: &MeterId) -> Result<Vec<PlanState>, StoreError> {
        let meter = meter.clone();
        self.0.readers.control(move |db| states::of_meter(db, &meter)).await
    }

    async fn due_states(&self, plan: &PlanId, now: Timestamp, limit: usize) -> Result<Vec<PlanState>, StoreError> {
        let plan = plan.clone();
        self.0.readers.control(move |db| states::due(db, &plan, now, limit)).await
    }

    async fn next_due(&self, plan: &PlanId, after: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let plan = plan.clone();
        self.0.readers.control(move |db| states::next_due(db, &plan, after)).await
    }

    async fn write_state(&self, state: PlanState, ended: Option<bool>) -> Result<(), StoreError> {
        self.0.control.write(move |db| states::write(db, &state, ended)).await
    }

    async fn request_run(&self, run: RunRequest, request: Option<RequestKey>) -> Result<PlanRun, StoreError> {
        let work = move |db: &Connection| {
            check_revision(db, &run.plan, None)?;
            states::request(db, &run)?;
            states::run(db, run.id)?.ok_or_else(|| StoreError::NotFound(run.id.to_string()))
        };
        let keep = |run: &PlanRun| Ok(run.id.to_string());
        self.0
            .control
            .write(move |db| {
                let again = |id: &str| {
                    let run = id.parse::<Uuid>().ok().map(|id| states::run(db, id)).transpose()?.flatten();
                    run.ok_or_else(|| StoreError::NotFound(format!("the run {id}")))
                };
                once(db, request.as_ref(), || work(db), keep, again)
            })
            .await
    }

    async fn plan_run(&self, id: Uuid) -> Result<Option<PlanRun>, StoreError> {
        self.0.readers.control(move |db| states::run(db, id)).await
    }
}

/// Does `work` and keeps its result as text, in one transaction, unless it was done before.
fn once<T>(
    db: &Connection,
    request: Option<&RequestKey>,
    work: impl FnOnce() -> Result<T, StoreError>,
    keep: impl FnOnce(&T) -> Result<String, StoreError>,
    again: impl FnOnce(&str) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let Some(request) = request else { return work() };
    if let RequestState::Finished(response) = requests::begin(db, request)? {
        return again(&String::from_utf8_lossy(&response));
    }
    let result = work()?;
    requests::finish(db, request, keep(&result)?.as_bytes())?;
    Ok(result)
}

fn check_revision(db: &Connection, id: &PlanId, expected: Option<u64>) -> Result<(), StoreError> {
    let Some(current) = get(db, id)? else { return Err(StoreError::NotFound(id.resource_name())) };
    match expected {
        Some(expected) if expected != current.revision => {
            Err(StoreError::Conflict { name: id.resource_name(), found: current.revision, expected })
        }
        _ => Ok(()),
    }
}

fn put(db: &Connection, plan: &PlanRecord) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO plans (name, record) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET record = excluded.record",
        [plan.id.as_str(), &to_json(plan)?],
    )
    .map(drop)
    .context(FILE, "writing a plan")
}

fn get(db: &Connection, id: &PlanId) -> Result<Option<PlanRecord>, StoreError> {
    db.prepare_cached("SELECT record FROM plans WHERE name = ?1")
        .and_then(|mut query| query.query_row([id.as_str()], |row| row.get::<_, String>(0)).optional())
        .context(FILE, "reading a plan")?
        .map(|text| parse(&text))
        .transpose()
}

fn list(db: &Connection, after: Option<&PlanId>, limit: usize) -> Result<Vec<PlanRecord>, StoreError> {
    let mut query = db
        .prepare_cached("SELECT record FROM plans WHERE name > ?1 ORDER BY name LIMIT ?2")
        .context(FILE, "listing plans")?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = query
        .query_map(params![after.map_or("", PlanId::as_str), limit], |row| row.get::<_, String>(0))
        .context(FILE, "listing plans")?;
    rows.map(|row| parse(&row.context(FILE, "listing plans")?)).collect()
}

fn parse(text: &str) -> Result<PlanRecord, StoreError> {
    records::parse(text, "a plan", FILE)
}

fn to_json(plan: &PlanRecord) -> Result<String, StoreError> {
    records::to_json(plan, FILE)
}
