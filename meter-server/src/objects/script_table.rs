//! Script table (class 9, version 0).

use dlms::apdu::{ActionResult, DataAccessResult, MethodDescriptor};
use dlms::association::server::Progress;
use dlms::axdr::{Data, Writer};
use dlms::cosem::action::ActionItem;
use dlms::cosem::script_table::{self, Script, ScriptService};
use dlms::cosem::{Answer, Array, ToData};
use dlms::id::{AttributeId, ClassId, MethodId};
use dlms::obis::ObisCode;

use super::kept::{Kept, kept_value};
use crate::object::Context;

/// Scripts that call scripts that call scripts: more than that is a circle.
const DEPTH_MAX: u8 = 4;
/// Steps of a script with all scripts that it calls: the meter does nothing else meanwhile.
const STEPS_MAX: u16 = 1_000;
/// Octets of a step's parameter.
const PARAMETER_MAX: usize = 256;

/// What a meter keeps of the scripts that run.
pub trait ScriptState {
    /// How many scripts are running, each called by the one before; 0 at rest.
    fn script_depth(&mut self) -> &mut u8;

    /// How many steps these scripts have begun, since the first of them was called.
    fn script_steps(&mut self) -> &mut u16;
}

/// Series of writes and method calls.
///
/// They act on the other objects of the meter with the meter's own rights: who may run a script is said by the rights on
/// the table, and who may change what it does by those on its attribute 2.
#[derive(Clone, Debug)]
pub struct ScriptTable<V> {
    /// Logical name.
    pub instance: ObisCode,
    /// Attribute 2.
    pub attributes: V,
}

const SCRIPTS: AttributeId = AttributeId(2);

serve!(script_table: [S: ScriptState + ?Sized, V: Kept<S>] ScriptTable<V>);

impl<'c, S: ScriptState + ?Sized, V: Kept<S>> script_table::Server<S, Context<'c, S>> for ScriptTable<V> {
    fn scripts(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, script_table::Scripts>,
    ) -> Result<Progress, DataAccessResult> {
        answer.written(|out| out.bytes(self.attributes.kept(state, SCRIPTS)))
    }

    fn set_scripts(
        &self,
        state: &mut S,
        cx: &Context<'c, S>,
        scripts: Array<'_, Script<'_>>,
    ) -> Result<(), DataAccessResult> {
        self.attributes.keep(state, cx, SCRIPTS, &|out| scripts.to_data(out))
    }

    fn execute(&self, state: &mut S, cx: &Context<'c, S>, identifier: u16) -> Result<(), ActionResult> {
        if identifier == 0 {
            return Ok(());
        }
        let depth = state.script_depth();
        if *depth >= DEPTH_MAX {
            return Err(ActionResult::OtherReason);
        }
        let first = *depth == 0;
        *depth = depth.saturating_add(1);
        if first {
            *state.script_steps() = 0;
        }
        let result = self.run(state, cx, identifier);
        let depth = state.script_depth();
        *depth = depth.saturating_sub(1);
        result
    }
}

/// A step, with its parameter elsewhere.
struct Step {
    service: ScriptService,
    class: ClassId,
    instance: ObisCode,
    index: i8,
}

impl<V> ScriptTable<V> {
    /// Runs the steps in order. One that fails ends the script; what was done before stays done. Whether meters go on
    /// instead is not verified. With too many steps it ends with an error too.
    fn run<S: ScriptState + ?Sized>(
        &self,
        state: &mut S,
        cx: &Context<'_, S>,
        identifier: u16,
    ) -> Result<(), ActionResult>
    where
        V: Kept<S>,
    {
        let mut parameter = [0; PARAMETER_MAX];
        for number in 0_usize.. {
            // A step may change the table, so that nothing of it is held while one runs.
            let found = self.step(state, identifier, number, &mut parameter)?;
            let Some((step, length)) = found else { return Ok(()) };
            let steps = state.script_steps();
            if *steps >= STEPS_MAX {
                return Err(ActionResult::OtherReason);
            }
            *steps = steps.saturating_add(1);
            let value = parameter.get(..length).and_then(|octets| Data::from_slice(octets).ok());
            let value = value.ok_or(ActionResult::TypeUnmatched)?;
            let object = cx.table.find(step.class, step.instance).and_then(|index| cx.table.object(index));
            let object = object.ok_or(ActionResult::ObjectUndefined)?;
            match step.service {
                ScriptService::WriteAttribute if (2..=object.attributes()).contains(&step.index) => {
                    let written = object.write(state, cx, AttributeId(step.index), value);
                    written.map_err(|error| ActionResult::from_code(error.code()))?;
                }
                ScriptService::InvokeMethod if (1..=object.methods()).contains(&step.index) => {
                    // Nobody is told what a method returns.
                    let mut returned = [0; PARAMETER_MAX];
                    let mut out = Writer::window(&mut returned, 0);
                    object.invoke(state, cx, MethodId(step.index), Some(value), &mut out)?;
                }
                _ => return Err(ActionResult::ObjectUndefined),
            }
        }
        Ok(())
    }

    /// Step `number` of a script, from 0, its parameter copied; `None` behind the last.
    fn step<S: ?Sized>(
        &self,
        state: &S,
        identifier: u16,
        number: usize,
        parameter: &mut [u8],
    ) -> Result<Option<(Step, usize)>, ActionResult>
    where
        V: Kept<S>,
    {
        let scripts: Array<'_, Script<'_>> =
            kept_value(self.attributes.kept(state, SCRIPTS)).ok_or(ActionResult::TypeUnmatched)?;
        let script = scripts.iter().flatten().find(|script| script.script_identifier == identifier);
        let script = script.ok_or(ActionResult::ObjectUndefined)?;
        let Some(action) = script.actions.iter().nth(number) else { return Ok(None) };
        let action = action.map_err(|_| ActionResult::TypeUnmatched)?;
        let mut out = Writer::new(parameter);
        action.parameter.encode(&mut out).map_err(|_| ActionResult::OtherReason)?;
        let length = out.len();
        let (service, class, instance, index) = (action.service, action.class_id, action.logical_name, action.index);
        Ok(Some((Step { service, class, instance, index }, length)))
    }
}

/// Runs a script by the name of its table and its identifier, as schedules, monitors and calendars do.
///
/// # Errors
/// `ObjectUndefined` when there is no such script, and what its steps fail for.
pub fn run_script<S: ?Sized>(state: &mut S, cx: &Context<'_, S>, script: ActionItem) -> Result<(), ActionResult> {
    if script.script_selector == 0 {
        return Ok(());
    }
    let (class, instance) = (script_table::CLASS_ID, script.script_logical_name);
    let execute = MethodDescriptor { class, instance, method: MethodId(1) };
    let object = cx.table.find(class, instance).and_then(|index| cx.table.object(index));
    let parameter = Some(Data::LongUnsigned(script.script_selector));
    let mut out = Writer::new(&mut []);
    object.ok_or(ActionResult::ObjectUndefined)?.invoke(state, cx, execute.method, parameter, &mut out)
}
