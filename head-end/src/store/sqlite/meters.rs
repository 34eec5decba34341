//! Meters and their sealed secrets.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::{SqliteStore, control::FILE, failure::Context, requests};
use crate::{
    meter::{MeterId, MeterRecord},
    store::{
        MeterFilter, MeterStore, NewMeter, RequestKey, RequestState, SecretChange, StoreError, StoredMeter, Written,
        meters::SCAN, records,
    },
    vault::{Sealed, SecretRole},
};

impl MeterStore for SqliteStore {
    async fn create_meter(&self, meter: NewMeter, request: Option<RequestKey>) -> Result<Written, StoreError> {
        self.0.control.write(move |db| create(db, &meter, request.as_ref())).await
    }

    async fn meter(&self, id: &MeterId) -> Result<Option<StoredMeter>, StoreError> {
        let id = id.clone();
        self.0.readers.control(move |db| get(db, &id)).await
    }

    async fn list_meters(
        &self,
        after: Option<MeterId>,
        filter: MeterFilter,
        limit: usize,
    ) -> Result<Vec<MeterRecord>, StoreError> {
        self.0.readers.control(move |db| list(db, after.as_ref(), &filter, limit)).await
    }

    async fn update_meter(&self, meter: NewMeter, request: Option<RequestKey>) -> Result<Written, StoreError> {
        self.0.control.write(move |db| update(db, &meter, request.as_ref())).await
    }

    async fn delete_meter(
        &self,
        id: &MeterId,
        revision: Option<u64>,
        request: Option<RequestKey>,
    ) -> Result<(), StoreError> {
        let id = id.clone();
        self.0.control.write(move |db| delete(db, &id, revision, request.as_ref())).await
    }
}

pub(super) fn create(db: &Connection, meter: &NewMeter, request: Option<&RequestKey>) -> Result<Written, StoreError> {
    once(db, request, || {
        if record(db, &meter.record.id)?.is_some() {
            return Err(StoreError::AlreadyExists(meter.record.id.resource_name()));
        }
        put(db, meter)?;
        Ok(meter.record.clone())
    })
}

pub(super) fn update(db: &Connection, meter: &NewMeter, request: Option<&RequestKey>) -> Result<Written, StoreError> {
    once(db, request, || {
        let expected = meter.record.revision.saturating_sub(1);
        check_revision(db, &meter.record.id, Some(expected))?;
        put(db, meter)?;
        Ok(meter.record.clone())
    })
}

pub(super) fn delete(
    db: &Connection,
    id: &MeterId,
    revision: Option<u64>,
    request: Option<&RequestKey>,
) -> Result<(), StoreError> {
    if let Some(request) = request
        && matches!(requests::begin(db, request)?, RequestState::Finished(_))
    {
        return Ok(());
    }
    check_revision(db, id, revision)?;
    db.execute("DELETE FROM meters WHERE name = ?1", [id.as_str()]).context(FILE, "deleting a meter")?;
    match request {
        Some(request) => requests::finish(db, request, &[]),
        None => Ok(()),
    }
}

/// Does `work` and keeps its record as the answer, in one transaction, unless it was done before.
fn once(
    db: &Connection,
    request: Option<&RequestKey>,
    work: impl FnOnce() -> Result<MeterRecord, StoreError>,
) -> Result<Written, StoreError> {
    let Some(request) = request else { return work().map(Written::Done) };
    if let RequestState::Finished(response) = requests::begin(db, request)? {
        let text = String::from_utf8_lossy(&response);
        return parse(&text).map(Written::Repeated);
    }
    let record = work()?;
    requests::finish(db, request, to_json(&record)?.as_bytes())?;
    Ok(Written::Done(record))
}

fn check_revision(db: &Connection, id: &MeterId, expected: Option<u64>) -> Result<(), StoreError> {
    let Some(current) = record(db, id)? else { return Err(StoreError::NotFound(id.resource_name())) };
    match expected {
        Some(expected) if expected != current.revision => {
            Err(StoreError::Conflict { name: id.resource_name(), found: current.revision, expected })
        }
        _ => Ok(()),
    }
}

