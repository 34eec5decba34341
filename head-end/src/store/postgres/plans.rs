//! Plans.

use std::future::ready;

use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    PLACE, PostgresStore,
    pool::{execute, get as column, limit as count, row, rows},
    requests, states,
};
use crate::{
    meter::MeterId,
    plan::{PlanId, PlanRecord},
    store::{PlanRun, PlanState, PlanStore, RequestKey, RunRequest, StoreError, records},
};

impl PlanStore for PostgresStore {
    async fn create_plan(&self, plan: PlanRecord, request: Option<RequestKey>) -> Result<PlanRecord, StoreError> {
        let action = "adding a plan";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let work = async {
                        let sql = "INSERT INTO plans (name, record) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
                        match put(db, sql, &plan).await? {
                            0 => Err(StoreError::AlreadyExists(plan.id.resource_name())),
                            _ => Ok(plan.clone()),
                        }
                    };
                    let again = |kept| Box::pin(ready(kept_plan(kept))) as _;
                    Ok(requests::once(db, request.as_ref(), work, keep_plan, again).await?.0)
                })
            })
            .await
    }

    async fn plan(&self, id: &PlanId) -> Result<Option<PlanRecord>, StoreError> {
        let id = id.clone();
        let action = "reading a plan";
        self.0
            .connections
            .read(action, move |db| {
                Box::pin(async move {
                    let row = row(db, action, "SELECT record FROM plans WHERE name = $1", &[&id.as_str()]).await?;
                    row.map(|row| parse(column(&row, 0)?)).transpose()
                })
            })
            .await
    }

    async fn list_plans(&self, after: Option<PlanId>, limit: usize) -> Result<Vec<PlanRecord>, StoreError> {
        let action = "listing plans";
        self.0
            .connections
            .read(action, move |db| {
                Box::pin(async move {
                    let sql = "SELECT record FROM plans WHERE name > $1 ORDER BY name LIMIT $2";
                    let after = after.as_ref().map_or("", PlanId::as_str);
                    let rows = rows(db, action, sql, &[&after, &count(limit)]).await?;
                    rows.iter().map(|row| parse(column(row, 0)?)).collect()
                })
            })
            .await
    }

    async fn update_plan(
        &self,
        plan: PlanRecord,
        due: Timestamp,
        anew: bool,
        request: Option<RequestKey>,
    ) -> Result<PlanRecord, StoreError> {
        let action = "changing a plan";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let work = async {
                        check_revision(db, &plan.id, Some(plan.revision.saturating_sub(1))).await?;
                        put(db, "UPDATE plans SET record = $2 WHERE name = $1", &plan).await?;
                        let sql = "UPDATE plan_states SET due_ms = $2, attempt = 0, refusals = 0,
                                   watermark_ms = CASE WHEN $3 THEN NULL ELSE watermark_ms END WHERE plan = $1";
                        execute(db, action, sql, &[&plan.id.as_str(), &due.as_millisecond(), &anew]).await?;
                        Ok(plan.clone())
                    };
                    let again = |kept| Box::pin(ready(kept_plan(kept))) as _;
                    Ok(requests::once(db, request.as_ref(), work, keep_plan, again).await?.0)
                })
            })
            .await
    }

    async fn delete_plan(
        &self,
        id: &PlanId,
        revision: Option<u64>,
        request: Option<RequestKey>,
    ) -> Result<(), StoreError> {
        let id = id.clone();
        let action = "deleting a plan";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let work = async {
                        check_revision(db, &id, revision).await?;
                        execute(db, action, "DELETE FROM plans WHERE name = $1", &[&id.as_str()]).await.map(drop)
                    };
                    let again = |_| Box::pin(ready(Ok(()))) as _;
                    requests::once(db, request.as_ref(), work, |()| Ok(Vec::new()), again).await.map(drop)
                })
            })
            .await
    }

    async fn enrol(&self, plan: &PlanId, meters: Vec<(MeterId, Timestamp)>) -> Result<(), StoreError> {
        let plan = plan.clone();
        let action = "adding meters to a plan";
        self.0
            .connections
            .write(action, move |db| Box::pin(async move { states::enrol(db, &plan, &meters).await }))
            .await
    }

    async fn dismiss(&self, plan: &PlanId, meters: Vec<MeterId>) -> Result<(), StoreError> {
        let plan = plan.clone();
        let action = "taking meters out of a plan";
        self.0
            .connections
            .write(action, move |db| Box::pin(async move { states::dismiss(db, &plan, &meters).await }))
            .await
    }

    async fn revive(&self, meter: &MeterId, due: Timestamp) -> Result<(), StoreError> {
        let meter = meter.clone();
        let action = "letting a meter go on";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let sql = "UPDATE plan_states SET due_ms = $2, refusals = 0 WHERE meter = $1 AND due_ms IS NULL";
                    execute(db, action, sql, &[&meter.as_str(), &due.as_millisecond()]).await.map(drop)
                })
            })
            .await
    }

    async fn plan_states(
        &self,
        plan: &PlanId,
        after: Option<MeterId>,
        limit: usize,
    ) -> Result<Vec<PlanState>, StoreError> {
        let plan = plan.clone();
        let action = "listing states";
        self.0
            .connections
            .read(action, move |db| Box::pin(async move { states::list(db, &plan, after.as_ref(), limit).await }))
            .await
    }

    async fn meter_states(&self, meter: &MeterId) -> Result<Vec<PlanState>, StoreError> {
        let (meter, action) = (meter.clone(), "listing states of a meter");
        self.0.connections.read(action, move |db| Box::pin(async move { states::of_meter(db, &meter).await })).await
    }

    async fn due_states(&self, plan: &PlanId, now: Timestamp, limit: usize) -> Result<Vec<PlanState>, StoreError> {
        let plan = plan.clone();
        let action = "looking for what is due";
        self.0
            .connections
            .read(action, move |db| Box::pin(async move { states::due(db, &plan, now, limit).await }))
            .await
    }

    async fn next_due(&self, plan: &PlanId, after: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let plan = plan.clone();
        let action = "looking for what is due";
        self.0
            .connections
            .read(action, move |db| Box::pin(async move { states::next_due(db, &plan, after).await }))
            .await
    }

    async fn write_state(&self, state: PlanState, ended: Option<bool>) -> Result<(), StoreError> {
        let action = "writing a state";
        self.0
            .connections
            .write(action, move |db| Box::pin(async move { states::write(db, &state, ended).await }))
            .await
    }

    async fn request_run(&self, run: RunRequest, request: Option<RequestKey>) -> Result<PlanRun, StoreError> {
        let action = "asking for a run";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let work = async {
                        check_revision(db, &run.plan, None).await?;
                        states::request(db, &run).await?;
                        states::run(db, run.id).await?.ok_or_else(|| StoreError::NotFound(run.id.to_string()))
                    };
                    let keep = |run: &PlanRun| Ok(run.id.to_string().into_bytes());
                    let again = |kept: Vec<u8>| {
                        Box::pin(async move {
                            let id = String::from_utf8_lossy(&kept).into_owned();
                            let run = match id.parse::<Uuid>() {
                                Ok(id) => states::run(db, id).await?,
                                Err(_) => None,
                            };
                            run.ok_or_else(|| StoreError::NotFound(format!("the run {id}")))
                        }) as _
                    };
                    Ok(requests::once(db, request.as_ref(), work, keep, again).await?.0)
                })
            })
            .await
    }

    async fn plan_run(&self, id: Uuid) -> Result<Option<PlanRun>, StoreError> {
        self.0.connections.read("reading a run", move |db| Box::pin(states::run(db, id))).await
    }
}

