//! Names of classes, attributes and methods.

use super::{
    Class, ClassVersion, activity_calendar, association_ln, association_sn, auto_answer, auto_connect, clock, data,
    demand_register, disconnect_control, extended_register, hdlc_setup, image_transfer, local_port_setup,
    mbus_slave_port_setup, modem_configuration, profile_generic, register, register_activation, register_monitor,
    sap_assignment, schedule, script_table, security_setup, single_action_schedule, special_days_table,
    twisted_pair_setup, utility_tables,
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
    security_setup::CLASS,
    disconnect_control::CLASS,
];

/// Names of the other classes of the Blue Book (edition 16).
const OTHER_NAMES: &[(u16, &str)] = &[
    (30, "Data protection"),
    (40, "Push setup"),
    (41, "TCP-UDP setup"),
    (42, "IPv4 setup"),
    (43, "MAC address setup"),
    (44, "PPP setup"),
    (45, "GPRS modem setup"),
    (46, "SMTP setup"),
    (47, "GSM diagnostic"),
    (48, "IPv6 setup"),
    (61, "Register table"),
    (62, "Compact data"),
    (63, "Status mapping"),
    (65, "Parameter monitor"),
    (66, "Measurement data monitoring"),
    (67, "Sensor manager"),
    (68, "Arbitrator"),
    (71, "Limiter"),
    (72, "M-Bus client"),
    (74, "M-Bus master port setup"),
    (76, "DLMS server M-Bus port setup"),
    (77, "M-Bus diagnostic"),
    (100, "NTP setup"),
    (111, "Account"),
    (112, "Credit"),
    (113, "Charge"),
    (115, "Token gateway"),
    (116, "IEC 62055-41 attributes"),
    (122, "Function control"),
    (123, "Array manager"),
    (124, "Communication port protection"),
    (151, "LTE monitoring"),
    (152, "CoAP setup"),
    (153, "CoAP diagnostic"),
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
