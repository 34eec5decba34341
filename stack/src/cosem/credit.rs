//! Class 112, Credit: payment metering, one source of credit.

use super::Zero;
use crate::axdr::BitString;
use crate::time::DateTime;

interface_class! {
    "Credit" = 112, versions 0..=0, methods at 0x58;
    attributes {
        /// What is left.
        2 CurrentCreditAmount current_credit_amount, dynamic: i32;
        /// Kind of the credit.
        3 Kind credit_type, static: CreditType;
        /// Order of use: 1 comes first, 0 is never used.
        4 Priority priority/set_priority, static: u8;
        /// Amount below which a warning is given.
        5 WarningThreshold warning_threshold/set_warning_threshold, static: i32;
        /// Amount at which the credit is used up.
        6 Limit limit/set_limit, static: i32;
        /// Five bits: shown, needs confirmation, has to be paid back, can be reset, takes tokens.
        7 Configuration credit_configuration/set_credit_configuration, static: BitString<'a>;
        /// Status.
        8 Status credit_status/set_credit_status, dynamic: CreditStatus;
        /// Amount that the credit begins with.
        9 PresetCreditAmount preset_credit_amount/set_preset_credit_amount, static: i32;
        /// Amount from which on the credit can be chosen.
        10 CreditAvailableThreshold credit_available_threshold/set_credit_available_threshold, static: i32;
        /// When the credit begins anew; mostly with wildcards.
        11 Period period/set_period, static: DateTime;
    }
    methods {
        /// Adds to the amount.
        1 UpdateAmount update_amount: i32;
        /// Sets the amount, and gives back the one before.
        2 SetAmountToValue set_amount_to_value: i32 => i32;
        /// Begins to use the credit.
        3 InvokeCredit invoke_credit: Zero;
    }
}

enumeration! {
    /// Kind of a credit.
    CreditType "credit type" {
        /// Bought with tokens.
        Token = 0,
        /// Reserved.
        Reserved = 1,
        /// For emergencies.
        Emergency = 2,
        /// Given for times.
        TimeBased = 3,
        /// Given for consumption.
        ConsumptionBased = 4,
    }
}

enumeration! {
    /// Status of a credit.
    CreditStatus "credit status" {
        /// Enabled.
        Enabled = 0,
        /// Can be chosen.
        Selectable = 1,
        /// Was chosen.
        Selected = 2,
        /// In use.
        InUse = 3,
        /// Used up.
        Consumed = 4,
    }
}
