//! The cycle of an account by hand, and what holds of any.

use super::*;
use dlms::cosem::action::MonitoredValue;
use dlms::cosem::credit::CreditType;
use dlms::id::{AttributeId, ClassId};
use dlms::obis::ObisCode;
use dlms::time::DateTime;
use proptest::prelude::*;

/// A token that cannot be kept.
const UNKEPT: u32 = 99;

struct Anybody;

impl TokenVerifier for Anybody {
    fn verify(&self, _: &[u8], tag: &[u8]) -> bool {
        tag == [7; 12]
    }

    fn keep(&mut self, number: u32) -> bool {
        number != UNKEPT
    }
}

fn at(seconds: i64) -> Moment {
    Moment::from_seconds(seconds)
}

fn credit(e: u8, kind: CreditType, priority: u8, preset: i32, configuration: u8) -> Credit {
    Credit {
        instance: ObisCode::new(0, 0, 19, 10, e, 255),
        amount: preset,
        kind,
        priority,
        warning: 50,
        limit: 0,
        configuration,
        status: CreditStatus::Enabled,
        preset,
        available_threshold: 0,
        period: DateTime::UNSPECIFIED,
    }
}

/// Cents; 25 cents for a kilowatt-hour, and a cent for each hour.
fn account() -> Prepayment {
    let instance = ObisCode::new(1, 0, 1, 8, 0, 255);
    let commodity = MonitoredValue { class_id: ClassId(3), logical_name: instance, attribute_index: AttributeId(2) };
    let price = |commodity_scale, price_scale, per_unit| UnitPrice {
        commodity_scale,
        price_scale,
        commodity,
        prices: [Price { tariff: crate::tariff::Name::new(), per_unit }].into_iter().collect(),
    };
    let charge = |e, kind, price: UnitPrice, period_s| Charge {
        instance: ObisCode::new(0, 0, 19, 20, e, 255),
        paid: 0,
        kind,
        priority: 1,
        active: price.clone(),
        passive: price,
        activation: (DateTime::UNSPECIFIED, None),
        period_s,
        configuration: 0x40,
        collected: None,
        last_amount: 0,
        remaining: 0,
        proportion: 0,
        counted: None,
        fraction: 0,
    };
    Prepayment {
        mode: PaymentMode::Prepayment,
        status: AccountStatus::New,
        activated: None,
        closed: None,
        currency: Currency { name: b"EUR".iter().copied().collect(), scale: -2, unit: CurrencyUnit::Monetary },
        clearance_threshold: 0,
        low_credit_threshold: 60,
        next_credit_threshold: 20,
        // The token credit takes tokens; the emergency credit needs a confirmation and is paid back.
        credits: [credit(0, CreditType::Token, 1, 100, 0x08), credit(1, CreditType::Emergency, 2, 30, 0x60)]
            .into_iter()
            .collect(),
        charges: [
            charge(0, ChargeType::Consumption, price(3, -2, 25), 900),
            charge(1, ChargeType::Time, price(0, -2, 1), 3_600),
        ]
        .into_iter()
        .collect(),
        last_token: LastToken {
            token: heapless::Vec::new(),
            at: None,
            status: TokenStatusCode::FormatOk,
            delivery: TokenDeliveryMethod::Remote,
        },
        token_number: 0,
    }
}

fn token(number: u32, amount: i32) -> Vec<u8> {
    [&Token { number, amount }.body()[..], &[7; 12]].concat()
}

