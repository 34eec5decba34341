//! The audit log.

use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::{Row, types::ToSql};

use super::{
    PostgresStore,
    failure::{Context, corrupt},
    pool::{execute, get, limit as count, row, rows, text},
    schema::lock,
};
use crate::store::{
    AUDIT_START, AuditIntent, AuditLink, AuditQuery, AuditRow, AuditStore, AuditedCall, StoreError, audit::PAGE,
};

impl AuditStore for PostgresStore {
    async fn append_audit(&self, row: AuditRow) -> Result<u64, StoreError> {
        let action = "adding to the audit log";
        self.0.connections.write(action, move |db| Box::pin(async move { append(db, &storable(row)).await })).await
    }

    async fn query_audit(&self, query: AuditQuery) -> Result<Vec<AuditedCall>, StoreError> {
        let action = "reading the audit log";
        self.0.connections.read(action, move |db| Box::pin(async move { calls(db, &query).await })).await
    }

    async fn audit_links(&self, after: u64, limit: usize) -> Result<Vec<AuditLink>, StoreError> {
        let action = "reading the audit log";
        self.0.connections.read(action, move |db| Box::pin(links(db, after, limit))).await
    }
}

/// The row as the database can hold it: its digest is of what is there.
fn storable(row: AuditRow) -> AuditRow {
    let clean = |of: String| if of.contains('\0') { text(&of).into_owned() } else { of };
    match row {
        AuditRow::Intent(AuditIntent { time_ms, subject, tenant, method, target, details, request_id, peer }) => {
            AuditRow::Intent(AuditIntent {
                time_ms,
                subject: clean(subject),
                tenant,
                method: clean(method),
                target: clean(target),
                details: clean(details),
                request_id: clean(request_id),
                peer: clean(peer),
            })
        }
        AuditRow::Outcome { intent, time_ms, outcome } => {
            AuditRow::Outcome { intent, time_ms, outcome: clean(outcome) }
        }
    }
}

async fn append(db: &Transaction<'_>, new: &AuditRow) -> Result<u64, StoreError> {
    let action = "adding to the audit log";
    // Each row holds the digest of the one before, so they are written one after the other.
    lock(db, "audit").await?;
    let last = row(db, action, "SELECT number, digest FROM audit ORDER BY number DESC LIMIT 1", &[]).await?;
    let (last, before) = match last {
        None => (0, AUDIT_START),
        Some(row) => (get::<i64>(&row, 0)?, digest_of(get(&row, 1)?)?),
    };
    let number = last.saturating_add(1);
    let digest = new.digest(&before, number.unsigned_abs());
    match new {
        AuditRow::Intent(AuditIntent { time_ms, subject, tenant, method, target, details, request_id, peer }) => {
            let tenant = tenant.as_ref().map_or("", |tenant| tenant.as_str());
            let sql = "INSERT INTO audit
                       (number, time_ms, subject, tenant, method, target, details, request_id, peer, digest)
                       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
            execute(
                db,
                action,
                sql,
                &[&number, time_ms, subject, &tenant, method, target, details, request_id, peer, &&digest[..]],
            )
            .await?;
        }
        AuditRow::Outcome { intent, time_ms, outcome } => {
            let sql = "INSERT INTO audit (number, time_ms, intent, outcome, digest) VALUES ($1, $2, $3, $4, $5)";
            execute(db, action, sql, &[&number, time_ms, &intent.cast_signed(), outcome, &&digest[..]]).await?;
        }
    }
    Ok(number.unsigned_abs())
}

fn digest_of(octets: &[u8]) -> Result<[u8; 32], StoreError> {
    octets.try_into().map_err(|_| corrupt("a digest of the audit log has not 32 octets"))
}

