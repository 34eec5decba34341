//! Where the meters of plans stand, and runs that were asked for.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::{control::FILE, failure::Context};
use crate::{
    meter::MeterId,
    plan::PlanId,
    store::{PlanRun, PlanState, RunRequest, StoreError},
};

pub(super) fn enrol(db: &Connection, plan: &PlanId, meters: &[(MeterId, Timestamp)]) -> Result<(), StoreError> {
    // The plan may be gone by now, as may the meter.
    let mut insert = db
        .prepare_cached(
            "INSERT INTO plan_states (plan, meter, due_ms)
             SELECT plans.name, meters.name, ?3 FROM plans, meters WHERE plans.name = ?1 AND meters.name = ?2
             ON CONFLICT DO NOTHING",
        )
        .context(FILE, "adding a meter to a plan")?;
    for (meter, due) in meters {
        insert
            .execute(params![plan.as_str(), meter.as_str(), due.as_millisecond()])
            .context(FILE, "adding a meter to a plan")?;
    }
    Ok(())
}

pub(super) fn dismiss(db: &Connection, plan: &PlanId, meters: &[MeterId]) -> Result<(), StoreError> {
    for meter in meters {
        end_request(db, plan, meter, None, false)?;
        db.prepare_cached("DELETE FROM plan_states WHERE plan = ?1 AND meter = ?2")
            .and_then(|mut delete| delete.execute([plan.as_str(), meter.as_str()]))
            .context(FILE, "taking a meter out of a plan")?;
    }
    Ok(())
}

pub(super) fn revive(db: &Connection, meter: &MeterId, due: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE plan_states SET due_ms = ?2, refusals = 0 WHERE meter = ?1 AND due_ms IS NULL")
        .and_then(|mut update| update.execute(params![meter.as_str(), due.as_millisecond()]))
        .map(drop)
        .context(FILE, "letting a meter go on")
}

const COLUMNS: &str = "meter, due_ms, watermark_ms, attempt, refusals, error, message, attempted_ms, succeeded_ms,
                       contact_ms, registers_ms, request, until_ms";

pub(super) fn list(
    db: &Connection,
    plan: &PlanId,
    after: Option<&MeterId>,
    limit: usize,
) -> Result<Vec<PlanState>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM plan_states WHERE plan = ?1 AND meter > ?2 ORDER BY meter LIMIT ?3");
    let after = after.map_or("", MeterId::as_str);
    let mut query = db.prepare_cached(&sql).context(FILE, "listing states")?;
    let mut rows = query.query(params![plan.as_str(), after, limit_of(limit)]).context(FILE, "listing states")?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().context(FILE, "listing states")? {
        found.push(state(row, plan)?);
    }
    Ok(found)
}

pub(super) fn of_meter(db: &Connection, meter: &MeterId) -> Result<Vec<PlanState>, StoreError> {
    let sql = format!("SELECT {COLUMNS}, plan FROM plan_states WHERE meter = ?1 ORDER BY plan");
    let mut query = db.prepare_cached(&sql).context(FILE, "listing states of a meter")?;
    let mut rows = query.query([meter.as_str()]).context(FILE, "listing states of a meter")?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().context(FILE, "listing states of a meter")? {
        let plan: String = row.get(13).context(FILE, "listing states of a meter")?;
        let plan = plan.parse().map_err(|_| corrupt(format!("{plan:?} is no name of a plan")))?;
        found.push(state(row, &plan)?);
    }
    Ok(found)
}

pub(super) fn due(db: &Connection, plan: &PlanId, now: Timestamp, limit: usize) -> Result<Vec<PlanState>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM plan_states WHERE plan = ?1 AND due_ms <= ?2 ORDER BY due_ms LIMIT ?3");
    let mut query = db.prepare_cached(&sql).context(FILE, "looking for what is due")?;
    let mut rows = query
        .query(params![plan.as_str(), now.as_millisecond(), limit_of(limit)])
        .context(FILE, "looking for what is due")?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().context(FILE, "looking for what is due")? {
        found.push(state(row, plan)?);
    }
    Ok(found)
}

