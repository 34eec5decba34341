//! The parameters that SNRM and UA negotiate (IEC 62056-46).
//!
//! The information field is `81 80 LL` and then `id length value` for each parameter; a parameter that is
//! missing has its default. Transmit and receive are meant from the sender's view.

use crate::axdr::{BufferFull, DecodeError, DecodeErrorKind, Reader, Writer};

const FORMAT: u8 = 0x81;
const GROUP: u8 = 0x80;
const INFORMATION_TRANSMIT: u8 = 0x05;
const INFORMATION_RECEIVE: u8 = 0x06;
const WINDOW_TRANSMIT: u8 = 0x07;
const WINDOW_RECEIVE: u8 = 0x08;

/// What one station can send and take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Largest information field sent, in octets, with the LLC header.
    pub information_transmit: u16,
    /// Largest information field taken.
    pub information_receive: u16,
    /// I frames sent before an acknowledgement is awaited.
    pub window_transmit: u8,
    /// I frames taken before an acknowledgement is given.
    pub window_receive: u8,
}

impl Parameters {
    /// What holds when nothing was negotiated: 128 octets, window 1.
    pub const DEFAULT: Self =
        Self { information_transmit: 128, information_receive: 128, window_transmit: 1, window_receive: 1 };

    /// The largest information field of the profile, in octets.
    pub const INFORMATION_MAX: u16 = 2030;

    /// The largest window: one less than the modulus.
    pub const WINDOW_MAX: u8 = 7;

    /// Octets of the largest information field that [`emit`](Self::emit) writes.
    pub const ENCODED_MAX: usize = 23;

    /// The same limits in both directions, forced into their legal ranges: 32 to 2030 octets, window 1 to 7. That 32 is
    /// the least is what one implementation does; the lower bound is not verified further.
    #[must_use]
    pub fn symmetric(information: u16, window: u8) -> Self {
        let information = information.clamp(32, Self::INFORMATION_MAX);
        let window = window.clamp(1, Self::WINDOW_MAX);
        Self {
            information_transmit: information,
            information_receive: information,
            window_transmit: window,
            window_receive: window,
        }
    }

    /// Reads the information field of an SNRM or UA. Unknown parameters and groups are skipped; values over the profile's
    /// largest count as the largest.
    ///
    /// # Errors
    /// Truncated or not in the form of parameters; a value of zero or over four octets.
    pub fn parse(information: &[u8]) -> Result<Self, DecodeError> {
        let mut parameters = Self::DEFAULT;
        if information.is_empty() {
            return Ok(parameters);
        }
        let mut reader = Reader::new(information);
        let format = reader.u8()?;
        if format != FORMAT {
            return Err(Reader::new(information)
                .error(DecodeErrorKind::UnexpectedTag { what: "parameter format", found: format }));
        }
        while !reader.is_empty() {
            let group = reader.u8()?;
            let length = usize::from(reader.u8()?);
            let start = reader.offset();
            let content = reader.bytes(length)?;
            if group == GROUP {
                parameters.parse_group(Reader::with_offset(content, start))?;
            }
        }
        Ok(parameters)
    }

    fn parse_group(&mut self, mut reader: Reader<'_>) -> Result<(), DecodeError> {
        while !reader.is_empty() {
            let start = reader;
            let id = reader.u8()?;
            let length = usize::from(reader.u8()?);
            let octets = reader.bytes(length)?;
            if !(INFORMATION_TRANSMIT..=WINDOW_RECEIVE).contains(&id) {
                continue;
            }
            if !(1..=4).contains(&length) {
                return Err(start.error(DecodeErrorKind::InvalidLength { what: "link parameter" }));
            }
            let value = octets.iter().fold(0_u32, |sum, octet| (sum << 8) | u32::from(*octet));
            if value == 0 {
                return Err(start.error(DecodeErrorKind::InvalidValue { what: "link parameter", found: value }));
            }
            let information = value.min(u32::from(Self::INFORMATION_MAX)) as u16;
            let window = value.min(u32::from(Self::WINDOW_MAX)) as u8;
            match id {
                INFORMATION_TRANSMIT => self.information_transmit = information,
                INFORMATION_RECEIVE => self.information_receive = information,
                WINDOW_TRANSMIT => self.window_transmit = window,
                _ => self.window_receive = window,
            }
        }
        Ok(())
    }

