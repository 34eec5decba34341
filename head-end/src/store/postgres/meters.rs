//! Meters and their sealed secrets.

use std::{collections::BTreeMap, future::ready};

use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::types::ToSql;

use super::{
    PLACE, PostgresStore,
    failure::corrupt,
    pool::{execute, get as column, limit as count, row, rows},
    requests,
};
use crate::{
    meter::{MeterId, MeterRecord, Tenant},
    store::{
        MeterFilter, MeterStore, NewMeter, RequestKey, SecretChange, StoreError, StoredMeter, Written, meters::SCAN,
        records,
    },
    vault::{Sealed, SecretRole},
};

impl MeterStore for PostgresStore {
    async fn create_meter(&self, meter: NewMeter, request: Option<RequestKey>) -> Result<Written, StoreError> {
        self.write_meter("adding a meter", meter, request, true).await
    }

    async fn meter(&self, id: &MeterId) -> Result<Option<StoredMeter>, StoreError> {
        let id = id.clone();
        self.0.connections.read("reading a meter", move |db| Box::pin(async move { get(db, &id).await })).await
    }

    async fn list_meters(
        &self,
        after: Option<MeterId>,
        filter: MeterFilter,
        limit: usize,
    ) -> Result<Vec<MeterRecord>, StoreError> {
        self.0
            .connections
            .read("listing meters", move |db| Box::pin(async move { list(db, after.as_ref(), &filter, limit).await }))
            .await
    }

    async fn update_meter(&self, meter: NewMeter, request: Option<RequestKey>) -> Result<Written, StoreError> {
        self.write_meter("changing a meter", meter, request, false).await
    }

    async fn delete_meter(
        &self,
        id: &MeterId,
        revision: Option<u64>,
        request: Option<RequestKey>,
    ) -> Result<(), StoreError> {
        let id = id.clone();
        let action = "deleting a meter";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let work = async {
                        check_revision(db, &id, revision).await?;
                        execute(db, action, "DELETE FROM meters WHERE name = $1", &[&id.as_str()]).await.map(drop)
                    };
                    let again = |_| Box::pin(ready(Ok(()))) as _;
                    requests::once(db, request.as_ref(), work, |()| Ok(Vec::new()), again).await.map(drop)
                })
            })
            .await
    }
}

impl PostgresStore {
    async fn write_meter(
        &self,
        action: &'static str,
        meter: NewMeter,
        request: Option<RequestKey>,
        new: bool,
    ) -> Result<Written, StoreError> {
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let work = async {
                        if new {
                            insert(db, &meter.record).await?;
                        } else {
                            let expected = meter.record.revision.saturating_sub(1);
                            check_revision(db, &meter.record.id, Some(expected)).await?;
                            replace(db, &meter.record).await?;
                        }
                        for change in &meter.secrets {
                            put_secret(db, &meter.record, change).await?;
                        }
                        Ok(meter.record.clone())
                    };
                    let keep = |record: &MeterRecord| records::to_json(record, PLACE).map(String::into_bytes);
                    let again = |kept: Vec<u8>| Box::pin(ready(parse(&String::from_utf8_lossy(&kept)))) as _;
                    let (record, repeated) = requests::once(db, request.as_ref(), work, keep, again).await?;
                    Ok(if repeated { Written::Repeated(record) } else { Written::Done(record) })
                })
            })
            .await
    }
}

/// Key and value of a label in one text, whatever characters they have.
fn label((key, value): (&String, &String)) -> String {
    serde_json::json!([key, value]).to_string()
}

async fn insert(db: &Transaction<'_>, record: &MeterRecord) -> Result<(), StoreError> {
    let sql = "INSERT INTO meters (name, record, tenant, labels, system_title, push_source, equipment, device_name)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO NOTHING";
    match put(db, sql, record).await? {
        0 => Err(StoreError::AlreadyExists(record.id.resource_name())),
        _ => Ok(()),
    }
}

pub(super) async fn replace(db: &Transaction<'_>, record: &MeterRecord) -> Result<(), StoreError> {
    let sql = "UPDATE meters SET record = $2, tenant = $3, labels = $4, system_title = $5, push_source = $6,
               equipment = $7, device_name = $8 WHERE name = $1";
    put(db, sql, record).await.map(drop)
}

