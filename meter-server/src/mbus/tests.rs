use super::*;
use crate::objects::SwitchEvent;

const NOW: Moment = Moment::from_seconds(1_780_000_000);
const GAS: Identity = Identity { number: 12_345_678, manufacturer: 0x4D2D, version: 6, device_type: 3 };

/// One device, or nobody.
#[derive(Default)]
struct OneDevice {
    address: Option<u8>,
    key: Option<Vec<u8, 16>>,
}

impl Bus for OneDevice {
    fn request(&mut self, address: u8, key: Option<&[u8]>, _: Moment) -> Result<Answer, NoAnswer> {
        if self.address != Some(address) {
            return Err(NoAnswer::Silence);
        }
        if self.key.as_deref() != key {
            return Err(NoAnswer::Key);
        }
        Ok(Answer { identity: GAS, access_number: 1, status: 0, configuration: 0 })
    }

    fn set_address(&mut self, from: u8, to: u8) -> bool {
        let there = self.address == Some(from);
        if there {
            self.address = Some(to);
        }
        there
    }

    fn reset_alarm(&mut self, address: u8) -> bool {
        self.address == Some(address)
    }

    fn set_clock(&mut self, address: u8, _: Moment) -> bool {
        self.address == Some(address)
    }

    fn send(&mut self, address: u8, _: &DataRecord<'_>) -> bool {
        self.address == Some(address)
    }

    fn transfer_key(&mut self, address: u8, wrapped: &[u8]) -> bool {
        self.key = Vec::from_slice(wrapped).ok();
        self.address == Some(address)
    }

    fn set_valve(&mut self, address: u8, _: bool, _: Moment) -> bool {
        self.address == Some(address)
    }
}

fn channel() -> Channel {
    Channel::new(ObisCode::new(0, 1, 24, 6, 0, 255), Vec::new(), 3_600, Switch::new(2).unwrap())
}

/// Published examples of EN 13757-3 and of OMS telegrams: 0C 13 is litres, 0C 14 hundredths of a cubic metre, 04 06
/// kilowatt-hours, 0C 0E megajoules, 02 2B watts.
#[test]
fn value_information_gives_unit_and_scaler() {
    let of =
        |code: u8| ValueInformation::decode(&[code]).map(|known| (known.scaler_unit.scaler, known.scaler_unit.unit.0));
    assert_eq!([of(0x13), of(0x14), of(0x06)], [Some((-3, 13)), Some((-2, 13)), Some((3, 30))]);
    assert_eq!([of(0x0E), of(0x2B), of(0x93)], [Some((6, 25)), Some((0, 27)), Some((-3, 13))]);
    assert_eq!([of(0x5A), of(0x6D), ValueInformation::decode(&[]).map(|_| (0, 0))], [None, None, None]);
}

#[test]
fn a_device_is_installed_once_and_only_the_one_that_is_expected() {
    let mut bus = OneDevice { address: Some(UNCONFIGURED), key: None };
    let mut channel = channel();
    channel.identity.number = 1;
    assert!(channel.install(&mut bus, 0, NOW).result.is_err(), "another one is expected");
    channel.identity.number = 0;
    assert!(channel.install(&mut bus, 251, NOW).result.is_err());
    let outcome = channel.install(&mut bus, 0, NOW);
    assert_eq!((outcome.result, outcome.event, outcome.captured), (Ok(()), Some(MBusEvent::NewDevice), true));
    assert_eq!((channel.address, channel.identity, bus.address), (1, GAS, Some(1)));
    assert!(channel.install(&mut bus, 2, NOW).result.is_err(), "it has one");
    assert!(channel.deinstall(&mut bus).result.is_ok());
    assert_eq!((channel.address, channel.identity, bus.address), (0, Identity::default(), Some(0)));
    assert!(channel.deinstall(&mut bus).result.is_err());
    for refused in
        [channel.capture(&mut bus, NOW), channel.reset_alarm(&mut bus), channel.set_key(&mut bus, &[1; 16], NOW)]
    {
        assert_eq!(refused.result, Err(ActionResult::OtherReason), "nobody is installed");
    }
    let mut nobody = OneDevice::default();
    assert_eq!(channel.install(&mut nobody, 0, NOW).result, Err(ActionResult::TemporaryFailure));
}

#[test]
fn failures_and_their_end_are_told_once() {
    let mut bus = OneDevice { address: Some(UNCONFIGURED), key: None };
    let mut channel = channel();
    assert!(channel.install(&mut bus, 9, NOW).result.is_ok());
    bus.address = None;
    let events = |channel: &mut Channel, bus: &mut OneDevice| channel.capture(bus, NOW).event;
    assert_eq!(events(&mut channel, &mut bus), Some(MBusEvent::CommunicationError));
    assert_eq!(events(&mut channel, &mut bus), None);
    assert_eq!(
        channel.operate(&mut bus, SwitchEvent::RemoteDisconnect, NOW).result,
        Err(ActionResult::TemporaryFailure)
    );
    assert!(channel.valve.is_connected(), "the device has not acknowledged it");
    bus.address = Some(9);
    assert_eq!(events(&mut channel, &mut bus), Some(MBusEvent::CommunicationOk));
    assert_eq!(events(&mut channel, &mut bus), None);
    let closed = channel.operate(&mut bus, SwitchEvent::RemoteDisconnect, NOW);
    assert_eq!(closed.event, Some(MBusEvent::RemoteDisconnection));
    assert!(!channel.valve.is_connected());
}

#[test]
fn a_key_is_in_use_when_an_answer_was_opened_with_it_and_plain_answers_are_refused_then() {
    let mut bus = OneDevice { address: Some(UNCONFIGURED), key: None };
    let mut channel = channel();
    assert!(channel.install(&mut bus, 0, NOW).result.is_ok());
    assert_eq!(channel.key_status(), KeyStatus::None);
    assert!(channel.set_key(&mut bus, &[7; 15], NOW).result.is_err());
    assert!(channel.set_key(&mut bus, &[7; 16], NOW).result.is_ok());
    assert_eq!((channel.key_status(), channel.failing), (KeyStatus::Set, true), "the device does not know it yet");
    assert!(channel.transfer_key(&mut bus, &[7; 16]).result.is_ok());
    assert_eq!(channel.key_status(), KeyStatus::SetAndTransferred);
    assert!(channel.capture(&mut bus, NOW).captured);
    assert_eq!((channel.key_status(), channel.failing), (KeyStatus::InUse, false));
    assert!(!format!("{channel:?}").contains("7, 7"), "{channel:?}");
    assert!(channel.set_key(&mut bus, &[], NOW).result.is_ok());
    assert_eq!(channel.key_status(), KeyStatus::Transferred);
    assert!(channel.deinstall(&mut bus).result.is_ok());
    assert_eq!(channel.key_status(), KeyStatus::None);
}
