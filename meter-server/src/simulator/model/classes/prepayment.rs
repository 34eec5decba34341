//! Account (class 111), credit (112), charge (113) and token gateway (115): `[object.account]`, `[object.credit]`,
//! `[object.charge]` and `[object.token-gateway]`.

use dlms::cosem::account::{AccountStatus, CurrencyUnit, PaymentMode};
use dlms::cosem::action::MonitoredValue;
use dlms::cosem::charge::ChargeType;
use dlms::cosem::credit::{CreditStatus, CreditType};
use dlms::cosem::token_gateway::{TokenDeliveryMethod, TokenStatusCode};
use dlms::id::{AttributeId, ClassId};
use dlms::obis::ObisCode;
use dlms::time::DateTime;
use serde::Deserialize;
use toml::Spanned;
use zeroize::Zeroizing;

use crate::objects;
use crate::prepayment::{Charge, Credit, Currency, LastToken, Prepayment, Price, UnitPrice};
use crate::simulator::meter::prepayment::ModelPrepayment;
use crate::simulator::model::SharedObject;
use crate::simulator::model::objects::{Built, Problem, column, here};
use crate::simulator::model::schema::SecretText;
use crate::tariff::Name;

/// Shortest and longest token key in octets.
const KEY_OCTETS: core::ops::RangeInclusive<usize> = 16..=64;

/// The account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::simulator::model) struct AccountFile {
    mode: ModeFile,
    /// Whether it is active from the beginning.
    active: bool,
    /// Three letters.
    currency: String,
    /// Power of ten of amounts: -2 for cents.
    scale: i8,
    #[serde(default)]
    clearance_threshold: i32,
    low_credit_threshold: i32,
    next_credit_threshold: i32,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ModeFile {
    Credit,
    Prepayment,
}

/// A credit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::simulator::model) struct CreditFile {
    kind: CreditKind,
    priority: u8,
    preset: i32,
    #[serde(default)]
    warning: i32,
    #[serde(default)]
    limit: i32,
    #[serde(default)]
    available_threshold: i32,
    #[serde(default)]
    needs_confirmation: bool,
    #[serde(default)]
    paid_back: bool,
    #[serde(default)]
    takes_tokens: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CreditKind {
    Token,
    Emergency,
}

/// A charge.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::simulator::model) struct ChargeFile {
    kind: ChargeKind,
    priority: u8,
    /// Seconds between two collections.
    period: u32,
    /// The register of what is paid for, `CLASS:OBIS:ATTRIBUTE`; none for a charge by time.
    commodity: Option<Spanned<String>>,
    #[serde(default)]
    commodity_scale: i8,
    price_scale: i8,
    prices: Vec<PriceFile>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ChargeKind {
    Consumption,
    Time,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PriceFile {
    /// Name of the tariff; any when it is absent.
    #[serde(default)]
    tariff: String,
    per_unit: i16,
}

/// The token gateway.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::simulator::model) struct GatewayFile {
    /// Hexadecimal digits.
    key: SecretText,
}

/// What has been read of an account's objects, in whatever order they come.
fn model(built: &mut Built) -> &mut ModelPrepayment {
    built.prepayment.get_or_insert_with(|| ModelPrepayment {
        account: Prepayment {
            mode: PaymentMode::Credit,
            status: AccountStatus::New,
            activated: None,
            closed: None,
            currency: Currency { name: heapless::Vec::new(), scale: 0, unit: CurrencyUnit::Monetary },
            clearance_threshold: 0,
            low_credit_threshold: 0,
            next_credit_threshold: 0,
            credits: heapless::Vec::new(),
            charges: heapless::Vec::new(),
            last_token: LastToken {
                token: heapless::Vec::new(),
                at: None,
                status: TokenStatusCode::NotProcessed,
                delivery: TokenDeliveryMethod::Remote,
            },
            token_number: 0,
        },
        token_key: Zeroizing::default(),
        active: false,
    })
}