#[test]
fn consumption_and_time_use_up_credit_and_a_token_brings_more() {
    let mut account = account();
    account.collect(1, 0, b"1", at(0));
    assert_eq!(account.available(), 100, "nothing is collected before activation");
    assert!(account.activate(at(0)) && !account.activate(at(0)));
    assert_eq!((account.credit_in_use(), account.supply()), (1, Supply::Paid));
    assert_eq!(account.next_due(at(0)), Some(at(900)));
    // The first look at the register takes note; then 1.2 kWh cost 30 cents.
    account.collect(0, 5_000, b"1", at(900));
    account.collect(0, 6_200, b"1", at(1_800));
    assert_eq!((account.credits[0].amount, account.charges[0].last_amount), (70, 30));
    // Fractions add up: 10 Wh are a quarter of a cent.
    for step in 1..=4 {
        account.collect(0, 6_200 + step * 10, b"1", at(1_800 + 900 * step));
    }
    assert_eq!((account.credits[0].amount, account.charges[0].paid), (69, 31));
    account.collect(1, 0, b"1", at(3_600));
    assert_eq!(account.credits[0].amount, 68);
    // In credit, and not low: the emergency credit counts as available when it is chosen, and is not offered yet.
    assert_eq!(account.credit_status() & 0b1011_0010, 0b1010_0000);
    // 2.4 kWh: little is left, and the emergency credit can be chosen.
    account.collect(0, 8_640, b"1", at(6_300));
    assert_eq!((account.credits[0].amount, account.credits[1].status), (8, CreditStatus::Selectable));
    account.collect(0, 9_000, b"1", at(7_200));
    assert_eq!((account.credit_in_use(), account.supply()), (0, Supply::Unpaid));
    assert_eq!(account.credit_status() & 0b1000_0010, 0b0000_0010);
    // Confirmed, it is used, and has to be paid back.
    assert!(account.credits[1].invoke());
    account.settle();
    assert_eq!((account.credit_in_use(), account.supply()), (2, Supply::Paid));
    account.collect(0, 9_400, b"1", at(8_100));
    assert_eq!((account.credits[1].amount, account.to_clear()), (20, 10));
    let before = account.credits[0].amount;
    assert_eq!(
        account.enter(&token(1, 500), TokenDeliveryMethod::Remote, &mut Anybody, at(8_200)),
        TokenStatusCode::ExecutionOk
    );
    assert_eq!((account.credits[1].amount, account.to_clear()), (30, 0));
    assert_eq!((account.credits[0].amount, account.credit_in_use()), (before + 490, 1));
}

#[test]
fn tokens_are_refused_for_their_reasons() {
    let mut account = account();
    let enter = |account: &mut Prepayment, octets: &[u8]| {
        account.enter(octets, TokenDeliveryMethod::Local, &mut Anybody, at(1))
    };
    assert_eq!(enter(&mut account, &token(1, 5)), TokenStatusCode::ExecutionFailure, "not active");
    assert!(account.activate(at(0)));
    assert_eq!(enter(&mut account, b"12345678901234567890"), TokenStatusCode::FormatFailure);
    let mut forged = token(1, 5);
    forged[20] ^= 1;
    assert_eq!(enter(&mut account, &forged), TokenStatusCode::AuthenticationFailure);
    assert_eq!(enter(&mut account, &token(1, -5)), TokenStatusCode::ValidationFailure);
    assert_eq!(enter(&mut account, &token(2, 5)), TokenStatusCode::ExecutionOk);
    for number in [0, 1, 2] {
        assert_eq!(enter(&mut account, &token(number, 5)), TokenStatusCode::ValidationFailure, "again or older");
    }
    assert_eq!(enter(&mut account, &token(3, i32::MAX)), TokenStatusCode::ExecutionFailure);
    assert_eq!((account.credits[0].amount, account.token_number), (105, 2));
    assert_eq!(account.last_token.status, TokenStatusCode::ExecutionFailure);
}

#[test]
fn an_account_is_closed_and_begins_anew() {
    let mut account = account();
    assert!(!account.close(at(0)) && !account.reset());
    assert!(account.activate(at(0)));
    account.collect(0, 0, b"", at(900));
    account.collect(0, 40_000, b"", at(1_800));
    assert_eq!(account.supply(), Supply::Unpaid);
    assert!(account.close(at(2_000)));
    assert_eq!((account.supply(), account.next_due(at(0))), (Supply::Paid, None));
    assert!(account.reset() && account.activate(at(3_000)));
    assert_eq!((account.credits[0].amount, account.charges[0].paid), (100, 0));
}

#[test]
fn a_price_to_come_counts_from_its_time_on() {
    let mut account = account();
    assert!(account.activate(at(0)));
    account.charges[1].passive.prices[0].per_unit = 3;
    account.charges[1].activation.1 = Some(at(5_000));
    account.collect(1, 0, b"", at(3_600));
    assert_eq!(account.charges[1].due(at(3_600)), Some(at(5_000)));
    account.change_price(1, 0, 0, b"", at(5_000));
    assert_eq!((account.charges[1].paid, account.charges[1].due(at(5_000))), (1, Some(at(7_200))), "not once more");
    account.collect(1, 0, b"", at(7_200));
    assert_eq!((account.charges[1].paid, account.charges[1].activation.1), (4, None));
}

