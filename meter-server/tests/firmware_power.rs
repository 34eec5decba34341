//! Power fails at every step of the memory while a client changes keys, password, clock and settings.

#[allow(dead_code, unused_imports)]
mod board;

use board::{Answer, Board, CLOCK, ENERGY, SECURITY, counted, management, managing, reading, transfer};
use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::axdr::{Data, Value};
use dlms::time::{ClockStatus, DateTime};

/// Octets on the wire at once: time does not matter here.
const BURST: usize = 100;
const DAY: i64 = 86_400;

/// What a client can see of what it changed.
#[derive(Clone, Copy, Debug, PartialEq)]
struct State {
    encryption: u8,
    authentication: u8,
    master: u8,
    password: &'static [u8],
    ahead: i64,
    time_zone: i16,
    images: bool,
}

const FACTORY: State = State {
    encryption: 0,
    authentication: 0xD0,
    master: 0x70,
    password: b"12345678",
    ahead: 0,
    time_zone: -60,
    images: true,
};

/// A change, one request each.
#[derive(Clone, Copy, Debug)]
enum Change {
    Clock(i64),
    TimeZone(i16),
    Password(&'static [u8]),
    Images(bool),
    /// Both keys that protect.
    Keys(u8, u8),
    /// One key that protects.
    Authentication(u8),
    Master(u8),
}

const CHANGES: [Change; 9] = [
    Change::Clock(DAY),
    Change::Keys(0x20, 0x30),
    Change::TimeZone(-120),
    Change::Password(b"open sesame"),
    Change::Authentication(0x40),
    Change::Images(false),
    Change::Master(0x11),
    Change::Keys(0x50, 0x60),
    Change::Clock(-DAY),
];

impl State {
    fn after(self, change: Change) -> Self {
        match change {
            Change::Clock(ahead) => Self { ahead, ..self },
            Change::TimeZone(time_zone) => Self { time_zone, ..self },
            Change::Password(password) => Self { password, ..self },
            Change::Images(images) => Self { images, ..self },
            Change::Keys(encryption, authentication) => Self { encryption, authentication, ..self },
            Change::Authentication(authentication) => Self { authentication, ..self },
            Change::Master(master) => Self { master, ..self },
        }
    }

    fn manager(&self) -> dlms::association::client::Config {
        managing(&counted(self.encryption), &counted(self.authentication))
    }

