//! Decoding the records of a corpus and comparing each with what it should be.

pub mod exchange;
pub mod report;
mod vector;
pub mod verdict;

use std::collections::HashMap;

use crate::corpus::CorpusFile;
use exchange::Exchange;
use report::{FileReport, Report};
use verdict::judge;

/// Replays the records of every file. Records of one session are read in the order of their `seq`.
pub fn replay(files: &[CorpusFile]) -> Report {
    Report { files: files.iter().map(replay_file).collect() }
}

fn replay_file(file: &CorpusFile) -> FileReport {
    let mut order: Vec<usize> = (0..file.records.len()).collect();
    order.sort_by_key(|&index| file.records[index].seq.unwrap_or(0));
    let mut exchanges: HashMap<&str, Exchange> = HashMap::new();
    let mut verdicts: Vec<_> = order
        .into_iter()
        .map(|index| {
            let record = &file.records[index];
            let reading = match &record.session {
                Some(session) => exchanges.entry(session).or_default().read(record),
                None => Exchange::default().read(record),
            };
            (index, (record.id.clone(), judge(record, &reading)))
        })
        .collect();
    verdicts.sort_by_key(|(index, _)| *index);
    let verified_passes = exchanges.values().map(Exchange::verified_passes).sum();
    FileReport {
        name: file.name(),
        verified_passes,
        verdicts: verdicts.into_iter().map(|(_, verdict)| verdict).collect(),
    }
}
