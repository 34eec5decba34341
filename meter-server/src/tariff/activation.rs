//! Which registers count, by mask (class 6).

use dlms::cosem::association_ln::ObjectId;

use super::Name;

/// Registers that masks can switch.
pub const REGISTERS_MAX: usize = 64;
/// Masks.
pub const MASKS_MAX: usize = 8;
/// Registers of one mask.
pub const INDICES_MAX: usize = 32;

/// The registers that count under one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Mask {
    /// Name.
    pub name: Name,
    /// Places of the registers in the assignment, from 1.
    pub indices: heapless::Vec<u8, INDICES_MAX>,
}

/// The registers, masks and the mask in force of a register activation object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegisterActivation {
    /// The registers that masks switch. A register that is not among them always counts.
    pub registers: heapless::Vec<ObjectId, REGISTERS_MAX>,
    /// The masks.
    pub masks: heapless::Vec<Mask, MASKS_MAX>,
}

impl RegisterActivation {
    /// The mask with this name.
    #[must_use]
    pub fn mask(&self, name: &[u8]) -> Option<&Mask> {
        self.masks.iter().find(|mask| mask.name.as_slice() == name)
    }

    /// Whether all places that masks name are there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let registers = self.registers.len();
        self.masks.iter().flat_map(|mask| &mask.indices).all(|index| (1..=registers).contains(&usize::from(*index)))
    }

    /// Adds a register at the end; false when there is no room.
    #[must_use]
    pub fn add_register(&mut self, register: ObjectId) -> bool {
        self.registers.push(register).is_ok()
    }

    /// Adds a mask or replaces the one of the same name; false when there is no room, or when it names a place where
    /// there is no register.
    #[must_use]
    pub fn add_mask(&mut self, mask: Mask) -> bool {
        let registers = self.registers.len();
        if !mask.indices.iter().all(|index| (1..=registers).contains(&usize::from(*index))) {
            return false;
        }
        match self.masks.iter_mut().find(|known| known.name == mask.name) {
            Some(known) => {
                *known = mask;
                true
            }
            None => self.masks.push(mask).is_ok(),
        }
    }

    /// Removes a mask; false when there is none of this name.
    #[must_use]
    pub fn delete_mask(&mut self, name: &[u8]) -> bool {
        let before = self.masks.len();
        self.masks.retain(|mask| mask.name.as_slice() != name);
        self.masks.len() != before
    }

    /// The registers that count while the mask of this name is in force.
    pub fn active<'a>(&'a self, name: &[u8]) -> impl Iterator<Item = &'a ObjectId> {
        let indices = self.mask(name).map(|mask| mask.indices.as_slice()).unwrap_or_default();
        indices.iter().filter_map(|index| self.registers.get(usize::from(*index).checked_sub(1)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlms::id::ClassId;
    use dlms::obis::ObisCode;

    fn register(rate: u8) -> ObjectId {
        ObjectId { class_id: ClassId(3), logical_name: ObisCode::new(1, 0, 1, 8, rate, 255) }
    }

    fn mask(name: &str, indices: &[u8]) -> Mask {
        Mask { name: Name::from_slice(name.as_bytes()).unwrap(), indices: indices.iter().copied().collect() }
    }

    #[test]
    fn masks_name_registers_that_are_there() {
        let mut activation = RegisterActivation::default();
        for rate in 1..=3 {
            assert!(activation.add_register(register(rate)));
        }
        assert!(activation.add_mask(mask("T1", &[1, 3])));
        assert!(!activation.add_mask(mask("T2", &[4])) && !activation.add_mask(mask("T2", &[0])));
        assert!(activation.is_whole());
        let counting = |activation: &RegisterActivation, name: &str| -> Vec<u8> {
            activation.active(name.as_bytes()).map(|register| register.logical_name.0[4]).collect()
        };
        assert_eq!(counting(&activation, "T1"), [1, 3]);
        assert!(counting(&activation, "T2").is_empty());
        assert!(activation.add_mask(mask("T1", &[2])));
        assert_eq!((counting(&activation, "T1"), activation.masks.len()), (vec![2], 1));
        assert!(activation.delete_mask(b"T1") && !activation.delete_mask(b"T1"));
    }

    #[test]
    fn there_is_room_for_so_much_and_no_more() {
        let mut activation = RegisterActivation::default();
        assert!((0..REGISTERS_MAX).all(|_| activation.add_register(register(1))));
        assert!(!activation.add_register(register(1)));
        assert!((0..MASKS_MAX).all(|number| activation.add_mask(mask(&number.to_string(), &[64]))));
        assert!(!activation.add_mask(mask("more", &[1])) && activation.add_mask(mask("0", &[1])));
    }
}