pub(super) fn put(db: &Connection, meter: &NewMeter) -> Result<(), StoreError> {
    let name = meter.record.id.as_str();
    db.execute(
        "INSERT INTO meters (name, record) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET record = excluded.record",
        [name, &to_json(&meter.record)?],
    )
    .context(FILE, "writing a meter")?;
    let since = meter.record.updated.as_millisecond();
    meter.secrets.iter().try_for_each(|change| put_secret(db, name, since, change))
}

fn put_secret(db: &Connection, meter: &str, since_ms: i64, (role, sealed): &SecretChange) -> Result<(), StoreError> {
    match sealed {
        Some(sealed) => db.execute(
            "INSERT INTO meter_secrets (meter, role, sealed, since_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (meter, role) DO UPDATE SET sealed = excluded.sealed, since_ms = excluded.since_ms",
            params![meter, role.name(), sealed.as_bytes(), since_ms],
        ),
        None => db.execute("DELETE FROM meter_secrets WHERE meter = ?1 AND role = ?2", [meter, role.name()]),
    }
    .map(drop)
    .context(FILE, "writing a sealed secret")
}

pub(super) fn get(db: &Connection, id: &MeterId) -> Result<Option<StoredMeter>, StoreError> {
    let Some(record) = record(db, id)? else { return Ok(None) };
    let mut query = db
        .prepare_cached("SELECT role, sealed FROM meter_secrets WHERE meter = ?1")
        .context(FILE, "reading secrets")?;
    let rows = query
        .query_map([id.as_str()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)))
        .context(FILE, "reading secrets")?;
    let mut secrets = BTreeMap::new();
    for row in rows {
        let (role, sealed) = row.context(FILE, "reading secrets")?;
        secrets.insert(self::role(&role)?, Sealed::from_bytes(sealed));
    }
    Ok(Some(StoredMeter { record, secrets }))
}

pub(super) fn role(name: &str) -> Result<SecretRole, StoreError> {
    SecretRole::from_name(name).ok_or_else(|| StoreError::Corrupt {
        file: FILE.to_owned(),
        reason: format!("{name:?} is not the role of a secret"),
    })
}

pub(super) fn list(
    db: &Connection,
    after: Option<&MeterId>,
    filter: &MeterFilter,
    limit: usize,
) -> Result<Vec<MeterRecord>, StoreError> {
    let mut sql = "SELECT record FROM meters WHERE name > ?".to_owned();
    let mut values = vec![after.map_or("", MeterId::as_str).to_owned()];
    for (key, value) in &filter.labels {
        // A label's key may hold any character, so it is looked for as a value and not in a path.
        sql.push_str(
            " AND EXISTS (SELECT 1 FROM json_each(record, '$.settings.labels') AS label
               WHERE label.key = ? AND label.value = ?)",
        );
        values.push(key.clone());
        values.push(value.clone());
    }
    if let Some(tenant) = &filter.tenant {
        sql.push_str(" AND json_extract(record, '$.settings.tenant') = ?");
        values.push(tenant.as_str().to_owned());
    }
    sql.push_str(&format!(" ORDER BY name LIMIT {}", limit.min(SCAN)));
    let mut query = db.prepare_cached(&sql).context(FILE, "listing meters")?;
    let rows =
        query.query_map(params_from_iter(values), |row| row.get::<_, String>(0)).context(FILE, "listing meters")?;
    rows.map(|row| parse(&row.context(FILE, "listing meters")?)).collect()
}

fn record(db: &Connection, id: &MeterId) -> Result<Option<MeterRecord>, StoreError> {
    db.prepare_cached("SELECT record FROM meters WHERE name = ?1")
        .and_then(|mut query| query.query_row([id.as_str()], |row| row.get::<_, String>(0)).optional())
        .context(FILE, "reading a meter")?
        .map(|text| parse(&text))
        .transpose()
}

fn parse(text: &str) -> Result<MeterRecord, StoreError> {
    records::parse(text, "a meter", FILE)
}

fn to_json(record: &MeterRecord) -> Result<String, StoreError> {
    records::to_json(record, FILE)
}