async fn put(db: &Transaction<'_>, sql: &str, record: &MeterRecord) -> Result<u64, StoreError> {
    let text = records::to_json(record, PLACE)?;
    let settings = &record.settings;
    let tenant = settings.tenant.as_ref().map(Tenant::as_str);
    let labels: Vec<String> = settings.labels.iter().map(label).collect();
    let title = settings.system_title.map(|title| title.to_string());
    let source = settings.push.plaintext_from.map(|address| address.to_string());
    let equipment = settings.customer_port.as_ref().and_then(|port| port.equipment_id).map(String::from);
    let name = Some(settings.logical_device_name.as_str()).filter(|name| !name.is_empty());
    let values: [&(dyn ToSql + Sync); 8] =
        [&record.id.as_str(), &text, &tenant, &labels, &title, &source, &equipment, &name];
    execute(db, "writing a meter", sql, &values).await
}

/// Changes a secret of a meter, in use since the meter was changed.
pub(super) async fn put_secret(
    db: &Transaction<'_>,
    record: &MeterRecord,
    (role, sealed): &SecretChange,
) -> Result<(), StoreError> {
    let action = "writing a sealed secret";
    let (meter, since) = (record.id.as_str(), record.updated.as_millisecond());
    match sealed {
        Some(sealed) => {
            let sql = "INSERT INTO meter_secrets (meter, role, sealed, since_ms) VALUES ($1, $2, $3, $4)
                       ON CONFLICT (meter, role) DO UPDATE SET sealed = excluded.sealed, since_ms = excluded.since_ms";
            execute(db, action, sql, &[&meter, &role.name(), &sealed.as_bytes(), &since]).await
        }
        None => {
            let sql = "DELETE FROM meter_secrets WHERE meter = $1 AND role = $2";
            execute(db, action, sql, &[&meter, &role.name()]).await
        }
    }
    .map(drop)
}

/// A meter, whose row is held until the transaction ends.
pub(super) async fn held(db: &Transaction<'_>, id: &MeterId) -> Result<MeterRecord, StoreError> {
    let sql = "SELECT record FROM meters WHERE name = $1 FOR UPDATE";
    match row(db, "reading a meter", sql, &[&id.as_str()]).await? {
        Some(row) => parse(column(&row, 0)?),
        None => Err(StoreError::NotFound(id.resource_name())),
    }
}

async fn check_revision(db: &Transaction<'_>, id: &MeterId, expected: Option<u64>) -> Result<(), StoreError> {
    let current = held(db, id).await?;
    match expected {
        Some(expected) if expected != current.revision => {
            Err(StoreError::Conflict { name: id.resource_name(), found: current.revision, expected })
        }
        _ => Ok(()),
    }
}

pub(super) async fn get(db: &impl GenericClient, id: &MeterId) -> Result<Option<StoredMeter>, StoreError> {
    // In one statement, so that record and secrets are of the same moment.
    let sql = "SELECT record, role, sealed FROM meters LEFT JOIN meter_secrets ON meter = name WHERE name = $1";
    let rows = rows(db, "reading a meter", sql, &[&id.as_str()]).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let record = parse(column(first, 0)?)?;
    let mut secrets = BTreeMap::new();
    for row in &rows {
        let Some(role) = column::<Option<&str>>(row, 1)? else { continue };
        secrets.insert(self::role(role)?, Sealed::from_bytes(column(row, 2)?));
    }
    Ok(Some(StoredMeter { record, secrets }))
}

pub(super) fn role(name: &str) -> Result<SecretRole, StoreError> {
    SecretRole::from_name(name).ok_or_else(|| corrupt(format!("{name:?} is not the role of a secret")))
}

async fn list(
    db: &impl GenericClient,
    after: Option<&MeterId>,
    filter: &MeterFilter,
    limit: usize,
) -> Result<Vec<MeterRecord>, StoreError> {
    let sql = "SELECT record FROM meters
               WHERE name > $1 AND ($2::text IS NULL OR tenant = $2) AND labels @> $3 ORDER BY name LIMIT $4";
    let labels: Vec<String> = filter.labels.iter().map(label).collect();
    let tenant = filter.tenant.as_ref().map(Tenant::as_str);
    let after = after.map_or("", MeterId::as_str);
    let rows = rows(db, "listing meters", sql, &[&after, &tenant, &labels, &count(limit.min(SCAN))]).await?;
    rows.iter().map(|row| parse(column(row, 0)?)).collect()
}

fn parse(text: &str) -> Result<MeterRecord, StoreError> {
    records::parse(text, "a meter", PLACE)
}
