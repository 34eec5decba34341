//! A small fleet of different meters, each with a line of its own: clients, octets, time and what goes wrong at meters, in any
//! order.

use arbitrary::{Arbitrary, Unstructured};
use dlms::apdu::AttributeDescriptor;
use dlms::id::{AttributeId, ClassId, ServerSap};
use dlms::obis::ObisCode;
use dlms_meter_server::simulator::DefectKind;

use super::super::server::{Line, Op};
use super::Simulation;

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    /// Something on the line of a meter.
    Line { meter: u8, op: Op<'a> },
    /// Time goes on for all of them.
    Pass { minutes: u16 },
    /// Something breaks at a meter.
    Suffer { meter: u8, kind: u8, amount: i32 },
    /// What is broken there is mended.
    Mend { meter: u8 },
}

/// One with everything, one for customers who pay in advance, and one with fewer clients and other tariffs.
const MODELS: [&str; 3] = ["idis-three-phase", "prepayment", "smr5"];

fn defect(kind: u8, amount: i32) -> DefectKind {
    match kind % 12 {
        0 => DefectKind::RepeatCounter,
        1 => DefectKind::WrongKeys,
        2 => DefectKind::RefuseKeys,
        3 => DefectKind::BadImage,
        4 => DefectKind::FailedActivation,
        5 => DefectKind::ResetCounter,
        6 => DefectKind::Clock(amount),
        7 => DefectKind::FullLog,
        8 => DefectKind::SilentMbus,
        9 => DefectKind::MbusAlarm,
        10 => DefectKind::Reboot,
        _ => DefectKind::PowerCut(amount.unsigned_abs()),
    }
}

pub(in crate::targets) fn run(octets: &[u8]) {
    let mut input = Unstructured::new(octets);
    let Ok(limits) = input.arbitrary::<[u8; 3]>() else { return };
    let mut simulation = Simulation::new(&MODELS);
    let mut lines = MODELS.map(|_| Line::new(1_200, limits));
    for _ in 0..48 {
        if input.is_empty() {
            break;
        }
        let Ok(step) = input.arbitrary() else { break };
        match step {
            Step::Line { meter, op } => {
                let number = usize::from(meter) % lines.len();
                simulation.device(number).with(|device| lines[number].act(op, device));
            }
            Step::Pass { minutes } => simulation.pass(minutes),
            Step::Suffer { meter, kind, amount } => {
                let kind = defect(kind, amount);
                simulation
                    .device(meter.into())
                    .with(|device| device.suffer(ServerSap::MANAGEMENT, kind))
                    .expect("a meter");
            }
            Step::Mend { meter } => {
                simulation.device(meter.into()).with(|device| device.mend(ServerSap::MANAGEMENT)).expect("a meter");
            }
        }
    }
    simulation.pass(24 * 60);
    let name = AttributeDescriptor::new(ClassId(1), ObisCode::new(0, 0, 42, 0, 0, 255), AttributeId(2));
    for (number, line) in lines.iter_mut().enumerate() {
        simulation.device(number).with(|device| {
            line.hang_up(device);
            line.is_served(0, name, device);
        });
        simulation.manager(number).read_all(&[1, 3, 6, 8, 20, 21, 22, 64, 70, 71, 72]);
    }
    simulation.end();
}