    /// Whether a meter is in this state, as its clients see it.
    fn is_of(&self, board: &mut Board<256>) -> bool {
        let (manager, answer) = board.propose(self.manager());
        if answer != Answer::Associated {
            board.clients.remove(manager);
            return false;
        }
        let Ok(Value::OctetString(time)) = board.get(manager, 8, CLOCK, 2) else { panic!("a time") };
        let time = DateTime::from_slice(&time).unwrap().to_unix_seconds().unwrap();
        let same = time.abs_diff(board.seconds() + self.ahead) < 60
            && board.get(manager, 8, CLOCK, 3) == Ok(Value::Long(self.time_zone))
            && board.get(manager, 18, [0, 0, 44, 0, 0, 255], 5) == Ok(Value::Boolean(self.images));
        // The master key wraps: a key that is there already, which changes nothing.
        let same = same && {
            let again = transfer(&counted(self.master), &[(2, counted(self.authentication))]);
            board.invoke(manager, 64, SECURITY, 2, &again) == Answer::Invoked(ActionResult::Success)
        };
        board.leave(manager);
        same && board.lets_in(reading(self.password))
    }
}

/// Makes one change; whether the client was told that it is made, or `None` when power has failed.
fn change(board: &mut Board<256>, before: &State, change: Change) -> Option<()> {
    let (manager, answer) = board.propose(before.manager());
    if answer == Answer::Dark {
        return None;
    }
    assert_eq!(answer, Answer::Associated);
    let keys = |keys: &[(u8, [u8; 16])]| transfer(&counted(before.master), keys);
    let answer = match change {
        Change::Clock(ahead) => {
            let time = DateTime::from_unix_seconds(board.seconds() + ahead, before.time_zone, ClockStatus::OK);
            board.set(manager, 8, CLOCK, 2, Data::OctetString(time.as_bytes()))
        }
        Change::TimeZone(minutes) => board.set(manager, 8, CLOCK, 3, Data::Long(minutes)),
        Change::Password(password) => board.set(manager, 15, [0, 0, 40, 0, 2, 255], 7, Data::OctetString(password)),
        Change::Images(images) => board.set(manager, 18, [0, 0, 44, 0, 0, 255], 5, Data::Boolean(images)),
        Change::Keys(encryption, authentication) => {
            let keys = keys(&[(0, counted(encryption)), (2, counted(authentication))]);
            board.invoke(manager, 64, SECURITY, 2, &keys)
        }
        Change::Authentication(key) => board.invoke(manager, 64, SECURITY, 2, &keys(&[(2, counted(key))])),
        Change::Master(key) => board.invoke(manager, 64, SECURITY, 2, &keys(&[(3, counted(key))])),
    };
    board.clients.clear();
    match answer {
        Answer::Dark => None,
        Answer::Set(result) => {
            assert_eq!(result, DataAccessResult::Success, "{change:?}");
            Some(())
        }
        answer => {
            assert_eq!(answer, Answer::Invoked(ActionResult::Success), "{change:?}");
            Some(())
        }
    }
}

/// Whenever power fails, what was changed is as it was or as it was to be, all of it; once the client was told that it is
/// changed, it is. No counter leaves the meter, or is obeyed, a second time: the board watches them.
#[test]
fn no_loss_of_power_leaves_half_a_change_or_repeats_a_counter() {
    let mut cuts = 0;
    let (mut meter, mut old) = (Board::new(1, 0).copy(BURST), FACTORY);
    for asked in CHANGES {
        let new = old.after(asked);
        let mut whole = meter.copy(BURST);
        change(&mut whole, &old, asked).unwrap();
        let steps = whole.steps();
        assert!(steps > 150, "{asked:?} takes {steps} steps of the memory");
        let (mut olds, mut news) = (0, 0);
        for power in 0..steps {
            let mut board = meter.copy(BURST);
            board.fail_after(power, [0xFF, 0x5A, 0][power % 3]);
            let told = change(&mut board, &old, asked).is_some();
            board.restart().unwrap();
            let is_new = new.is_of(&mut board);
            let is_old = !is_new && old.is_of(&mut board);
            assert!(is_new || is_old, "{asked:?} with power for {power} of {steps} steps: neither");
            assert!(is_new || !told, "{asked:?} with power for {power} of {steps} steps: not kept");
            (olds, news) = (olds + usize::from(is_old), news + usize::from(is_new));
            cuts += 1;
            if power % 16 != 0 {
                continue;
            }
            // And the meter goes on.
            let state = if is_new { new } else { old };
            change(&mut board, &state, Change::TimeZone(30)).unwrap();
            let state = state.after(Change::TimeZone(30));
            board.restart().unwrap();
            let manager = board.associate(state.manager());
            assert_eq!(board.get(manager, 8, CLOCK, 3), Ok(Value::Long(30)));
            assert!(board.get(manager, 3, ENERGY, 2).is_ok());
        }
        assert!(olds > 50, "{asked:?}: {olds} old, {news} new");
        println!("{asked:?}: power failed at each of {steps} steps, {olds} times it was as before");
        (meter, old) = (whole, new);
    }
    assert!(cuts > 2_000, "{cuts}");
}

/// What a broken memory does not take is not done, and the client is told so.
#[test]
fn what_cannot_be_kept_is_refused_and_taken_back() {
    let mut board = Board::<256>::new(1, 0);
    let manager = board.associate(management());
    assert_eq!(board.get(manager, 8, CLOCK, 3), Ok(Value::Long(-60)));
    board.break_settings();
    let keys = transfer(&counted(0x70), &[(0, counted(0x20))]);
    assert_eq!(board.invoke(manager, 64, SECURITY, 2, &keys), Answer::Invoked(ActionResult::TemporaryFailure));
    let set = board.set(manager, 8, CLOCK, 3, Data::Long(0));
    assert_eq!(set, Answer::Set(DataAccessResult::TemporaryFailure));
    assert_eq!(board.get(manager, 8, CLOCK, 3), Ok(Value::Long(-60)));
    let set = board.set(manager, 15, [0, 0, 40, 0, 2, 255], 7, Data::OctetString(b"other"));
    assert_eq!(set, Answer::Set(DataAccessResult::TemporaryFailure));
    board.leave(manager);
    assert!(board.lets_in(reading(b"12345678")) && board.lets_in(management()));
}