/// Holds the row of a plan until the transaction ends.
async fn check_revision(db: &Transaction<'_>, id: &PlanId, expected: Option<u64>) -> Result<(), StoreError> {
    let sql = "SELECT record FROM plans WHERE name = $1 FOR UPDATE";
    let Some(row) = row(db, "reading a plan", sql, &[&id.as_str()]).await? else {
        return Err(StoreError::NotFound(id.resource_name()));
    };
    let current = parse(column(&row, 0)?)?;
    match expected {
        Some(expected) if expected != current.revision => {
            Err(StoreError::Conflict { name: id.resource_name(), found: current.revision, expected })
        }
        _ => Ok(()),
    }
}

async fn put(db: &impl GenericClient, sql: &str, plan: &PlanRecord) -> Result<u64, StoreError> {
    execute(db, "writing a plan", sql, &[&plan.id.as_str(), &records::to_json(plan, PLACE)?]).await
}

fn parse(text: &str) -> Result<PlanRecord, StoreError> {
    records::parse(text, "a plan", PLACE)
}

fn keep_plan(plan: &PlanRecord) -> Result<Vec<u8>, StoreError> {
    records::to_json(plan, PLACE).map(String::into_bytes)
}

fn kept_plan(kept: Vec<u8>) -> Result<PlanRecord, StoreError> {
    parse(&String::from_utf8_lossy(&kept))
}
