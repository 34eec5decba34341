//! M-Bus client (class 72, versions 0 and 1), and the values of its device (class 4).

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::Progress;
use dlms::axdr::Data;
use dlms::cosem::mbus_client::{self, BcdNumber, Capture, DataRecord};
use dlms::cosem::{Answer, Array, Zero, extended_register};
use dlms::obis::ObisCode;
use dlms::security::Protection;
use dlms::unit::ScalerUnit;

use super::account::stamp;
use super::clock::ClockState;
use super::disconnect_control::{Switch, SwitchEvent, SwitchPlace};
use crate::mbus::{Bus, Channel, Element, Outcome, ValueInformation};
use crate::moment::Moment;
use crate::object::Context;

type Answered = Result<Progress, DataAccessResult>;
type Written = Result<(), DataAccessResult>;
type Done = Result<(), ActionResult>;

/// A value of a device as it was captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MBusReading {
    /// In the unit that the capture definition's value information says.
    pub value: u32,
    /// When it was captured; `None` when nothing was.
    pub at: Option<Moment>,
    /// Status octet of the device.
    pub status: u8,
}

/// A meter that is the master of an M-Bus. Channels count from 1, as value group B of their objects does.
pub trait MBusState: ClockState {
    /// Looks at a channel as it is at a moment: what a period has captured by then included.
    fn look<T>(&self, channel: u8, at: Moment, look: impl FnOnce(&Channel) -> T) -> T;

    /// Does something to a channel and its bus, keeps what has changed for good, and enters the event.
    ///
    /// # Errors
    /// What `act` says; `OtherReason` when it cannot be kept, and then nothing has changed.
    fn act(&mut self, channel: u8, at: Moment, act: impl FnOnce(&mut Channel, &mut dyn Bus) -> Outcome) -> Done;

    /// The value of element `number` (from 1) of the channel's capture definition, as it was at a moment.
    fn reading(&self, channel: u8, number: u8, at: Moment) -> MBusReading;
}

/// A device behind the electricity meter. Value group B is its channel.
#[derive(Clone, Copy, Debug)]
pub struct MBusClient {
    /// Logical name.
    pub instance: ObisCode,
    /// 0 or 1: version 0 has the identification number as digits, and no attributes 13 and 14.
    pub version: u8,
}

serve!(mbus_client: [S: MBusState + ?Sized] MBusClient);

impl MBusClient {
    const fn channel(&self) -> u8 {
        let [_, channel, ..] = self.instance.0;
        channel
    }

    fn look<S: MBusState + ?Sized, T>(&self, state: &S, cx: &Context<'_, S>, look: impl FnOnce(&Channel) -> T) -> T {
        state.look(self.channel(), cx.at, look)
    }

    fn act<S: MBusState + ?Sized>(
        &self,
        state: &mut S,
        cx: &Context<'_, S>,
        act: impl FnOnce(&mut Channel, &mut dyn Bus) -> Outcome,
    ) -> Done {
        state.act(self.channel(), cx.at, act)
    }

    fn change<S: MBusState + ?Sized>(
        &self,
        state: &mut S,
        cx: &Context<'_, S>,
        change: impl FnOnce(&mut Channel) -> bool,
    ) -> Written {
        let refused = ActionResult::OtherReason;
        let changed = self.act(state, cx, |channel, _| {
            let result = if change(channel) { Ok(()) } else { Err(refused) };
            Outcome { result, event: None, captured: false }
        });
        changed.map_err(|_| DataAccessResult::OtherReason)
    }

    /// Keys come ciphered, whatever the access rights of the model say.
    fn may_carry_keys<S: ?Sized>(cx: &Context<'_, S>) -> Done {
        let covered = cx.access.request.covers(Protection::AUTHENTICATED_ENCRYPTED);
        if covered { Ok(()) } else { Err(ActionResult::ReadWriteDenied) }
    }
}

impl<'c, S: MBusState + ?Sized> mbus_client::Server<S, Context<'c, S>> for MBusClient {
    fn class_version(&self) -> u8 {
        self.version
    }

    fn mbus_port_reference(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, mbus_client::PortReference>,
    ) -> Answered {
        answer.value(&self.look(state, cx, |channel| channel.port))
    }

    fn set_mbus_port_reference(&self, state: &mut S, cx: &Context<'c, S>, port: ObisCode) -> Written {
        self.change(state, cx, |channel| {
            channel.port = port;
            true
        })
    }

    fn capture_definition(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, mbus_client::CaptureDefinition>,
    ) -> Answered {
        self.look(state, cx, |channel| {
            answer.written(|out| super::values::write_array(out, &channel.definition, Element::capture))
        })
    }

