//! Bodies of pushes, and compact data.

use dlms::axdr::Data;
use dlms::axdr::Writer;
use dlms::cosem::compact_data::{compress, expand};
use dlms::cosem::push_setup::{PushRows, push_list};
use dlms::obis::describe;

use crate::bounded;

fn count(rows: Option<PushRows<'_>>) -> usize {
    let mut rows = bounded(0, || rows.into_iter().flatten());
    std::iter::from_fn(|| bounded(0, || rows.next()))
        .inspect(|row| drop(describe(row.instance).map(|d| d.to_string())))
        .count()
}

pub(super) fn run(octets: &[u8]) {
    if let Ok(body) = Data::from_slice(octets) {
        assert!(count(PushRows::new(&body)) <= octets.len(), "no more rows than octets");
        if let Some(list) = push_list(b"KFM_001") {
            assert!(count(PushRows::with_list(list, &body)) <= 18);
        }
        if let Some([objects, pushed]) = body.as_members() {
            assert!(count(PushRows::with_objects(&objects, &pushed)) <= octets.len());
        }
    }
    let Some((length, octets)) = octets.split_first() else { return };
    let (template, buffer) = octets.split_at(usize::from(*length).min(octets.len()));
    let mut space = [0; 512];
    let Ok(values) = bounded(0, || expand(template, buffer, &mut space)) else { return };
    let again = super::encoded(|writer| values.encode(writer));
    assert_eq!(template.first(), again.first(), "the template says the type");
    let mut octets = [0; 512];
    let mut out = Writer::new(&mut octets);
    bounded(0, || compress(template, &again, &mut out)).expect("what was expanded fits its template");
    let mut space = [0; 512];
    let back = expand(template, out.written(), &mut space).expect("what was compressed expands");
    assert_eq!(super::encoded(|writer| back.encode(writer)), again);
}
