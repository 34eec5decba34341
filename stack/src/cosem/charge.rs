//! Class 113, Charge: payment metering, one thing that is paid for.

use super::{Array, Tagged, Zero};
use crate::axdr::BitString;
use crate::cosem::action::MonitoredValue;
use crate::time::DateTime;

interface_class! {
    "Charge" = 113, versions 0..=0, methods at 0x68;
    attributes {
        /// What was paid so far.
        2 TotalAmountPaid total_amount_paid, dynamic: i32;
        /// Kind of the charge.
        3 Kind charge_type, static: ChargeType;
        /// Order of collection: 0 comes first.
        4 Priority priority/set_priority, static: u8;
        /// Price in use.
        5 UnitChargeActive unit_charge_active, dynamic: UnitCharge<'a>;
        /// Price to come.
        6 UnitChargePassive unit_charge_passive/set_unit_charge_passive, static: UnitCharge<'a>;
        /// When the price to come is taken into use.
        7 UnitChargeActivationTime unit_charge_activation_time/set_unit_charge_activation_time, static: DateTime;
        /// Seconds between two collections.
        8 Period period/set_period, static: u32;
        /// Two bits: percentage based, continuous collection.
        9 Configuration charge_configuration/set_charge_configuration, static: BitString<'a>;
        /// When was collected last.
        10 LastCollectionTime last_collection_time, dynamic: Tagged;
        /// What was collected last.
        11 LastCollectionAmount last_collection_amount, dynamic: i32;
        /// What is still to be paid.
        12 TotalAmountRemaining total_amount_remaining, dynamic: i32;
        /// Share of a payment, in hundredths of a per cent.
        13 Proportion proportion/set_proportion, static: u16;
    }
    methods {
        /// Changes prices to come.
        1 UpdateUnitCharge update_unit_charge: Array<'a, ChargeTableElement<'a>>;
        /// Takes the price to come into use.
        2 ActivatePassiveUnitCharge activate_passive_unit_charge: Zero;
        /// Collects now.
        3 Collect collect: Zero;
        /// Adds to what is still to be paid.
        4 UpdateTotalAmountRemaining update_total_amount_remaining: i32;
        /// Sets what is still to be paid.
        5 SetTotalAmountRemaining set_total_amount_remaining: i32;
    }
}

structure! {
    /// A price.
    UnitCharge<'a> "structure of unit charge" {
        /// Scalers of commodity and price.
        charge_per_unit_scaling: ChargeScaling,
        /// What is paid for.
        commodity_reference: MonitoredValue,
        /// The price for each tariff.
        charge_table: Array<'a, ChargeTableElement<'a>>,
    }
}

structure! {
    /// Scalers of a price.
    ChargeScaling "structure of scalers" {
        /// Power of ten of the commodity.
        commodity_scale: i8,
        /// Power of ten of the price.
        price_scale: i8,
    }
}

structure! {
    /// The price for a tariff.
    ChargeTableElement<'a> "structure of index and price" {
        /// Name of the tariff.
        index: &'a [u8],
        /// Price for a unit.
        charge_per_unit: i16,
    }
}

enumeration! {
    /// What a charge is for.
    ChargeType "charge type" {
        /// Consumption.
        Consumption = 0,
        /// Time.
        Time = 1,
        /// A payment.
        PaymentEvent = 2,
    }
}