    fn set_capture_definition(&self, state: &mut S, cx: &Context<'c, S>, list: Array<'_, Capture<'_>>) -> Written {
        let mut definition = heapless::Vec::new();
        for capture in list {
            let capture = capture.map_err(|_| DataAccessResult::TypeUnmatched)?;
            let element = Element::new(capture.data_information_block, capture.value_information_block);
            let element = element.ok_or(DataAccessResult::OtherReason)?;
            definition.push(element).map_err(|_| DataAccessResult::OtherReason)?;
        }
        self.change(state, cx, |channel| {
            channel.definition = definition;
            true
        })
    }

    fn capture_period(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, mbus_client::CapturePeriod>,
    ) -> Answered {
        answer.value(&self.look(state, cx, |channel| channel.period_s))
    }

    fn set_capture_period(&self, state: &mut S, cx: &Context<'c, S>, seconds: u32) -> Written {
        self.change(state, cx, |channel| {
            channel.period_s = seconds;
            true
        })
    }

    fn primary_address(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, mbus_client::PrimaryAddress>,
    ) -> Answered {
        answer.value(&self.look(state, cx, |channel| channel.address))
    }

    fn set_primary_address(&self, state: &mut S, cx: &Context<'c, S>, address: u8) -> Written {
        self.change(state, cx, |channel| {
            let possible = address == crate::mbus::UNCONFIGURED || crate::mbus::ADDRESSES.contains(&address);
            if possible {
                channel.address = address;
            }
            possible
        })
    }

    /// A number of more than eight digits cannot be told in this version: it is 0.
    fn identification_number_v0(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, mbus_client::IdentificationNumberV0>,
    ) -> Answered {
        let number = self.look(state, cx, |channel| channel.identity.number);
        answer.value(&BcdNumber::new(number).unwrap_or(BcdNumber(0)))
    }

    fn set_identification_number_v0(&self, state: &mut S, cx: &Context<'c, S>, digits: BcdNumber) -> Written {
        let number = digits.number().ok_or(DataAccessResult::OtherReason)?;
        self.set_identification_number(state, cx, number)
    }

    fn identification_number(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, mbus_client::IdentificationNumber>,
    ) -> Answered {
        answer.value(&self.look(state, cx, |channel| channel.identity.number))
    }

    fn set_identification_number(&self, state: &mut S, cx: &Context<'c, S>, number: u32) -> Written {
        self.change(state, cx, |channel| {
            let possible = number < 100_000_000;
            if possible {
                channel.identity.number = number;
            }
            possible
        })
    }

    fn manufacturer_id(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, mbus_client::ManufacturerId>,
    ) -> Answered {
        answer.value(&self.look(state, cx, |channel| channel.identity.manufacturer))
    }

    fn set_manufacturer_id(&self, state: &mut S, cx: &Context<'c, S>, manufacturer: u16) -> Written {
        self.change(state, cx, |channel| {
            channel.identity.manufacturer = manufacturer;
            true
        })
    }

    fn version(&self, state: &S, cx: &Context<'c, S>, answer: Answer<'_, '_, mbus_client::DeviceVersion>) -> Answered {
        answer.value(&self.look(state, cx, |channel| channel.identity.version))
    }

    fn set_version(&self, state: &mut S, cx: &Context<'c, S>, version: u8) -> Written {
        self.change(state, cx, |channel| {
            channel.identity.version = version;
            true
        })
    }

    fn device_type(&self, state: &S, cx: &Context<'c, S>, answer: Answer<'_, '_, mbus_client::DeviceType>) -> Answered {
        answer.value(&self.look(state, cx, |channel| channel.identity.device_type))
    }

    fn set_device_type(&self, state: &mut S, cx: &Context<'c, S>, kind: u8) -> Written {
        self.change(state, cx, |channel| {
            channel.identity.device_type = kind;
            true
        })
    }

    fn access_number(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, mbus_client::AccessNumber>,
    ) -> Answered {
        answer.value(&self.look(state, cx, |channel| channel.last.access_number))
    }

    fn status(&self, state: &S, cx: &Context<'c, S>, answer: Answer<'_, '_, mbus_client::Status>) -> Answered {
        answer.value(&self.look(state, cx, |channel| channel.last.status))
    }

    fn alarm(&self, state: &S, cx: &Context<'c, S>, answer: Answer<'_, '_, mbus_client::Alarm>) -> Answered {
        answer.value(&self.look(state, cx, |channel| channel.alarm))
    }

