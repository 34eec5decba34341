//! Register activation (class 6, version 0).

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::Progress;
use dlms::cosem::association_ln::ObjectId;
use dlms::cosem::register_activation::{self, RegisterMask};
use dlms::cosem::{Answer, Array};
use dlms::obis::ObisCode;

use super::activity_calendar::name;
use super::values::write_array;
use crate::moment::Moment;
use crate::object::Context;
use crate::tariff::{Mask, Name, RegisterActivation as Activation};

type Answered = Result<Progress, DataAccessResult>;

/// A meter that counts in one register or another. It may have several such objects, for energy and for demand.
pub trait ActivationState {
    /// Registers and masks of the object with this logical name.
    fn activation(&self, instance: ObisCode) -> &Activation;

    /// Replaces them at this moment.
    ///
    /// # Errors
    /// What the client gets; nothing is changed then.
    fn set_activation(&mut self, instance: ObisCode, to: Activation, at: Moment) -> Result<(), DataAccessResult>;

    /// Name of the mask in force.
    fn active_mask(&self, instance: ObisCode, at: Moment) -> Name;

    /// Puts a mask in force, until something else does.
    ///
    /// # Errors
    /// What the client gets, for a mask that is not there.
    fn set_active_mask(&mut self, instance: ObisCode, name: &[u8], at: Moment) -> Result<(), DataAccessResult>;
}

/// Says which registers count.
#[derive(Clone, Copy, Debug)]
pub struct RegisterActivation {
    /// Logical name.
    pub instance: ObisCode,
}

serve!(register_activation: [S: ActivationState + ?Sized] RegisterActivation);

fn mask(value: RegisterMask<'_>) -> Result<Mask, DataAccessResult> {
    let mut mask = Mask { name: name(value.mask_name)?, indices: heapless::Vec::new() };
    for index in value.index_list {
        let index = index.map_err(|_| DataAccessResult::TypeUnmatched)?;
        mask.indices.push(index).map_err(|_| DataAccessResult::OtherReason)?;
    }
    Ok(mask)
}

impl RegisterActivation {
    fn change<S: ActivationState + ?Sized>(
        self,
        state: &mut S,
        at: Moment,
        change: impl FnOnce(&mut Activation) -> bool,
    ) -> Result<(), DataAccessResult> {
        let mut activation = state.activation(self.instance).clone();
        if !change(&mut activation) {
            return Err(DataAccessResult::OtherReason);
        }
        state.set_activation(self.instance, activation, at)
    }
}

/// A refusal of an attribute as one of a method.
const fn action_result(refusal: DataAccessResult) -> ActionResult {
    match refusal {
        DataAccessResult::TypeUnmatched => ActionResult::TypeUnmatched,
        DataAccessResult::TemporaryFailure => ActionResult::TemporaryFailure,
        _ => ActionResult::OtherReason,
    }
}

impl<'c, S: ActivationState + ?Sized> register_activation::Server<S, Context<'c, S>> for RegisterActivation {
    fn register_assignment(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, register_activation::RegisterAssignment>,
    ) -> Answered {
        answer.value(&Array::from(state.activation(self.instance).registers.as_slice()))
    }

    fn set_register_assignment(
        &self,
        state: &mut S,
        cx: &Context<'c, S>,
        value: Array<'_, ObjectId>,
    ) -> Result<(), DataAccessResult> {
        let mut registers = heapless::Vec::new();
        for register in value {
            let register = register.map_err(|_| DataAccessResult::TypeUnmatched)?;
            registers.push(register).map_err(|_| DataAccessResult::OtherReason)?;
        }
        self.change(state, cx.at, |activation| {
            activation.registers = registers;
            activation.is_whole()
        })
    }

    fn mask_list(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, register_activation::MaskList>,
    ) -> Answered {
        answer.written(|out| {
            write_array(out, &state.activation(self.instance).masks, |mask| RegisterMask {
                mask_name: &mask.name,
                index_list: Array::from(mask.indices.as_slice()),
            })
        })
    }

    fn set_mask_list(
        &self,
        state: &mut S,
        cx: &Context<'c, S>,
        value: Array<'_, RegisterMask<'_>>,
    ) -> Result<(), DataAccessResult> {
        let mut masks = heapless::Vec::new();
        for item in value {
            let item = mask(item.map_err(|_| DataAccessResult::TypeUnmatched)?)?;
            masks.push(item).map_err(|_| DataAccessResult::OtherReason)?;
        }
        self.change(state, cx.at, |activation| {
            activation.masks = masks;
            activation.is_whole()
        })
    }

    fn active_mask(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, register_activation::ActiveMask>,
    ) -> Answered {
        answer.value(&&*state.active_mask(self.instance, cx.at))
    }

    fn set_active_mask(&self, state: &mut S, cx: &Context<'c, S>, value: &[u8]) -> Result<(), DataAccessResult> {
        state.set_active_mask(self.instance, value, cx.at)
    }

    fn add_register(&self, state: &mut S, cx: &Context<'c, S>, register: ObjectId) -> Result<(), ActionResult> {
        self.change(state, cx.at, |activation| activation.add_register(register)).map_err(action_result)
    }

    fn add_mask(&self, state: &mut S, cx: &Context<'c, S>, value: RegisterMask<'_>) -> Result<(), ActionResult> {
        let mask = mask(value).map_err(action_result)?;
        self.change(state, cx.at, |activation| activation.add_mask(mask)).map_err(action_result)
    }

    fn delete_mask(&self, state: &mut S, cx: &Context<'c, S>, value: &[u8]) -> Result<(), ActionResult> {
        self.change(state, cx.at, |activation| activation.delete_mask(value)).map_err(action_result)
    }
}