/// Columns of an intent, from the `first` one on.
fn intent(row: &Row, first: usize) -> Result<AuditIntent, StoreError> {
    let text = |column: usize| get::<String>(row, first.saturating_add(column));
    let tenant = match get::<&str>(row, first.saturating_add(2))? {
        "" => None,
        name => Some(name.parse().map_err(|_| corrupt("a tenant of the audit log has no legal name"))?),
    };
    Ok(AuditIntent {
        time_ms: get(row, first)?,
        subject: text(1)?,
        tenant,
        method: text(3)?,
        target: text(4)?,
        details: text(5)?,
        request_id: text(6)?,
        peer: text(7)?,
    })
}

async fn calls(db: &impl GenericClient, query: &AuditQuery) -> Result<Vec<AuditedCall>, StoreError> {
    let mut sql =
        "SELECT i.number, i.time_ms, i.subject, i.tenant, i.method, i.target, i.details, i.request_id, i.peer,
        o.time_ms, o.outcome FROM audit AS i LEFT JOIN audit AS o ON o.intent = i.number WHERE i.intent IS NULL"
            .to_owned();
    let before = query.before.map(|number| i64::try_from(number).unwrap_or(i64::MAX));
    let tenant = query.tenant.as_ref().map(|tenant| tenant.as_str());
    let texts = [&query.subject, &query.method, &query.target].map(|of| text(of));
    let mut values: Vec<&(dyn ToSql + Sync)> = Vec::new();
    let [subject, method, target] = &texts;
    let mut clauses: Vec<(&str, &(dyn ToSql + Sync))> = Vec::new();
    if let Some(before) = &before {
        clauses.push(("i.number < ?", before));
    }
    if !subject.is_empty() {
        clauses.push(("i.subject = ?", subject));
    }
    if let Some(tenant) = &tenant {
        clauses.push(("i.tenant = ?", tenant));
    }
    if !method.is_empty() {
        // Compared from the end, so that `CreateMeter` finds all services that have one.
        clauses
            .push(("right('/' || replace(i.method, '.', '/'), length(?) + 1) = '/' || replace(?, '.', '/')", method));
    }
    if !target.is_empty() {
        clauses.push(("strpos(i.target, ?) > 0", target));
    }
    if let Some(from) = &query.from_ms {
        clauses.push(("i.time_ms >= ?", from));
    }
    if let Some(to) = &query.to_ms {
        clauses.push(("i.time_ms < ?", to));
    }
    for (clause, value) in clauses {
        values.push(value);
        sql.push_str(" AND ");
        sql.push_str(&clause.replace('?', &format!("${}", values.len())));
    }
    if query.open {
        sql.push_str(" AND o.number IS NULL");
    }
    sql.push_str(&format!(" ORDER BY i.number DESC LIMIT {}", query.limit.min(PAGE)));
    let rows = db.query(&sql, &values).await.context("reading the audit log")?;
    rows.iter()
        .map(|row| {
            let outcome = get::<Option<i64>>(row, 9)?.zip(get::<Option<String>>(row, 10)?);
            Ok(AuditedCall { number: get::<i64>(row, 0)?.unsigned_abs(), intent: intent(row, 1)?, outcome })
        })
        .collect()
}

async fn links(db: &impl GenericClient, after: u64, limit: usize) -> Result<Vec<AuditLink>, StoreError> {
    let sql =
        "SELECT number, digest, intent, outcome, time_ms, subject, tenant, method, target, details, request_id, peer
               FROM audit WHERE number > $1 ORDER BY number LIMIT $2";
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let rows = rows(db, "reading the audit log", sql, &[&after, &count(limit)]).await?;
    rows.iter()
        .map(|row| {
            let of = match get::<Option<i64>>(row, 2)? {
                Some(of) => {
                    AuditRow::Outcome { intent: of.unsigned_abs(), time_ms: get(row, 4)?, outcome: get(row, 3)? }
                }
                None => AuditRow::Intent(intent(row, 4)?),
            };
            Ok(AuditLink { number: get::<i64>(row, 0)?.unsigned_abs(), row: of, digest: digest_of(get(row, 1)?)? })
        })
        .collect()
}