/// Builds the account.
pub(in crate::simulator::model) fn account(
    file: &AccountFile,
    instance: ObisCode,
    built: &mut Built,
) -> Result<SharedObject, Problem> {
    let model = model(built);
    if !model.account.currency.name.is_empty() {
        return Err(here("a meter has one account"));
    }
    let name = heapless::Vec::from_slice(file.currency.as_bytes()).ok().filter(|_| file.currency.len() == 3);
    let name = name.ok_or_else(|| here("a currency has three letters"))?;
    model.active = file.active;
    model.account = Prepayment {
        mode: match file.mode {
            ModeFile::Credit => PaymentMode::Credit,
            ModeFile::Prepayment => PaymentMode::Prepayment,
        },
        currency: Currency { name, scale: file.scale, unit: CurrencyUnit::Monetary },
        clearance_threshold: file.clearance_threshold,
        low_credit_threshold: file.low_credit_threshold,
        next_credit_threshold: file.next_credit_threshold,
        ..model.account.clone()
    };
    Ok(Box::new(objects::Account { instance }))
}

/// Builds a credit.
pub(in crate::simulator::model) fn credit(
    file: &CreditFile,
    instance: ObisCode,
    built: &mut Built,
) -> Result<SharedObject, Problem> {
    let bits = [true, file.needs_confirmation, file.paid_back, false, file.takes_tokens];
    let configuration =
        bits.into_iter().zip(0..).fold(0, |octet, (set, bit)| octet | if set { 0x80_u8 >> bit } else { 0 });
    let credit = Credit {
        instance,
        amount: file.preset,
        kind: match file.kind {
            CreditKind::Token => CreditType::Token,
            CreditKind::Emergency => CreditType::Emergency,
        },
        priority: file.priority,
        warning: file.warning,
        limit: file.limit,
        configuration,
        status: CreditStatus::Enabled,
        preset: file.preset,
        available_threshold: file.available_threshold,
        period: DateTime::UNSPECIFIED,
    };
    let credits = &mut model(built).account.credits;
    if credits.iter().any(|known| known.priority == file.priority) {
        return Err(here("another credit has this priority"));
    }
    let place = credits.len();
    credits.push(credit).map_err(|_| here("there are too many credits"))?;
    Ok(Box::new(objects::Credit { instance, place }))
}

/// Builds a charge.
pub(in crate::simulator::model) fn charge(
    file: &ChargeFile,
    instance: ObisCode,
    built: &mut Built,
) -> Result<SharedObject, Problem> {
    let commodity = match &file.commodity {
        None => {
            MonitoredValue { class_id: ClassId(0), logical_name: ObisCode([0; 6]), attribute_index: AttributeId(0) }
        }
        Some(text) => {
            let found = column(text.get_ref());
            let found = found.ok_or_else(|| Problem::At(text.span(), "not CLASS:OBIS:ATTRIBUTE".to_owned()))?;
            built.columns.push((text.span(), found));
            MonitoredValue { class_id: found.class_id, logical_name: found.instance, attribute_index: found.attribute }
        }
    };
    let mut prices = heapless::Vec::new();
    for price in &file.prices {
        let tariff = Name::from_slice(price.tariff.as_bytes());
        let tariff = tariff.map_err(|_| here("the name of a tariff has at most 16 octets"))?;
        prices.push(Price { tariff, per_unit: price.per_unit }).map_err(|_| here("there are too many prices"))?;
    }
    if file.period == 0 {
        return Err(here("the period of a charge is at least a second"));
    }
    let (commodity_scale, price_scale) = (file.commodity_scale, file.price_scale);
    let price = UnitPrice { commodity_scale, price_scale, commodity, prices };
    let charge = Charge {
        instance,
        paid: 0,
        kind: match file.kind {
            ChargeKind::Consumption => ChargeType::Consumption,
            ChargeKind::Time => ChargeType::Time,
        },
        priority: file.priority,
        active: price.clone(),
        passive: price,
        activation: (DateTime::UNSPECIFIED, None),
        period_s: file.period,
        // Continuous collection.
        configuration: 0x40,
        collected: None,
        last_amount: 0,
        remaining: 0,
        proportion: 0,
        counted: None,
        fraction: 0,
    };
    let charges = &mut model(built).account.charges;
    let place = charges.len();
    charges.push(charge).map_err(|_| here("there are too many charges"))?;
    Ok(Box::new(objects::Charge { instance, place }))
}

/// Builds the token gateway.
pub(in crate::simulator::model) fn gateway(
    file: &GatewayFile,
    instance: ObisCode,
    built: &mut Built,
) -> Result<SharedObject, Problem> {
    let key = hex::decode(file.key.expose()).map(Zeroizing::new).ok().filter(|key| KEY_OCTETS.contains(&key.len()));
    model(built).token_key = key.ok_or_else(|| here("the key of tokens has 16 to 64 octets in hexadecimal digits"))?;
    Ok(Box::new(objects::TokenGateway { instance }))
}