pub(super) fn next_due(db: &Connection, plan: &PlanId, after: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let due: Option<i64> = db
        .prepare_cached("SELECT min(due_ms) FROM plan_states WHERE plan = ?1 AND due_ms > ?2")
        .and_then(|mut query| query.query_row(params![plan.as_str(), after.as_millisecond()], |row| row.get(0)))
        .context(FILE, "looking for what is due")?;
    Ok(due.map(moment))
}

pub(super) fn write(db: &Connection, state: &PlanState, ended: Option<bool>) -> Result<(), StoreError> {
    // Whoever asked for a run since the state was read wants another turn, and may have set the watermark back.
    let now: Option<Option<String>> = db
        .prepare_cached("SELECT request FROM plan_states WHERE plan = ?1 AND meter = ?2")
        .and_then(|mut query| query.query_row([state.plan.as_str(), state.meter.as_str()], |row| row.get(0)).optional())
        .context(FILE, "reading a state")?;
    let Some(now) = now else { return Ok(()) };
    let asked_anew = now.is_some() && now != state.request.map(|id| id.to_string());
    if let Some(succeeded) = ended.filter(|_| !asked_anew) {
        end_request(db, &state.plan, &state.meter, state.request, succeeded)?;
    }
    let ms = |moment: Option<Timestamp>| moment.map(Timestamp::as_millisecond);
    let (error, message) = state.error.as_ref().map(|(error, message)| (error, message)).unzip();
    db.prepare_cached(
        "UPDATE plan_states SET
         due_ms = CASE WHEN ?12 THEN due_ms ELSE ?3 END,
         watermark_ms = CASE WHEN ?12 THEN watermark_ms ELSE ?4 END,
         attempt = ?5, refusals = ?6, error = ?7, message = ?8,
         attempted_ms = ?9, succeeded_ms = ?10, contact_ms = ?11, registers_ms = ?13
         WHERE plan = ?1 AND meter = ?2",
    )
    .and_then(|mut update| {
        update.execute(params![
            state.plan.as_str(),
            state.meter.as_str(),
            ms(state.due),
            ms(state.watermark),
            state.attempt,
            state.refusals,
            error,
            message,
            ms(state.attempted),
            ms(state.succeeded),
            ms(state.contact),
            asked_anew,
            ms(state.registers),
        ])
    })
    .map(drop)
    .context(FILE, "writing a state")
}

/// Ends the run that was asked for, for one meter: `only` that one where given.
fn end_request(
    db: &Connection,
    plan: &PlanId,
    meter: &MeterId,
    only: Option<Uuid>,
    succeeded: bool,
) -> Result<(), StoreError> {
    let action = "ending a run";
    let only = only.map(|id| id.to_string());
    let id: Option<String> = db
        .prepare_cached(
            "SELECT request FROM plan_states
             WHERE plan = ?1 AND meter = ?2 AND request IS NOT NULL AND (?3 IS NULL OR request = ?3)",
        )
        .and_then(|mut query| {
            query.query_row(params![plan.as_str(), meter.as_str(), only], |row| row.get(0)).optional()
        })
        .context(FILE, action)?;
    let Some(id) = id else { return Ok(()) };
    db.prepare_cached("UPDATE plan_runs SET succeeded = succeeded + ?2, failed = failed + ?3 WHERE id = ?1")
        .and_then(|mut update| update.execute(params![id, succeeded, !succeeded]))
        .context(FILE, action)?;
    db.prepare_cached("UPDATE plan_states SET request = NULL, until_ms = NULL WHERE plan = ?1 AND meter = ?2")
        .and_then(|mut update| update.execute([plan.as_str(), meter.as_str()]))
        .map(drop)
        .context(FILE, action)
}

