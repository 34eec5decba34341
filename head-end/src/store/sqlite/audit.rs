//! The audit log.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter, types::Value};

use super::{SqliteOptions, SqliteStore, control::FILE, failure::Context, file};
use crate::store::{
    AUDIT_START, AuditBreak, AuditHead, AuditIntent, AuditLink, AuditQuery, AuditRow, AuditStore, AuditedCall,
    StoreError, audit::PAGE,
};

impl AuditStore for SqliteStore {
    async fn append_audit(&self, row: AuditRow) -> Result<u64, StoreError> {
        self.0.control.write(move |db| append(db, &row)).await
    }

    async fn query_audit(&self, query: AuditQuery) -> Result<Vec<AuditedCall>, StoreError> {
        self.0.readers.control(move |db| calls(db, &query)).await
    }

    async fn audit_links(&self, after: u64, limit: usize) -> Result<Vec<AuditLink>, StoreError> {
        self.0.readers.control(move |db| links(db, after, limit)).await
    }
}

impl SqliteStore {
    /// Checks the chain of the audit log in `directory`, also while a head-end runs there, and that it still goes through
    /// `through`, the head of an earlier check. The inner result says where it is broken.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn verify_audit(
        directory: &Path,
        options: SqliteOptions,
        through: Option<AuditHead>,
    ) -> Result<Result<AuditHead, AuditBreak>, StoreError> {
        let db = file::open_reader(&directory.join(FILE), &file::CONTROL, options)?;
        let mut head = AuditHead::START;
        loop {
            let page = links(&db, head.number, PAGE)?;
            head = match head.follow_all(&page, through) {
                Ok(head) => head,
                Err(broken) => return Ok(Err(broken)),
            };
            if page.len() < PAGE {
                return Ok(head.through(through));
            }
        }
    }
}

