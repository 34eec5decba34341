//! What is more than an attribute or a method: writes and calls that take a customer's supply, or our way to the meter.

use dlms::{
    id::{AttributeId, ClassId, MethodId},
    obis::ObisCode,
};

use super::{InvokeMethod, Operation, SetAttribute};

/// Why an operation on a raw object needs more than the permission to talk to meters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// It may take a supply away, or give it back.
    Supply,
    /// It changes keys, or what the meter demands of those who talk to it.
    Keys,
}

/// Association LN: its secret, and the method that changes it.
const ASSOCIATION_LN: ClassId = ClassId(15);
const SECRET: AttributeId = AttributeId(7);
const CHANGE_SECRET: MethodId = MethodId(2);
const SECURITY_SETUP: ClassId = ClassId(64);

const DISCONNECT_CONTROL: ClassId = ClassId(70);
/// Output state and control state; the control mode switches nothing by itself.
const CONTROL_STATES: [AttributeId; 2] = [AttributeId(2), AttributeId(3)];
const LIMITER: ClassId = ClassId(71);
/// What a limiter waits for before it acts, and the groups that it belongs to: harmless beside its thresholds.
const LIMITER_WAITS: [AttributeId; 3] = [AttributeId(6), AttributeId(7), AttributeId(9)];
/// Arbitrator, whose actors are relays as a rule, and its method request_action.
const ARBITRATOR: ClassId = ClassId(68);
const SCRIPT_TABLE: ClassId = ClassId(9);

/// Whether a script table switches supplies: 0.b.10.0.106, disconnect control (Blue Book, abstract objects).
const fn switches(table: ObisCode) -> bool {
    matches!(table.0, [0, _, 10, 0, 106, _])
}

impl SetAttribute {
    /// Why writing it needs more, if it does.
    #[must_use]
    pub fn guard(&self) -> Option<Guard> {
        let attribute = self.attribute.attribute;
        match self.attribute.class {
            DISCONNECT_CONTROL => CONTROL_STATES.contains(&attribute).then_some(Guard::Supply),
            LIMITER => (!LIMITER_WAITS.contains(&attribute)).then_some(Guard::Supply),
            // What a disconnect script does can be rewritten.
            SCRIPT_TABLE => switches(self.attribute.obis).then_some(Guard::Supply),
            SECURITY_SETUP => Some(Guard::Keys),
            ASSOCIATION_LN => (attribute == SECRET).then_some(Guard::Keys),
            _ => None,
        }
    }
}

impl InvokeMethod {
    /// Why calling it needs more, if it does.
    #[must_use]
    pub fn guard(&self) -> Option<Guard> {
        match self.class {
            DISCONNECT_CONTROL | ARBITRATOR => Some(Guard::Supply),
            SCRIPT_TABLE => switches(self.obis).then_some(Guard::Supply),
            SECURITY_SETUP => Some(Guard::Keys),
            ASSOCIATION_LN => (self.method == CHANGE_SECRET).then_some(Guard::Keys),
            _ => None,
        }
    }
}

impl Operation {
    /// The guard of all its parts: that of supplies before that of keys.
    #[must_use]
    pub fn guard(&self) -> Option<Guard> {
        [Guard::Supply, Guard::Keys].into_iter().find(|guard| self.has_guard(*guard))
    }

    /// Whether part of it has this guard.
    #[must_use]
    pub fn has_guard(&self, guard: Guard) -> bool {
        match self {
            Self::SetAttributes(assignments) => assignments.iter().any(|set| set.guard() == Some(guard)),
            Self::InvokeMethod(method) => method.guard() == Some(guard),
            Self::Bundle { operations, .. } => operations.iter().any(|operation| operation.has_guard(guard)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use dlms::axdr::Value;

    use super::*;
    use crate::operation::AttributeRef;

    fn set(class: u16, obis: [u8; 6], attribute: i8) -> Option<Guard> {
        let attribute = AttributeRef::new(ClassId(class), ObisCode(obis), AttributeId(attribute));
        SetAttribute { attribute, selection: None, value: Value::Null }.guard()
    }

    fn invoke(class: u16, obis: [u8; 6], method: i8) -> InvokeMethod {
        InvokeMethod { class: ClassId(class), obis: ObisCode(obis), method: MethodId(method), parameter: None }
    }

    #[test]
    fn what_takes_supply_or_keys_is_told_from_the_rest() {
        let any = [0, 0, 1, 2, 3, 255];
        for (class, attribute) in [(70, 2), (70, 3), (71, 3), (71, 4), (71, 5), (71, 8), (71, 11)] {
            assert_eq!(set(class, any, attribute), Some(Guard::Supply), "{class} {attribute}");
        }
        for (class, attribute) in [(70, 4), (71, 6), (71, 7), (71, 9), (9, 2), (3, 2), (15, 2)] {
            assert_eq!(set(class, any, attribute), None, "{class} {attribute}");
        }
        assert_eq!((set(64, any, 2), set(15, any, 7)), (Some(Guard::Keys), Some(Guard::Keys)));
        assert_eq!(set(9, [0, 0, 10, 0, 106, 255], 2), Some(Guard::Supply));
        for (class, method, guard) in [
            (70, 1, Some(Guard::Supply)),
            (70, 2, Some(Guard::Supply)),
            (68, 1, Some(Guard::Supply)),
            (64, 2, Some(Guard::Keys)),
            (15, 2, Some(Guard::Keys)),
            (15, 1, None),
            (9, 1, None),
            (7, 1, None),
        ] {
            assert_eq!(invoke(class, any, method).guard(), guard, "{class} {method}");
        }
        let script = invoke(9, [0, 0, 10, 0, 106, 255], 1);
        assert_eq!(script.guard(), Some(Guard::Supply));
        let bundle = Operation::bundle(vec![Operation::Ping, Operation::InvokeMethod(script)]);
        assert!(bundle.has_guard(Guard::Supply) && !bundle.has_guard(Guard::Keys));
        let keys = Operation::InvokeMethod(invoke(64, any, 2));
        assert_eq!(Operation::bundle(vec![Operation::Ping, keys.clone()]).guard(), Some(Guard::Keys));
        assert_eq!(Operation::bundle(vec![keys, bundle]).guard(), Some(Guard::Supply));
        assert_eq!(Operation::bundle(vec![Operation::Ping]).guard(), None);
    }
}