pub(super) fn request(db: &Connection, run: &RunRequest) -> Result<(), StoreError> {
    let action = "asking for a run";
    let plan = run.plan.as_str();
    let id = run.id.to_string();
    db.execute(
        "INSERT INTO plan_runs (id, plan, created_ms, meters) VALUES (?1, ?2, ?3, 0)",
        params![id, plan, run.now.as_millisecond()],
    )
    .context(FILE, action)?;
    let meters = match &run.meters {
        Some(meters) => meters.iter().map(|meter| meter.as_str().to_owned()).collect(),
        None => names(db, plan)?,
    };
    let mut count = 0;
    for meter in meters {
        let Ok(meter) = MeterId::try_new(&meter) else { continue };
        end_request(db, &run.plan, &meter, None, false)?;
        count += db
            .prepare_cached(
                "UPDATE plan_states SET due_ms = ?3, attempt = 0, refusals = 0, request = ?4, until_ms = ?5,
                 watermark_ms = min(coalesce(watermark_ms, ?6), ?6)
                 WHERE plan = ?1 AND meter = ?2",
            )
            .and_then(|mut update| {
                let (now, until) = (run.now.as_millisecond(), run.until.as_millisecond());
                // Without a moment to look again from, the watermark stays: nothing is smaller than itself.
                let from = run.from.map_or(i64::MAX, Timestamp::as_millisecond);
                update.execute(params![plan, meter.as_str(), now, id, until, from])
            })
            .context(FILE, action)?;
    }
    db.execute("UPDATE plan_runs SET meters = ?2 WHERE id = ?1", params![id, i64::try_from(count).unwrap_or(i64::MAX)])
        .map(drop)
        .context(FILE, action)?;
    // A meter that was never looked at begins where its plan says.
    db.execute(
        "UPDATE plan_states SET watermark_ms = NULL WHERE plan = ?1 AND watermark_ms = ?2",
        params![plan, i64::MAX],
    )
    .map(drop)
    .context(FILE, action)
}

fn names(db: &Connection, plan: &str) -> Result<Vec<String>, StoreError> {
    let action = "listing the meters of a plan";
    let mut query = db.prepare_cached("SELECT meter FROM plan_states WHERE plan = ?1").context(FILE, action)?;
    let rows = query.query_map([plan], |row| row.get(0)).context(FILE, action)?;
    rows.map(|row| row.context(FILE, action)).collect()
}

pub(super) fn run(db: &Connection, id: Uuid) -> Result<Option<PlanRun>, StoreError> {
    let action = "reading a run";
    let row = db
        .prepare_cached("SELECT plan, created_ms, meters, succeeded, failed FROM plan_runs WHERE id = ?1")
        .and_then(|mut query| {
            query
                .query_row([id.to_string()], |row| {
                    let plan: String = row.get(0)?;
                    let counts = (row.get::<_, i64>(2)?, row.get::<_, i64>(3)?, row.get::<_, i64>(4)?);
                    Ok((plan, row.get::<_, i64>(1)?, counts))
                })
                .optional()
        })
        .context(FILE, action)?;
    let Some((plan, created, (meters, succeeded, failed))) = row else { return Ok(None) };
    Ok(Some(PlanRun {
        id,
        plan: plan.parse().map_err(|_| corrupt(format!("{plan:?} is not the name of a plan")))?,
        created: moment(created),
        meters: meters.unsigned_abs(),
        succeeded: succeeded.unsigned_abs(),
        failed: failed.unsigned_abs(),
    }))
}

fn state(row: &Row<'_>, plan: &PlanId) -> Result<PlanState, StoreError> {
    let field = "reading a state";
    let time = |n: usize| Ok::<_, StoreError>(row.get::<_, Option<i64>>(n).context(FILE, field)?.map(moment));
    let meter: String = row.get(0).context(FILE, field)?;
    let error: Option<String> = row.get(5).context(FILE, field)?;
    let message: Option<String> = row.get(6).context(FILE, field)?;
    let request: Option<String> = row.get(11).context(FILE, field)?;
    Ok(PlanState {
        plan: plan.clone(),
        meter: MeterId::try_new(&meter).map_err(|error| corrupt(format!("{meter:?}: {error}")))?,
        due: time(1)?,
        watermark: time(2)?,
        attempt: row.get(3).context(FILE, field)?,
        refusals: row.get(4).context(FILE, field)?,
        error: error.map(|error| (error, message.unwrap_or_default())),
        attempted: time(7)?,
        succeeded: time(8)?,
        contact: time(9)?,
        registers: time(10)?,
        request: request.and_then(|id| id.parse().ok()),
        until: time(12)?,
    })
}

fn corrupt(reason: String) -> StoreError {
    StoreError::Corrupt { file: FILE.to_owned(), reason }
}

fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn moment(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
