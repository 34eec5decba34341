//! Where the meters of plans stand, and runs that were asked for.

use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    failure::corrupt,
    pool::{execute, get, limit as count, row, rows, text, unsigned},
};
use crate::{
    meter::MeterId,
    plan::PlanId,
    store::{PlanRun, PlanState, RunRequest, StoreError, captures::moment},
};

pub(super) async fn enrol(
    db: &Transaction<'_>,
    plan: &PlanId,
    meters: &[(MeterId, Timestamp)],
) -> Result<(), StoreError> {
    let names: Vec<&str> = meters.iter().map(|(meter, _)| meter.as_str()).collect();
    let dues: Vec<i64> = meters.iter().map(|(_, due)| due.as_millisecond()).collect();
    // The plan may be gone by now, as may the meters. What is there is kept so until the commit.
    let sql = "WITH plan AS (SELECT name FROM plans WHERE name = $1 FOR KEY SHARE),
                    new AS (SELECT meters.name, due FROM unnest($2::text[], $3::bigint[]) AS n (name, due)
                            JOIN meters ON meters.name = n.name FOR KEY SHARE OF meters)
               INSERT INTO plan_states (plan, meter, due_ms) SELECT plan.name, new.name, new.due FROM plan, new
               ON CONFLICT DO NOTHING";
    execute(db, "adding meters to a plan", sql, &[&plan.as_str(), &names, &dues]).await.map(drop)
}

/// Holds states until the transaction ends, always in one order.
async fn hold(db: &Transaction<'_>, plan: &PlanId, meters: Option<&[&str]>) -> Result<(), StoreError> {
    let sql = "SELECT 1 FROM plan_states WHERE plan = $1 AND ($2::text[] IS NULL OR meter = ANY($2))
               ORDER BY meter FOR UPDATE";
    rows(db, "holding states", sql, &[&plan.as_str(), &meters]).await.map(drop)
}

/// Runs that have not ended for these meters end as failed for them.
async fn fail_requests(db: &Transaction<'_>, plan: &PlanId, meters: Option<&[&str]>) -> Result<(), StoreError> {
    let sql = "WITH ended AS (
                   SELECT request, count(*) AS meters FROM plan_states
                   WHERE plan = $1 AND ($2::text[] IS NULL OR meter = ANY($2)) AND request IS NOT NULL
                   GROUP BY request)
               UPDATE plan_runs SET failed = failed + ended.meters FROM ended WHERE plan_runs.id = ended.request";
    execute(db, "ending runs", sql, &[&plan.as_str(), &meters]).await.map(drop)
}

pub(super) async fn dismiss(db: &Transaction<'_>, plan: &PlanId, meters: &[MeterId]) -> Result<(), StoreError> {
    let names: Vec<&str> = meters.iter().map(MeterId::as_str).collect();
    hold(db, plan, Some(&names)).await?;
    fail_requests(db, plan, Some(&names)).await?;
    let sql = "DELETE FROM plan_states WHERE plan = $1 AND meter = ANY($2)";
    execute(db, "taking meters out of a plan", sql, &[&plan.as_str(), &names]).await.map(drop)
}

const COLUMNS: &str = "meter, due_ms, watermark_ms, attempt, refusals, error, message, attempted_ms, succeeded_ms, \
                       contact_ms, registers_ms, request, until_ms";

pub(super) async fn list(
    db: &impl GenericClient,
    plan: &PlanId,
    after: Option<&MeterId>,
    limit: usize,
) -> Result<Vec<PlanState>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM plan_states WHERE plan = $1 AND meter > $2 ORDER BY meter LIMIT $3");
    let after = after.map_or("", MeterId::as_str);
    let rows = rows(db, "listing states", &sql, &[&plan.as_str(), &after, &count(limit)]).await?;
    rows.iter().map(|row| state(row, plan)).collect()
}

pub(super) async fn of_meter(db: &impl GenericClient, meter: &MeterId) -> Result<Vec<PlanState>, StoreError> {
    let sql = format!("SELECT {COLUMNS}, plan FROM plan_states WHERE meter = $1 ORDER BY plan");
    let rows = rows(db, "listing states of a meter", &sql, &[&meter.as_str()]).await?;
    let of_plan = |row: &Row| {
        let plan: &str = get(row, 13)?;
        state(row, &plan.parse().map_err(|_| corrupt(format!("{plan:?} is no name of a plan")))?)
    };
    rows.iter().map(of_plan).collect()
}

pub(super) async fn due(
    db: &impl GenericClient,
    plan: &PlanId,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<PlanState>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM plan_states WHERE plan = $1 AND due_ms <= $2 ORDER BY due_ms LIMIT $3");
    let now = now.as_millisecond();
    let rows = rows(db, "looking for what is due", &sql, &[&plan.as_str(), &now, &count(limit)]).await?;
    rows.iter().map(|row| state(row, plan)).collect()
}

pub(super) async fn next_due(
    db: &impl GenericClient,
    plan: &PlanId,
    after: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT min(due_ms) FROM plan_states WHERE plan = $1 AND due_ms > $2";
    let row = row(db, "looking for what is due", sql, &[&plan.as_str(), &after.as_millisecond()]).await?;
    let due: Option<i64> = row.map_or(Ok(None), |row| get(&row, 0))?;
    Ok(due.map(moment))
}