fn append(db: &Connection, row: &AuditRow) -> Result<u64, StoreError> {
    let last: Option<(i64, Vec<u8>)> = db
        .prepare_cached("SELECT number, digest FROM audit ORDER BY number DESC LIMIT 1")
        .and_then(|mut query| query.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .context(FILE, "reading the audit log")?;
    let (last, before) = match last {
        None => (0, AUDIT_START),
        Some((number, digest)) => (number, digest_of(&digest)?),
    };
    let number = last.saturating_add(1);
    let digest = row.digest(&before, number.unsigned_abs());
    match row {
        AuditRow::Intent(AuditIntent { time_ms, subject, tenant, method, target, details, request_id, peer }) => db
            .prepare_cached(
                "INSERT INTO audit (number, time_ms, subject, tenant, method, target, details, request_id, peer, digest)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )
            .and_then(|mut insert| {
                let tenant = tenant.as_ref().map_or("", |tenant| tenant.as_str());
                insert.execute(params![number, time_ms, subject, tenant, method, target, details, request_id, peer, digest])
            }),
        AuditRow::Outcome { intent, time_ms, outcome } => db
            .prepare_cached("INSERT INTO audit (number, time_ms, intent, outcome, digest) VALUES (?1, ?2, ?3, ?4, ?5)")
            .and_then(|mut insert| insert.execute(params![number, time_ms, intent.cast_signed(), outcome, digest])),
    }
    .context(FILE, "adding to the audit log")?;
    Ok(number.unsigned_abs())
}

fn digest_of(octets: &[u8]) -> Result<[u8; 32], StoreError> {
    octets.try_into().map_err(|_| corrupt("a digest of the audit log has not 32 octets"))
}

fn corrupt(reason: &str) -> StoreError {
    StoreError::Corrupt { file: FILE.to_owned(), reason: reason.to_owned() }
}

/// Columns of an intent, from the `first` one on.
fn intent(row: &Row<'_>, first: usize) -> rusqlite::Result<(AuditIntent, String)> {
    let text = |column: usize| row.get::<_, String>(first.saturating_add(column));
    let intent = AuditIntent {
        time_ms: row.get(first)?,
        subject: text(1)?,
        tenant: None,
        method: text(3)?,
        target: text(4)?,
        details: text(5)?,
        request_id: text(6)?,
        peer: text(7)?,
    };
    Ok((intent, text(2)?))
}

fn with_tenant((intent, tenant): (AuditIntent, String)) -> Result<AuditIntent, StoreError> {
    let tenant = match tenant.as_str() {
        "" => None,
        name => Some(name.parse().map_err(|_| corrupt("a tenant of the audit log has no legal name"))?),
    };
    Ok(AuditIntent { tenant, ..intent })
}

fn calls(db: &Connection, query: &AuditQuery) -> Result<Vec<AuditedCall>, StoreError> {
    let mut sql =
        "SELECT i.number, i.time_ms, i.subject, i.tenant, i.method, i.target, i.details, i.request_id, i.peer,
        o.time_ms, o.outcome FROM audit AS i LEFT JOIN audit AS o ON o.intent = i.number WHERE i.intent IS NULL"
            .to_owned();
    let mut values: Vec<Value> = Vec::new();
    let mut filter = |condition: &str, value: Option<Value>| {
        if let Some(value) = value {
            sql.push_str(condition);
            values.push(value);
        }
    };
    let text = |text: &str| (!text.is_empty()).then(|| Value::from(text.to_owned()));
    filter(" AND i.number < ?", query.before.map(|number| Value::from(number.min(i64::MAX as u64).cast_signed())));
    filter(" AND i.subject = ?", text(&query.subject));
    filter(" AND i.tenant = ?", query.tenant.as_ref().and_then(|tenant| text(tenant.as_str())));
    // Compared from the end, so that `CreateMeter` finds all services that have one.
    filter(" AND '/' || replace(i.method, '.', '/') LIKE '%/' || replace(?, '.', '/')", text(&query.method));
    filter(" AND instr(i.target, ?) > 0", text(&query.target));
    filter(" AND i.time_ms >= ?", query.from_ms.map(Value::from));
    filter(" AND i.time_ms < ?", query.to_ms.map(Value::from));
    if query.open {
        sql.push_str(" AND o.number IS NULL");
    }
    sql.push_str(&format!(" ORDER BY i.number DESC LIMIT {}", query.limit.min(PAGE)));
    let mut statement = db.prepare_cached(&sql).context(FILE, "reading the audit log")?;
    let rows = statement
        .query_map(params_from_iter(values), |row| {
            let outcome = row.get::<_, Option<i64>>(9)?.zip(row.get::<_, Option<String>>(10)?);
            Ok((row.get::<_, i64>(0)?, intent(row, 1)?, outcome))
        })
        .context(FILE, "reading the audit log")?;
    rows.map(|row| {
        let (number, intent, outcome) = row.context(FILE, "reading the audit log")?;
        Ok(AuditedCall { number: number.unsigned_abs(), intent: with_tenant(intent)?, outcome })
    })
    .collect()
}

fn links(db: &Connection, after: u64, limit: usize) -> Result<Vec<AuditLink>, StoreError> {
    let mut statement = db
        .prepare_cached(
            "SELECT number, digest, intent, outcome, time_ms, subject, tenant, method, target, details, request_id, peer
             FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2",
        )
        .context(FILE, "reading the audit log")?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement
        .query_map([i64::try_from(after).unwrap_or(i64::MAX), limit], |row| {
            let head = (row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?);
            Ok((head, row.get::<_, Option<i64>>(2)?, row.get::<_, String>(3)?, intent(row, 4)?))
        })
        .context(FILE, "reading the audit log")?;
    rows.map(|row| {
        let ((number, digest), of, outcome, intent) = row.context(FILE, "reading the audit log")?;
        let row = match of {
            Some(of) => AuditRow::Outcome { intent: of.unsigned_abs(), time_ms: intent.0.time_ms, outcome },
            None => AuditRow::Intent(with_tenant(intent)?),
        };
        Ok(AuditLink { number: number.unsigned_abs(), row, digest: digest_of(&digest)? })
    })
    .collect()
}
