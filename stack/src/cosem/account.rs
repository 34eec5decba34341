//! Class 111, Account: payment metering, the sum of credits and charges.

use super::{Array, Utf8, Zero};
use crate::axdr::BitString;
use crate::obis::ObisCode;
use crate::time::DateTime;

interface_class! {
    "Account" = 111, versions 0..=0, methods at 0x98;
    attributes {
        /// Mode and status.
        2 ModeAndStatus account_mode_and_status/set_account_mode_and_status, dynamic: AccountModeAndStatus;
        /// Number of the credit in use in attribute 9, counted from 1; 0 for none.
        3 CurrentCreditInUse current_credit_in_use, dynamic: u8;
        /// Eight bits: 0 in credit, 1 low, 2 next credit enabled, 3 next selectable, 4 next selected, 5 selectable in use, 6
        /// out of credit. The meaning of bit 4 is not verified.
        4 CurrentCreditStatus current_credit_status, dynamic: BitString<'a>;
        /// Sum of the credits that are available.
        5 AvailableCredit available_credit, dynamic: i32;
        /// Amount that is to be paid back.
        6 AmountToClear amount_to_clear, dynamic: i32;
        /// Amount that has to be available before supply is resumed.
        7 ClearanceThreshold clearance_threshold/set_clearance_threshold, static: i32;
        /// Sum of the debts.
        8 AggregatedDebt aggregated_debt, dynamic: i32;
        /// The credits of the account.
        9 CreditReferenceList credit_reference_list/set_credit_reference_list, static: Array<'a, ObisCode>;
        /// The charges of the account.
        10 ChargeReferenceList charge_reference_list/set_charge_reference_list, static: Array<'a, ObisCode>;
        /// Which credit pays for which charge, and when.
        11 CreditChargeConfiguration credit_charge_configuration/set_credit_charge_configuration, static:
            Array<'a, CreditCharge<'a>>;
        /// How a payment is shared out.
        12 TokenGatewayConfiguration token_gateway_configuration/set_token_gateway_configuration, static:
            Array<'a, TokenShare>;
        /// When the account was activated.
        13 AccountActivationTime account_activation_time/set_account_activation_time, static: DateTime;
        /// When the account was closed.
        14 AccountClosureTime account_closure_time/set_account_closure_time, static: DateTime;
        /// What amounts are counted in.
        15 CurrencyInUse currency/set_currency, static: Currency<'a>;
        /// Amount below which credit is low.
        16 LowCreditThreshold low_credit_threshold/set_low_credit_threshold, static: i32;
        /// Amount below which the next credit may be used.
        17 NextCreditAvailableThreshold next_credit_available_threshold/set_next_credit_available_threshold, static: i32;
        /// Highest rate of provision in a period.
        18 MaxProvision max_provision/set_max_provision, static: u16;
        /// Seconds of that period.
        19 MaxProvisionPeriod max_provision_period/set_max_provision_period, static: i32;
    }
    methods {
        /// Activates the account.
        1 ActivateAccount activate_account: Zero;
        /// Closes the account.
        2 CloseAccount close_account: Zero;
        /// Makes a closed account new.
        3 ResetAccount reset_account: Zero;
    }
}

structure! {
    /// Mode and status of an account.
    AccountModeAndStatus "structure of mode and status" {
        /// The mode.
        mode: PaymentMode,
        /// The status.
        status: AccountStatus,
    }
}

structure! {
    /// Which credit pays for which charge.
    CreditCharge<'a> "structure of credit and charge" {
        /// The credit.
        credit_reference: ObisCode,
        /// The charge.
        charge_reference: ObisCode,
        /// Three bits: collect while disconnected, while load is limited, in friendly credit.
        collection_configuration: BitString<'a>,
    }
}

structure! {
    /// A credit's share of a payment.
    TokenShare "structure of credit and share" {
        /// The credit.
        credit_reference: ObisCode,
        /// Per cent.
        proportion: u8,
    }
}

structure! {
    /// What amounts are counted in.
    Currency<'a> "structure of currency" {
        /// Name: three letters as ISO 4217 has them.
        name: Utf8<'a>,
        /// Power of ten of an amount.
        scale: i8,
        /// Kind of the unit.
        unit: CurrencyUnit,
    }
}

enumeration! {
    /// How supply is paid for.
    PaymentMode "payment mode" {
        /// Afterwards.
        Credit = 1,
        /// In advance.
        Prepayment = 2,
    }
}

enumeration! {
    /// Status of an account.
    AccountStatus "account status" {
        /// New, not active yet.
        New = 1,
        /// Active.
        Active = 2,
        /// Closed.
        Closed = 3,
    }
}

enumeration! {
    /// What a unit of currency is.
    CurrencyUnit "currency unit" {
        /// Time.
        Time = 0,
        /// Consumption.
        Consumption = 1,
        /// Money.
        Monetary = 2,
    }
}