pub(super) async fn write(db: &Transaction<'_>, state: &PlanState, ended: Option<bool>) -> Result<(), StoreError> {
    let action = "writing a state";
    let key = (state.plan.as_str(), state.meter.as_str());
    // Whoever asked for a run since the state was read wants another turn, and may have set the watermark back.
    let sql = "SELECT request FROM plan_states WHERE plan = $1 AND meter = $2 FOR UPDATE";
    let Some(row) = row(db, action, sql, &[&key.0, &key.1]).await? else { return Ok(()) };
    let now: Option<String> = get(&row, 0)?;
    let known = state.request.map(|id| id.to_string());
    let asked_anew = now.is_some() && now != known;
    if let (Some(succeeded), Some(id), false) = (ended, &now, asked_anew) {
        let sql = "UPDATE plan_runs SET succeeded = succeeded + $2, failed = failed + $3 WHERE id = $1";
        execute(db, action, sql, &[id, &i64::from(succeeded), &i64::from(!succeeded)]).await?;
        let sql = "UPDATE plan_states SET request = NULL, until_ms = NULL WHERE plan = $1 AND meter = $2";
        execute(db, action, sql, &[&key.0, &key.1]).await?;
    }
    let ms = |moment: Option<Timestamp>| moment.map(Timestamp::as_millisecond);
    let (error, message) = state.error.as_ref().map(|(error, message)| (text(error), text(message))).unzip();
    let sql = "UPDATE plan_states SET
               due_ms = CASE WHEN $12 THEN due_ms ELSE $3 END,
               watermark_ms = CASE WHEN $12 THEN watermark_ms ELSE $4 END,
               attempt = $5, refusals = $6, error = $7, message = $8,
               attempted_ms = $9, succeeded_ms = $10, contact_ms = $11, registers_ms = $13
               WHERE plan = $1 AND meter = $2";
    execute(
        db,
        action,
        sql,
        &[
            &key.0,
            &key.1,
            &ms(state.due),
            &ms(state.watermark),
            &i64::from(state.attempt),
            &i64::from(state.refusals),
            &error,
            &message,
            &ms(state.attempted),
            &ms(state.succeeded),
            &ms(state.contact),
            &asked_anew,
            &ms(state.registers),
        ],
    )
    .await
    .map(drop)
}

pub(super) async fn request(db: &Transaction<'_>, run: &RunRequest) -> Result<(), StoreError> {
    let action = "asking for a run";
    let plan = run.plan.as_str();
    let id = run.id.to_string();
    let now = run.now.as_millisecond();
    let names: Option<Vec<&str>> = run.meters.as_ref().map(|meters| meters.iter().map(MeterId::as_str).collect());
    let names = names.as_deref();
    hold(db, &run.plan, names).await?;
    fail_requests(db, &run.plan, names).await?;
    let sql = "INSERT INTO plan_runs (id, plan, created_ms, meters) VALUES ($1, $2, $3, 0)";
    execute(db, action, sql, &[&id, &plan, &now]).await?;
    // Without a moment to look again from, the watermark stays: NULL is not the least of two.
    let sql = "UPDATE plan_states SET due_ms = $3, attempt = 0, refusals = 0, request = $4, until_ms = $5,
               watermark_ms = least(watermark_ms, $6)
               WHERE plan = $1 AND ($2::text[] IS NULL OR meter = ANY($2))";
    let (until, from) = (run.until.as_millisecond(), run.from.map(Timestamp::as_millisecond));
    let meters = execute(db, action, sql, &[&plan, &names, &now, &id, &until, &from]).await?;
    let meters = i64::try_from(meters).unwrap_or(i64::MAX);
    execute(db, action, "UPDATE plan_runs SET meters = $2 WHERE id = $1", &[&id, &meters]).await.map(drop)
}

pub(super) async fn run(db: &impl GenericClient, id: Uuid) -> Result<Option<PlanRun>, StoreError> {
    let sql = "SELECT plan, created_ms, meters, succeeded, failed FROM plan_runs WHERE id = $1";
    let Some(row) = row(db, "reading a run", sql, &[&id.to_string()]).await? else { return Ok(None) };
    let plan: &str = get(&row, 0)?;
    let number = |column| get::<i64>(&row, column).map(i64::unsigned_abs);
    Ok(Some(PlanRun {
        id,
        plan: plan.parse().map_err(|_| corrupt(format!("{plan:?} is not the name of a plan")))?,
        created: moment(get(&row, 1)?),
        meters: number(2)?,
        succeeded: number(3)?,
        failed: number(4)?,
    }))
}

fn state(row: &Row, plan: &PlanId) -> Result<PlanState, StoreError> {
    let time = |column| Ok::<_, StoreError>(get::<Option<i64>>(row, column)?.map(moment));
    let meter: &str = get(row, 0)?;
    let error: Option<String> = get(row, 5)?;
    let message: Option<String> = get(row, 6)?;
    Ok(PlanState {
        plan: plan.clone(),
        meter: MeterId::try_new(meter).map_err(|error| corrupt(format!("{meter:?}: {error}")))?,
        due: time(1)?,
        watermark: time(2)?,
        attempt: unsigned(row, 3)?,
        refusals: unsigned(row, 4)?,
        error: error.map(|error| (error, message.unwrap_or_default())),
        attempted: time(7)?,
        succeeded: time(8)?,
        contact: time(9)?,
        registers: time(10)?,
        request: get::<Option<&str>>(row, 11)?.and_then(|id| id.parse().ok()),
        until: time(12)?,
    })
}
