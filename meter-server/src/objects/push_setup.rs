//! Push setup (class 40, versions 0 to 3).

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::Progress;
use dlms::cosem::common::Window;
use dlms::cosem::profile_generic::CaptureObject;
use dlms::cosem::push_setup::{
    self, Confirmation, Delay, OperationMethod, ProtectionParameters, PushObject, PushObjectV1,
    SendDestinationAndMethod,
};
use dlms::cosem::{Answer, Array, Tagged, ToData, Zero};
use dlms::id::AttributeId;
use dlms::obis::ObisCode;
use dlms::time::DateTime;

use super::kept::Kept;
use crate::object::Context;

type Answered = Result<Progress, DataAccessResult>;

/// What a meter does when it is told to push.
pub trait PushState {
    /// Starts the push process of a push setup: after the random delay, within the communication window, with
    /// repetitions.
    ///
    /// # Errors
    /// What the client gets, as when there is no destination.
    fn push(&mut self, instance: ObisCode, cx: &Context<'_, Self>) -> Result<(), ActionResult>;

    /// Forgets what is still to be sent of a push setup.
    ///
    /// # Errors
    /// What the client gets.
    fn reset_push(&mut self, instance: ObisCode) -> Result<(), ActionResult>;

    /// When data of a push setup was confirmed last.
    fn last_confirmation(&self, instance: ObisCode) -> Option<DateTime>;
}

/// What is sent unasked, where to, and when.
#[derive(Clone, Debug)]
pub struct PushSetup<V> {
    /// Logical name.
    pub instance: ObisCode,
    /// Version of the class.
    pub version: u8,
    /// Attributes 2 to 12.
    pub attributes: V,
}

serve!(push_setup: [S: PushState + ?Sized, V: Kept<S>] PushSetup<V>);

/// Attributes that are read and written as they are.
macro_rules! kept {
    ($($number:literal $get:ident/$set:ident $marker:ident: $type:ty;)*) => {$(
        fn $get(
            &self,
            state: &S,
            _: &Context<'c, S>,
            answer: Answer<'_, '_, push_setup::$marker>,
        ) -> Answered {
            answer.written(|out| out.bytes(self.attributes.kept(state, AttributeId($number))))
        }

        fn $set(&self, state: &mut S, cx: &Context<'c, S>, value: $type) -> Result<(), DataAccessResult> {
            self.attributes.keep(state, cx, AttributeId($number), &|out| value.to_data(out))
        }
    )*};
}

impl<'c, S: PushState + ?Sized, V: Kept<S>> push_setup::Server<S, Context<'c, S>> for PushSetup<V> {
    fn class_version(&self) -> u8 {
        self.version
    }

    kept! {
        2 push_object_list_v0/set_push_object_list_v0 PushObjectListV0: Array<'_, CaptureObject>;
        2 push_object_list_v1/set_push_object_list_v1 PushObjectListV1: Array<'_, PushObjectV1<'_>>;
        2 push_object_list/set_push_object_list PushObjectList: Array<'_, PushObject<'_>>;
        3 send_destination_and_method/set_send_destination_and_method Destination: SendDestinationAndMethod<'_>;
        4 communication_window/set_communication_window CommunicationWindow: Array<'_, Window>;
        5 randomisation_start_interval/set_randomisation_start_interval RandomisationStartInterval: u16;
        6 number_of_retries/set_number_of_retries NumberOfRetries: u8;
        7 repetition_delay_v0/set_repetition_delay_v0 RepetitionDelayV0: u16;
        7 repetition_delay/set_repetition_delay RepetitionDelay: Delay;
        8 port_reference/set_port_reference PortReference: ObisCode;
        9 push_client_sap/set_push_client_sap PushClientSap: i8;
        10 push_protection_parameters/set_push_protection_parameters PushProtectionParameters:
            Array<'_, ProtectionParameters<'_>>;
        11 push_operation_method/set_push_operation_method PushOperationMethod: OperationMethod;
    }

    fn confirmation_parameters(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, push_setup::ConfirmationParameters>,
    ) -> Answered {
        answer.written(|out| out.bytes(self.attributes.kept(state, AttributeId(12))))
    }

    /// Takes what leaves every push of a confirmed method to be confirmed. What a start and an interval mean was not to be
    /// verified against the standard: they are refused rather than kept without effect.
    fn set_confirmation_parameters(
        &self,
        state: &mut S,
        cx: &Context<'c, S>,
        value: Confirmation,
    ) -> Result<(), DataAccessResult> {
        if value.start_date != Tagged(DateTime::UNSPECIFIED) || value.interval != 0 {
            return Err(DataAccessResult::OtherReason);
        }
        self.attributes.keep(state, cx, AttributeId(12), &|out| value.to_data(out))
    }

    fn last_confirmation_date_time(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, push_setup::LastConfirmation>,
    ) -> Answered {
        answer.value(&Tagged(state.last_confirmation(self.instance).unwrap_or(DateTime::UNSPECIFIED)))
    }

    fn push(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Result<(), ActionResult> {
        state.push(self.instance, cx)
    }

    fn reset(&self, state: &mut S, _: &Context<'c, S>, _: Zero) -> Result<(), ActionResult> {
        state.reset_push(self.instance)
    }
}
