//! What a replay prints.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::verdict::{How, Verdict};

/// Counts over all records; the last line of a replay in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Records read.
    pub records: usize,
    /// Records that decode to what they should, or are refused as they should.
    pub matched: usize,
    /// Records that differ.
    pub failed: usize,
    /// Records that need a function this build lacks.
    pub unsupported: usize,
}

impl Totals {
    fn count(&mut self, verdict: &Verdict) {
        self.records += 1;
        match verdict {
            Verdict::Matched(_) => self.matched += 1,
            Verdict::Failed(_) => self.failed += 1,
            Verdict::Unsupported(_) => self.unsupported += 1,
        }
    }
}

/// The verdicts of one file.
#[derive(Debug)]
pub struct FileReport {
    /// File name.
    pub name: String,
    /// Answers to HLS challenges that were verified.
    pub verified_passes: usize,
    /// Record names and their verdicts.
    pub verdicts: Vec<(String, Verdict)>,
}

/// The verdicts of a whole replay.
#[derive(Debug, Default)]
pub struct Report {
    /// File by file.
    pub files: Vec<FileReport>,
}

impl Report {
    /// Counts over all files.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.files.iter().flat_map(|file| &file.verdicts).for_each(|(_, verdict)| totals.count(verdict));
        totals
    }

    /// Table of counts, failures one by one, and what is unsupported by reason.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let width = self.files.iter().map(|file| file.name.len()).max().unwrap_or(0).max("total".len());
        let _ = writeln!(
            out,
            "{:<width$}  {:>7}  {:>7}  {:>7}  {:>9}  {:>6}  {:>11}",
            "file", "records", "matched", "refused", "tolerated", "failed", "unsupported"
        );
        let rows = self.files.iter().map(|file| (file.name.as_str(), file.verdicts.iter().collect::<Vec<_>>()));
        let all = self.files.iter().flat_map(|file| &file.verdicts).collect::<Vec<_>>();
        for (name, verdicts) in rows.chain([("total", all)]) {
            let mut totals = Totals::default();
            verdicts.iter().for_each(|(_, verdict)| totals.count(verdict));
            let how = |wanted| verdicts.iter().filter(|(_, v)| *v == Verdict::Matched(wanted)).count();
            let _ = writeln!(
                out,
                "{name:<width$}  {:>7}  {:>7}  {:>7}  {:>9}  {:>6}  {:>11}",
                totals.records,
                totals.matched,
                how(How::Refused),
                how(How::Tolerated),
                totals.failed,
                totals.unsupported
            );
        }
        let passes: usize = self.files.iter().map(|file| file.verified_passes).sum();
        if passes > 0 {
            let _ = writeln!(out, "answers to high-level-security challenges verified: {passes}");
        }
        let mut unsupported: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for file in &self.files {
            for (id, verdict) in &file.verdicts {
                match verdict {
                    Verdict::Failed(reason) => {
                        let _ = writeln!(out, "FAILED {} {id}: {reason}", file.name);
                    }
                    Verdict::Unsupported(reason) => unsupported.entry(reason).or_default().push(id),
                    Verdict::Matched(_) => {}
                }
            }
        }
        for (reason, ids) in unsupported {
            let _ = writeln!(
                out,
                "unsupported: {reason}: {} ({}{})",
                ids.len(),
                ids[0],
                if ids.len() > 1 { ", …" } else { "" }
            );
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_counted_once_and_failures_are_named() {
        let verdicts = vec![
            ("a".to_owned(), Verdict::Matched(How::Equal)),
            ("b".to_owned(), Verdict::Matched(How::Refused)),
            ("c".to_owned(), Verdict::Failed("decoded.x: expected 1, found 2".to_owned())),
            ("d".to_owned(), Verdict::Unsupported("P1".to_owned())),
        ];
        let report = Report { files: vec![FileReport { name: "x.jsonl".to_owned(), verified_passes: 2, verdicts }] };
        assert_eq!(report.totals(), Totals { records: 4, matched: 2, failed: 1, unsupported: 1 });
        let text = report.to_text();
        assert!(text.contains("FAILED x.jsonl c: decoded.x: expected 1, found 2"), "{text}");
        assert!(text.contains("unsupported: P1: 1 (d)"), "{text}");
        assert!(text.contains("challenges verified: 2"), "{text}");
        assert_eq!(
            serde_json::to_string(&report.totals()).unwrap(),
            r#"{"records":4,"matched":2,"failed":1,"unsupported":1}"#
        );
    }
}
