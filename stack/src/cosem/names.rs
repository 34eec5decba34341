//! Names of classes, attributes and methods.

use super::{
    Class, ClassVersion, account, activity_calendar, arbitrator, array_manager, association_ln, association_sn,
    auto_answer, auto_connect, charge, clock, coap_diagnostic, coap_setup, communication_port_protection, compact_data,
    credit, data, data_protection, demand_register, disconnect_control, extended_register, function_control,
    gprs_modem_setup, gsm_diagnostic, hdlc_setup, image_transfer, ipv4_setup, ipv6_setup, limiter, local_port_setup,
    lte_monitoring, mac_address_setup, mbus_client, mbus_diagnostic, mbus_master_port_setup, mbus_port_setup,
    mbus_slave_port_setup, measurement_data_monitoring, modem_configuration, ntp_setup, parameter_monitor, ppp_setup,
    profile_generic, push_setup, register, register_activation, register_monitor, register_table, sap_assignment,
    schedule, script_table, security_setup, sensor_manager, single_action_schedule, smtp_setup, special_days_table,
    status_mapping, sts_attributes, tcp_udp_setup, token_gateway, twisted_pair_setup, utility_tables,
};
use crate::id::{AttributeId, ClassId, MethodId};

/// The classes that are described with their attributes and methods, by identifier.
pub const CLASSES: &[Class] = &[
    data::CLASS,
    register::CLASS,
    extended_register::CLASS,
    demand_register::CLASS,
    register_activation::CLASS,
    profile_generic::CLASS,
    clock::CLASS,
    script_table::CLASS,
    schedule::CLASS,
    special_days_table::CLASS,
    association_sn::CLASS,
    association_ln::CLASS,
    sap_assignment::CLASS,
    image_transfer::CLASS,
    local_port_setup::CLASS,
    activity_calendar::CLASS,
    register_monitor::CLASS,
    single_action_schedule::CLASS,
    hdlc_setup::CLASS,
    twisted_pair_setup::CLASS,
    mbus_slave_port_setup::CLASS,
    utility_tables::CLASS,
    modem_configuration::CLASS,
    auto_answer::CLASS,
    auto_connect::CLASS,
    data_protection::CLASS,
    push_setup::CLASS,
    tcp_udp_setup::CLASS,
    ipv4_setup::CLASS,
    mac_address_setup::CLASS,
    ppp_setup::CLASS,
    gprs_modem_setup::CLASS,
    smtp_setup::CLASS,
    gsm_diagnostic::CLASS,
    ipv6_setup::CLASS,
    register_table::CLASS,
    compact_data::CLASS,
    status_mapping::CLASS,
    security_setup::CLASS,
    parameter_monitor::CLASS,
    measurement_data_monitoring::CLASS,
    sensor_manager::CLASS,
    arbitrator::CLASS,
    disconnect_control::CLASS,
    limiter::CLASS,
    mbus_client::CLASS,
    mbus_master_port_setup::CLASS,
    mbus_port_setup::CLASS,
    mbus_diagnostic::CLASS,
    ntp_setup::CLASS,
    account::CLASS,
    credit::CLASS,
    charge::CLASS,
    token_gateway::CLASS,
    sts_attributes::CLASS,
    function_control::CLASS,
    array_manager::CLASS,
    communication_port_protection::CLASS,
    lte_monitoring::CLASS,
    coap_setup::CLASS,
    coap_diagnostic::CLASS,
];

/// Names of the other classes of the Blue Book (edition 16).
const OTHER_NAMES: &[(u16, &str)] = &[
    (57, "ISO/IEC 8802-2 LLC type 1 setup"),
    (58, "ISO/IEC 8802-2 LLC type 2 setup"),
    (59, "ISO/IEC 8802-2 LLC type 3 setup"),
    (73, "Wireless mode Q channel"),
    (90, "G3-PLC MAC layer counters"),
    (91, "G3-PLC MAC setup"),
    (92, "G3-PLC 6LoWPAN adaptation layer setup"),
];

/// The description of a class, if there is one.
#[must_use]
pub fn class(id: ClassId) -> Option<&'static Class> {
    CLASSES.iter().find(|class| class.id == id)
}

/// The description of a class in one version, if there is one. Anything else is only data.
#[must_use]
pub fn class_version(id: ClassId, version: u8) -> Option<ClassVersion> {
    class(id)?.in_version(version)
}

/// Name of a class of the Blue Book.
#[must_use]
pub fn class_name(id: ClassId) -> Option<&'static str> {
    match class(id) {
        Some(class) => Some(class.name),
        None => OTHER_NAMES.iter().find(|(other, _)| *other == id.0).map(|(_, name)| *name),
    }
}

/// Name of an attribute, for a version of a class that is described here. Attribute 1 is `logical_name` in all classes.
#[must_use]
pub fn attribute_name(id: ClassId, version: u8, attribute: AttributeId) -> Option<&'static str> {
    if attribute == super::LOGICAL_NAME {
        return Some("logical_name");
    }
    class_version(id, version)?.attribute(attribute).map(|info| info.name)
}

/// Name of a method, for a version of a class that is described here.
#[must_use]
pub fn method_name(id: ClassId, version: u8, method: MethodId) -> Option<&'static str> {
    class_version(id, version)?.method(method).map(|info| info.name)
}