#[test]
fn what_was_consumed_before_a_price_has_the_price_before() {
    let mut account = account();
    assert!(account.activate(at(0)));
    account.collect(0, 5_000, b"", at(900));
    let charge = &mut account.charges[0];
    charge.passive.prices[0].per_unit = 50;
    charge.passive.commodity.logical_name = ObisCode::new(1, 0, 2, 8, 0, 255);
    charge.activation.1 = Some(at(1_000));
    // A kilowatt-hour for 25 cents, and 200 Wh by another register for 50 cents a kilowatt-hour.
    account.change_price(0, 6_000, 70_000, b"", at(1_000));
    assert_eq!((account.charges[0].paid, account.charges[0].activation.1), (25, None));
    account.collect(0, 70_200, b"", at(1_900));
    assert_eq!(account.charges[0].paid, 35);
}

#[test]
fn a_token_counts_when_its_number_is_kept() {
    let mut account = account();
    assert!(account.activate(at(0)));
    let status = account.enter(&token(UNKEPT, 5), TokenDeliveryMethod::Local, &mut Anybody, at(1));
    assert_eq!(status, TokenStatusCode::ExecutionFailure);
    assert_eq!((account.credits[0].amount, account.token_number), (100, 0));
}

#[test]
fn very_many_periods_are_collected_in_few_steps() {
    let mut account = account();
    account.charges[1].period_s = 1;
    account.mode = PaymentMode::Credit;
    assert!(account.activate(at(0)));
    let (year, mut steps) = (at(31_536_000), 0);
    while let Some(due) = account.charges[1].due(year).filter(|due| *due <= year) {
        account.collect(1, 0, b"", due);
        steps += 1;
        assert!(steps < 100_000, "at {due:?}");
    }
    assert_eq!((account.charges[1].paid, account.charges[1].collected), (31_536_000, Some(year)));
}

proptest! {
    /// Late or not, time and consumption cost the same.
    #[test]
    fn a_late_collection_is_the_sum_of_those_in_time(periods in 1_i64..60, late in 0_i64..3_600, price in 0_i16..300) {
        let begin = || {
            let mut account = account();
            account.charges[1].active.prices[0].per_unit = price;
            account.charges[1].active.price_scale = -4;
            prop_assert!(account.activate(at(0)));
            Ok(account)
        };
        let (mut late_one, mut in_time) = (begin()?, begin()?);
        for period in 1..=periods {
            in_time.collect(1, 0, b"", at(3_600 * period));
        }
        late_one.collect(1, 0, b"", at(3_600 * periods + late));
        for account in [&mut late_one, &mut in_time] {
            account.charges[1].last_amount = 0;
        }
        prop_assert_eq!(late_one, in_time);
    }

    /// Whatever happens, nothing is created or lost: what was paid is what credits and tokens have given.
    #[test]
    fn money_adds_up(steps in proptest::collection::vec((0_u8..4, 0_i64..4_000), 1..100)) {
        let mut account = account();
        prop_assert!(account.activate(at(0)));
        let (mut counted, mut now, mut tokens) = (0, 0, 0_i32);
        let begin: i32 = account.credits.iter().map(|credit| credit.amount).sum();
        for (what, size) in steps {
            now += 900;
            match what {
                0 => {
                    counted += size;
                    account.collect(0, counted, b"1", at(now));
                }
                1 => account.collect(1, 0, b"1", at(now)),
                2 => {
                    let number = account.token_number + 1;
                    let amount = i32::try_from(size).unwrap() + 1;
                    let status = account.enter(&token(number, amount), TokenDeliveryMethod::Remote, &mut Anybody, at(now));
                    prop_assert_eq!(status, TokenStatusCode::ExecutionOk);
                    tokens += amount;
                }
                _ => {
                    let _ = account.credits[1].invoke();
                    account.settle();
                }
            }
            let left: i32 = account.credits.iter().map(|credit| credit.amount).sum();
            let paid: i32 = account.charges.iter().map(|charge| charge.paid).sum();
            prop_assert_eq!(begin + tokens - paid, left);
            let in_use = account.credits.iter().filter(|credit| credit.status == CreditStatus::InUse).count();
            prop_assert!(in_use <= 1);
            prop_assert_eq!(in_use == 0, account.supply() == Supply::Unpaid);
        }
    }
}