    /// Writes the information field: lengths in one octet where they fit, windows in four, as is customary.
    ///
    /// # Errors
    /// [`BufferFull`].
    pub fn emit(&self, out: &mut Writer<'_>) -> Result<(), BufferFull> {
        let mut content = [0; Self::ENCODED_MAX - 3];
        let mut group = Writer::new(&mut content);
        for (id, value) in
            [(INFORMATION_TRANSMIT, self.information_transmit), (INFORMATION_RECEIVE, self.information_receive)]
        {
            match u8::try_from(value) {
                Ok(value) => group.bytes(&[id, 1, value])?,
                Err(_) => {
                    group.bytes(&[id, 2])?;
                    group.u16(value)?;
                }
            }
        }
        group.bytes(&[WINDOW_TRANSMIT, 4, 0, 0, 0, self.window_transmit])?;
        group.bytes(&[WINDOW_RECEIVE, 4, 0, 0, 0, self.window_receive])?;
        out.bytes(&[FORMAT, GROUP])?;
        out.octet_string(group.written())
    }

    /// What holds between a station with these limits and a peer that sent `peer`: in each direction the smaller of what
    /// one sends and the other takes. A peer that answers with more than was proposed gets what was proposed.
    #[must_use]
    pub fn agreed(&self, peer: &Self) -> Self {
        Self {
            information_transmit: self.information_transmit.min(peer.information_receive),
            information_receive: self.information_receive.min(peer.information_transmit),
            window_transmit: self.window_transmit.min(peer.window_receive),
            window_receive: self.window_receive.min(peer.window_transmit),
        }
    }
}

impl Default for Parameters {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    fn emitted(parameters: &Parameters) -> std::vec::Vec<u8> {
        let mut out = [0; Parameters::ENCODED_MAX];
        let mut writer = Writer::new(&mut out);
        parameters.emit(&mut writer).unwrap();
        writer.written().to_vec()
    }

    /// Published SNRM and UA.
    #[test]
    fn published_parameters() {
        let plain = hex!("818012 050180 060180 070400000001 080400000001");
        assert_eq!(emitted(&Parameters::DEFAULT), plain);
        assert_eq!(Parameters::parse(&plain), Ok(Parameters::DEFAULT));

        let window_7 = hex!("818012 050180 060180 070400000001 080400000007");
        assert_eq!(Parameters::parse(&window_7), Ok(Parameters { window_receive: 7, ..Parameters::DEFAULT }));

        let mixed = hex!("818013 050130 06020200 070400000001 080400000001");
        let expected = Parameters { information_transmit: 48, information_receive: 512, ..Parameters::DEFAULT };
        assert_eq!(Parameters::parse(&mixed), Ok(expected));
        assert_eq!(emitted(&expected), mixed);

        let two_octets = hex!("818014 05020080 06020080 070400000001 080400000001");
        assert_eq!(Parameters::parse(&two_octets), Ok(Parameters::DEFAULT));
    }

    #[test]
    fn missing_and_unknown_parameters_and_other_groups() {
        assert_eq!(Parameters::parse(&[]), Ok(Parameters::DEFAULT));
        assert_eq!(Parameters::parse(&hex!("8180 00")), Ok(Parameters::DEFAULT));
        let parsed = Parameters::parse(&hex!("81 F002AABB 800B 0903010203 060203E8 070103"));
        assert_eq!(
            parsed.unwrap_err().kind,
            DecodeErrorKind::Truncated { needed: 1, available: 0 },
            "a length that cuts the last parameter"
        );
        let parsed = Parameters::parse(&hex!("81 F002AABB 800C 0903010203 060203E8 070103"));
        let expected = Parameters { information_receive: 1000, window_transmit: 3, ..Parameters::DEFAULT };
        assert_eq!(parsed, Ok(expected));
    }

    #[test]
    fn impossible_values() {
        let parsed = Parameters::parse(&hex!("81800A 0504FFFFFFFF 070400 00 01 00"));
        assert!(parsed.is_err());
        let parsed = Parameters::parse(&hex!("81800C 0504FFFFFFFF 070400000100")).unwrap();
        assert_eq!((parsed.information_transmit, parsed.window_transmit), (2030, 7));
        for refused in [&hex!("82")[..], &hex!("8180"), &hex!("818003 050100"), &hex!("818007 05050000000080")] {
            assert!(Parameters::parse(refused).is_err(), "{refused:02X?}");
        }
    }

    #[test]
    fn the_smaller_limit_holds_in_each_direction() {
        let ours =
            Parameters { information_transmit: 512, information_receive: 256, window_transmit: 3, window_receive: 2 };
        let theirs =
            Parameters { information_transmit: 300, information_receive: 400, window_transmit: 1, window_receive: 7 };
        let agreed =
            Parameters { information_transmit: 400, information_receive: 256, window_transmit: 3, window_receive: 1 };
        assert_eq!(ours.agreed(&theirs), agreed);
        let seen_by_peer = theirs.agreed(&ours);
        assert_eq!(seen_by_peer.information_transmit, agreed.information_receive);
        assert_eq!(seen_by_peer.window_receive, agreed.window_transmit);
    }
}
