//! The object list of a push setup, read from its meter once: it says what the values of its pushes are.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use dlms::{
    axdr::Value,
    id::{AttributeId, ClassId},
    obis::ObisCode,
    unit::{ScalerUnit, Unit},
};
use tokio::time::Instant;

use super::reader::Reader;
use crate::{
    meter::MeterId,
    operation::{
        AttributeRef, CaptureColumn, GetAttribute, MeterAccess, Operation, ProfileLayout, ProfileSelection,
        ReadProfile, RequestError, Terms,
    },
    store::Store,
};

/// Object lists that are read at a time.
const ABREAST: usize = 8;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a meter that did not give its list is left alone.
const REST: Duration = Duration::from_secs(3_600);
/// Meters that are remembered for that.
const REMEMBERED: usize = 10_000;
/// Entries of an object list, at most.
const ENTRIES: usize = 256;

/// Object lists that are being read, and those that could not be.
#[derive(Debug, Default)]
pub(super) struct Learning {
    under_way: HashSet<(MeterId, ObisCode)>,
    failed: HashMap<(MeterId, ObisCode), Instant>,
    /// Whether something was learned, so that what waits can be read.
    news: bool,
}

impl Learning {
    /// Whether something changed since this was asked last.
    pub(super) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }
}

/// Sees to it that the object list of `setup` is read; says why not, where that was tried and failed.
pub(super) async fn objects<S: Store, A: MeterAccess>(
    reader: &Arc<Reader<S, A>>,
    meter: &MeterId,
    setup: ObisCode,
) -> Option<&'static str> {
    let key = (meter.clone(), setup);
    let mut learning = reader.learning.lock().await;
    let now = Instant::now();
    if learning.failed.get(&key).is_some_and(|at| now - *at < REST) {
        return Some("the object list of its push setup could not be read");
    }
    // What finds no place now is looked at again.
    if learning.under_way.len() >= ABREAST || !learning.under_way.insert(key.clone()) {
        return None;
    }
    let reader = Arc::clone(reader);
    tokio::spawn(async move {
        let learned = reader.stop.run_until_cancelled(learn(&reader, &key.0, setup)).await;
        let mut learning = reader.learning.lock().await;
        learning.under_way.remove(&key);
        learning.news = true;
        match learned {
            None | Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::info!(meter = %key.0, %setup, %error, "the object list of a push setup could not be read");
                if learning.failed.len() >= REMEMBERED {
                    learning.failed.clear();
                }
                learning.failed.insert(key, Instant::now());
            }
        }
        drop(learning);
        reader.kept.notify_one();
    });
    None
}

async fn learn<S: Store, A: MeterAccess>(
    reader: &Reader<S, A>,
    meter: &MeterId,
    setup: ObisCode,
) -> Result<(), RequestError> {
    let head_end = &reader.head_end;
    let terms = || Terms::from(Instant::now() + PATIENCE);
    let attribute = AttributeRef::new(ClassId(40), setup, AttributeId(2));
    let read = head_end.get_attributes(meter, vec![GetAttribute { attribute, selection: None }], terms()).await?;
    let list = read.into_iter().next().transpose()?;
    let mut columns = list.map(|list| entries(&list.value)).unwrap_or_default();
    let scaled: Vec<(usize, AttributeRef)> = columns.iter().enumerate().filter_map(scaler_of).collect();
    if !scaled.is_empty() {
        let asked =
            scaled.iter().map(|(_, attribute)| GetAttribute { attribute: *attribute, selection: None }).collect();
        let answers = head_end.get_attributes(meter, asked, terms()).await?;
        for ((place, _), answer) in scaled.iter().zip(answers) {
            if let (Some(column), Ok(answer)) = (columns.get_mut(*place), answer) {
                column.scaler_unit = scaler_unit(&answer.value);
            }
        }
    }
    let store = head_end.registry().store();
    for column in columns.iter().filter(|column| column.class.0 == 7 && column.attribute.0 == 2) {
        if store.profile_layout(meter, column.obis).await?.is_none() {
            // Reading one row reads the layout, which is kept.
            let selection = ProfileSelection::Entries { from: 1, to: 1 };
            head_end
                .access()
                .execute(meter, Operation::ReadProfile(ReadProfile { profile: column.obis, selection }), terms())
                .await?;
        }
    }
    let layout =
        ProfileLayout { profile: setup, columns, capture_period_s: 0, entries_in_use: None, profile_entries: None };
    Ok(store.save_profile_layout(meter, Arc::new(layout)).await?)
}

/// The entries of a push object list of any version; one that is none ends it.
fn entries(list: &Value) -> Vec<CaptureColumn> {
    let Value::Array(entries) = list else { return Vec::new() };
    entries.iter().take(ENTRIES).map_while(entry).collect()
}

fn entry(entry: &Value) -> Option<CaptureColumn> {
    let Value::Structure(members) = entry else { return None };
    let [
        Value::LongUnsigned(class),
        Value::OctetString(name),
        Value::Integer(attribute),
        Value::LongUnsigned(index),
        ..,
    ] = members.as_slice()
    else {
        return None;
    };
    Some(CaptureColumn {
        class: ClassId(*class),
        obis: ObisCode::from_slice(name)?,
        attribute: AttributeId(*attribute),
        data_index: *index,
        scaler_unit: None,
    })
}

/// The attribute that has the scaler of a column, for columns that have one.
fn scaler_of((place, column): (usize, &CaptureColumn)) -> Option<(usize, AttributeRef)> {
    let attribute = match (column.class.0, column.attribute.0) {
        (3 | 4, 2) => 3,
        (5, 2 | 3) => 4,
        _ => return None,
    };
    Some((place, AttributeRef::new(column.class, column.obis, AttributeId(attribute))))
}

fn scaler_unit(value: &Value) -> Option<ScalerUnit> {
    match value {
        Value::Structure(members) => match members.as_slice() {
            [Value::Integer(scaler), Value::Enum(unit)] => Some(ScalerUnit { scaler: *scaler, unit: Unit(*unit) }),
            _ => None,
        },
        _ => None,
    }
}