    fn configuration(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, mbus_client::Configuration>,
    ) -> Answered {
        answer.value(&self.look(state, cx, |channel| channel.last.configuration))
    }

    fn encryption_key_status(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, mbus_client::EncryptionKeyStatus>,
    ) -> Answered {
        answer.value(&self.look(state, cx, Channel::key_status))
    }

    fn slave_install(&self, state: &mut S, cx: &Context<'c, S>, address: u8) -> Done {
        self.act(state, cx, |channel, bus| channel.install(bus, address, cx.at))
    }

    fn slave_deinstall(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Done {
        self.act(state, cx, |channel, bus| channel.deinstall(bus))
    }

    fn capture(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Done {
        self.act(state, cx, |channel, bus| channel.capture(bus, cx.at))
    }

    fn reset_alarm(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Done {
        self.act(state, cx, |channel, bus| channel.reset_alarm(bus))
    }

    fn synchronize_clock(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Done {
        self.act(state, cx, |channel, bus| channel.synchronize_clock(bus, cx.at))
    }

    fn data_send(&self, state: &mut S, cx: &Context<'c, S>, records: Array<'_, DataRecord<'_>>) -> Done {
        self.act(state, cx, |channel, bus| channel.send(bus, &records))
    }

    fn set_encryption_key(&self, state: &mut S, cx: &Context<'c, S>, key: &[u8]) -> Done {
        Self::may_carry_keys(cx)?;
        self.act(state, cx, |channel, bus| channel.set_key(bus, key, cx.at))
    }

    fn transfer_key(&self, state: &mut S, cx: &Context<'c, S>, wrapped: &[u8]) -> Done {
        Self::may_carry_keys(cx)?;
        self.act(state, cx, |channel, bus| channel.transfer_key(bus, wrapped))
    }
}

/// A value of the device on channel B, element E of its capture definition: 0-b:24.2.e.
#[derive(Clone, Copy, Debug)]
pub struct MBusValue {
    /// Logical name.
    pub instance: ObisCode,
}

serve!(extended_register: [S: MBusState + ?Sized] MBusValue);

impl MBusValue {
    fn reading<S: MBusState + ?Sized>(&self, state: &S, cx: &Context<'_, S>) -> MBusReading {
        let [_, channel, _, _, number, _] = self.instance.0;
        state.reading(channel, number, cx.at)
    }
}

impl<'c, S: MBusState + ?Sized> extended_register::Server<S, Context<'c, S>> for MBusValue {
    fn value(&self, state: &S, cx: &Context<'c, S>, answer: Answer<'_, '_, extended_register::Value>) -> Answered {
        answer.value(&Data::DoubleLongUnsigned(self.reading(state, cx).value))
    }

    /// As the value information of the capture definition has it; without a unit where that is unknown.
    fn scaler_unit(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, extended_register::ScalerUnit>,
    ) -> Answered {
        let [_, channel, _, _, number, _] = self.instance.0;
        let known = state.look(channel, cx.at, |channel| {
            let index = usize::from(number).checked_sub(1)?;
            ValueInformation::decode(&channel.definition.get(index)?.value)
        });
        answer.value(&known.map_or(ScalerUnit::NONE, |known| known.scaler_unit))
    }

    fn status(&self, state: &S, cx: &Context<'c, S>, answer: Answer<'_, '_, extended_register::Status>) -> Answered {
        answer.value(&Data::Unsigned(self.reading(state, cx).status))
    }

    fn capture_time(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, extended_register::CaptureTime>,
    ) -> Answered {
        answer.value(&stamp(state, self.reading(state, cx).at))
    }
}

/// The valve or breaker of the device on a channel.
#[derive(Clone, Copy, Debug)]
pub struct ChannelValve(pub u8);

impl<S: MBusState + ?Sized> SwitchPlace<S> for ChannelValve {
    fn switch(&self, state: &S, cx: &Context<'_, S>) -> Switch {
        state.look(self.0, cx.at, |channel| channel.valve)
    }

    fn set_control_mode(&self, state: &mut S, cx: &Context<'_, S>, mode: u8) -> Result<(), DataAccessResult> {
        let set = state.act(self.0, cx.at, |channel, _| {
            let result = if channel.valve.set_mode(mode) { Ok(()) } else { Err(ActionResult::OtherReason) };
            Outcome { result, event: None, captured: false }
        });
        set.map_err(|_| DataAccessResult::OtherReason)
    }

    fn operate(&self, state: &mut S, cx: &Context<'_, S>, event: SwitchEvent) -> Result<(), ActionResult> {
        state.act(self.0, cx.at, |channel, bus| channel.operate(bus, event, cx.at))
    }
}
