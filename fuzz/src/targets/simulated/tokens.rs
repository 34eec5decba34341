//! Payment in advance: tokens that were bought, forged or are no tokens, and what clients write and invoke, while credit is
//! used up.

use std::collections::BTreeSet;

use arbitrary::{Arbitrary, Unstructured};
use dlms::axdr::Data;
use dlms::obis::ObisCode;
use hmac::{Hmac, KeyInit, Mac};

use super::{Manager, Simulation};

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    /// A token that was bought for this meter.
    Bought {
        number: u32,
        amount: i32,
    },
    /// One of which an octet was changed.
    Forged {
        number: u32,
        amount: i32,
        at: u8,
        by: u8,
    },
    Octets(&'a [u8]),
    /// A client writes, or invokes, an object that has to do with payment.
    Write {
        object: u8,
        attribute: i8,
        value: &'a [u8],
    },
    Invoke {
        object: u8,
        method: i8,
        parameter: &'a [u8],
    },
    Pass {
        minutes: u16,
    },
}

/// Account, credits, charges, gateway, switch and clock.
const OBJECTS: [(u16, [u8; 6]); 8] = [
    (111, [0, 0, 19, 0, 0, 255]),
    (112, [0, 0, 19, 10, 0, 255]),
    (112, [0, 0, 19, 10, 1, 255]),
    (113, [0, 0, 19, 20, 0, 255]),
    (113, [0, 0, 19, 20, 1, 255]),
    GATEWAY,
    (70, [0, 0, 96, 3, 10, 255]),
    (8, [0, 0, 1, 0, 0, 255]),
];
const GATEWAY: (u16, [u8; 6]) = (115, [0, 0, 19, 40, 0, 255]);
/// Token status of one that was executed, and of those that were not.
const EXECUTED: i64 = 3;

/// Key of the tokens of the model.
const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

fn token(title: &[u8; 8], number: u32, amount: i32) -> Vec<u8> {
    let body = [&[1][..], &number.to_be_bytes(), &amount.to_be_bytes()].concat();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&KEY).expect("a key");
    mac.update(title);
    mac.update(&body);
    [&body[..], &mac.finalize().into_bytes()[..12]].concat()
}

/// Status code of a token that is entered.
fn enter(manager: &Manager, token: &[u8]) -> i64 {
    let (class, gateway) = (GATEWAY.0, ObisCode(GATEWAY.1));
    manager.invoke(class, gateway, 1, Data::OctetString(token)).expect("a token is taken, whatever it is");
    let status = manager.read(class, gateway, 6);
    let code = status.elements().and_then(|status| status[0].as_data()?.as_i64());
    code.expect("a structure with the code first")
}

pub(in crate::targets) fn run(octets: &[u8]) {
    let mut input = Unstructured::new(octets);
    let mut simulation = Simulation::new(&["prepayment"]);
    let manager = simulation.manager(0);
    let title = manager.device.meters()[0].system_title.0;
    let (mut executed, mut bought) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..64 {
        if input.is_empty() {
            break;
        }
        let Ok(step) = input.arbitrary() else { break };
        match step {
            Step::Bought { number, amount } => {
                let token = token(&title, number, amount);
                if enter(&manager, &token) == EXECUTED {
                    let newest = executed.last().is_none_or(|last| *last < number);
                    assert!(newest, "token {number} after {executed:?}");
                    executed.insert(number);
                }
                bought.insert(token);
            }
            Step::Forged { number, amount, at, by } => {
                let mut token = token(&title, number, amount);
                let at = usize::from(at) % token.len();
                token[at] ^= by;
                if by != 0 {
                    assert_ne!(enter(&manager, &token), EXECUTED, "{token:02X?}");
                }
            }
            Step::Octets(octets) if !bought.contains(octets) => {
                assert_ne!(enter(&manager, octets), EXECUTED, "{octets:02X?}");
            }
            Step::Octets(_) => {}
            Step::Write { object, attribute, value } => {
                let (class, instance) = OBJECTS[usize::from(object) % OBJECTS.len()];
                if let Ok(value) = Data::from_slice(value) {
                    let _ = manager.write(class, ObisCode(instance), attribute, value);
                }
            }
            Step::Invoke { object, method, parameter } => {
                let (class, instance) = OBJECTS[usize::from(object) % OBJECTS.len()];
                let parameter = Data::from_slice(parameter).unwrap_or(Data::Integer(0));
                // What a client enters as a token by itself is judged by the same rule.
                if (class, method) != (GATEWAY.0, 1) {
                    let _ = manager.invoke(class, ObisCode(instance), method, parameter);
                }
            }
            Step::Pass { minutes } => simulation.pass(minutes),
        }
    }
    simulation.pass(24 * 60);
    manager.read_all(&[8, 70, 111, 112, 113, 115]);
    drop(manager);
    simulation.end();
}
