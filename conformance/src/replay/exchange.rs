//! Reading the records of one exchange in their order.

use std::collections::HashMap;

use dlms::apdu::Apdu;
use dlms::axdr::Data;
use serde_json::Value;

use super::verdict::Reading;
use crate::collect::Collector;
use crate::complaint::Complaint;
use crate::gbt;
use crate::line::{Line, LineApdu, LineReading};
use crate::open::{Keys, Opened, open};
use crate::p1;
use crate::passes::Passes;
use crate::record::{Cause, Direction, Kind, Layer, Record};
use crate::tree::{Place, apdu};
use crate::values::Reported;

/// Keys, segments and blocks that records of an exchange hand on to each other.
#[derive(Debug, Default)]
pub struct Exchange {
    keys: Keys,
    line: Line,
    transfers: HashMap<Direction, gbt::Joiner>,
    collector: Collector,
    passes: Passes,
    /// Answers to HLS challenges that were verified so far.
    verified_passes: usize,
}

impl Exchange {
    /// Reads the next record.
    pub fn read(&mut self, record: &Record) -> Reading {
        if let Some(security) = &record.security {
            self.keys.merge(security);
        }
        let mut reading = Reading::default();
        if let Err(complaint) = self.read_kind(record, &mut reading) {
            reading.refuse(complaint);
        }
        reading
    }

    fn read_kind(&mut self, record: &Record, reading: &mut Reading) -> Result<(), Complaint> {
        let octets = record.hex.as_ref();
        let mut line = LineReading::default();
        let outcome = match record.kind {
            Kind::Hdlc => self.line.hdlc(octets, &mut line),
            Kind::Wrapper => Line::wrapper(octets, &mut line),
            Kind::Mbus => self.line.mbus(octets, &mut line),
            Kind::Plc => Line::plc(octets, &mut line),
            Kind::Apdu => {
                Line::bare(octets, &mut line);
                Ok(())
            }
            Kind::Data => return read_data(octets, reading),
            Kind::P1 => {
                reading.set("p1", p1::telegram(octets)?);
                return Ok(());
            }
            Kind::Vector => {
                super::vector::check(record, reading);
                return Ok(());
            }
        };
        if !line.link.is_empty() {
            reading.set("link", line.link.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>());
        }
        if line.segment {
            reading.set("segment", true);
        }
        if line.empty_information {
            reading.set("empty_information", true);
        }
        if !line.trailing.is_empty() {
            reading.set("trailing_octets", hex::encode(&line.trailing));
        }
        outcome?;
        self.read_apdus(record, &line.apdus, reading)
    }

    fn read_apdus(&mut self, record: &Record, apdus: &[LineApdu], reading: &mut Reading) -> Result<(), Complaint> {
        let mut opened = Vec::new();
        let mut blocks = Vec::new();
        let mut abandoned = false;
        for apdu in apdus {
            let Ok(Apdu::GeneralBlockTransfer(block)) = Apdu::decode(&apdu.octets) else {
                opened.push(open(&mut self.keys, &apdu.octets, apdu.offset, record.dir)?);
                continue;
            };
            blocks.push(gbt::flags(&block));
            reading.set("gbt", blocks.clone());
            let (step, restarted) = self.transfers.entry(record.dir).or_default().push(&block)?;
            abandoned |= restarted;
            match step {
                gbt::Step::More => {}
                gbt::Step::Complete(octets) => {
                    let mut inner = open(&mut self.keys, &octets, 0, record.dir)?;
                    inner.names.insert(0, "general-block-transfer".to_owned());
                    opened.push(inner);
                }
                gbt::Step::Unknown => {
                    blocks.pop();
                    reading.fields.remove("gbt");
                    opened.push(open(&mut self.keys, &apdu.octets, apdu.offset, record.dir)?);
                }
            }
        }
        if abandoned {
            reading.set("gbt_abandoned", true);
        }
        if opened.is_empty() && !blocks.is_empty() {
            reading.set("apdu", vec!["general-block-transfer"]);
        }
        report(record, &opened, reading);
        self.check_exchange(record, &opened)
    }

    /// Answers to HLS challenges that were verified so far.
    pub const fn verified_passes(&self) -> usize {
        self.verified_passes
    }

    /// Checks what only several APDUs together can tell: answers to challenges, and the value that is complete with this
    /// record against the one that an independent implementation reported.
    fn check_exchange(&mut self, record: &Record, opened: &[Opened]) -> Result<(), Complaint> {
        for tree in opened.iter().filter_map(|opened| opened.tree.as_ref()) {
            let tree = tree.to_json();
            self.verified_passes += usize::from(self.passes.push(&tree, &self.keys)?);
            let (Some(found), Some(reported)) = (self.collector.push(&tree), Reported::of(record)) else { continue };
            if found != reported {
                let message = format!("the peer reported {}, decoded {}", reported.value, found.value);
                return Err(Complaint::new(Layer::Content, message));
            }
        }
        Ok(())
    }
}

/// Sets the fields that arise from complete APDUs.
fn report(record: &Record, opened: &[Opened], reading: &mut Reading) {
    let Some(first) = opened.first() else { return };
    // A strict reader may refuse what a tolerant one understands; where the corpus offers no tolerant reading to
    // compare with, strictness is what is judged.
    let strict = record.malformed.as_ref().is_some_and(|malformed| malformed.cause == Cause::Deployed)
        && !record.expect.contains_key("decoded");
    if let Some(deviating) = opened.iter().find(|opened| strict && !opened.deviations.is_empty()) {
        let message = format!("deviates from the standard: {}", deviating.deviations);
        reading.refuse(Complaint::new(Layer::Apdu, message));
        return;
    }
    reading.set("apdu", first.names.clone());
    let trees: Vec<Value> = opened.iter().filter_map(|opened| Some(opened.tree.as_ref()?.to_json())).collect();
    match <[Value; 1]>::try_from(trees) {
        Ok([tree]) => reading.set("decoded", tree),
        Err(trees) => reading.set("decoded", trees),
    }
    if let Some(plaintext) = opened.iter().find_map(|opened| opened.plaintext.as_ref()) {
        reading.set("plaintext", hex::encode(plaintext));
    }
    let times: Vec<&str> = opened.iter().flat_map(|opened| &opened.notification_time).map(String::as_str).collect();
    if !times.is_empty() {
        reading.set("notification_time", times);
    }
    let values: Vec<Value> = opened.iter().flat_map(|opened| opened.readings.clone()).collect();
    if !values.is_empty() {
        reading.set("readings", values);
    }
    if let Some(telegram) = opened.iter().find_map(|opened| opened.p1.clone()) {
        reading.set("p1", telegram);
    }
}

fn read_data(octets: &[u8], reading: &mut Reading) -> Result<(), Complaint> {
    let value = Data::from_slice(octets).map_err(|error| Complaint::new(Layer::Apdu, error.kind).at(error.offset))?;
    reading.set("decoded", apdu::value(&value, Place::new(octets, 0)).to_json());
    Ok(())
}
