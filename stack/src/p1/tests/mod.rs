mod captures;
mod ciphered;
mod framing;
mod parsing;
mod properties;

use std::format;
use std::vec::Vec;

use super::*;

/// The published example of DSMR 5.0.2 (P1 companion standard, chapter 6.13), shortened by lines of the same kinds. Its
/// check sum is computed: that of the publication belongs to the whole.
pub(super) const DSMR_5: &str = "/ISk5\\2MT382-1000\r\n\r\n\
    1-3:0.2.8(50)\r\n\
    0-0:1.0.0(101209113020W)\r\n\
    0-0:96.1.1(4B384547303034303436333935353037)\r\n\
    1-0:1.8.1(123456.789*kWh)\r\n\
    0-0:96.14.0(0002)\r\n\
    1-0:1.7.0(01.193*kW)\r\n\
    1-0:99.97.0(2)(0-0:96.7.19)(101208152415W)(0000000240*s)(101208151004W)(0000000301*s)\r\n\
    0-0:96.13.0(303132333435)\r\n\
    1-0:32.7.0(220.1*V)\r\n\
    1-0:31.7.0(001*A)\r\n\
    0-1:24.1.0(003)\r\n\
    0-1:96.1.0(3232323241424344313233343536373839)\r\n\
    0-1:24.2.1(101209112500W)(12785.123*m3)\r\n!";

/// The form of DSMR 2.2 and 3.0, without check sum and with the gas reading on two lines.
pub(super) const DSMR_3: &str = "/ISk5\\2MT382-1000\r\n\r\n\
    0-0:96.1.1(4B384547303034303436333935353037)\r\n\
    0-0:17.0.0(016*A)\r\n\
    0-0:96.13.1()\r\n\
    0-1:24.1.0(3)\r\n\
    0-1:24.3.0(090212160000)(00)(60)(1)(0-1:24.2.1)(m3)\r\n\
    (00001.001)\r\n\
    0-1:24.4.0(1)\r\n\
    !\r\n";

/// `text` with its check sum and the end of the line.
pub(super) fn with_crc(text: &str) -> Vec<u8> {
    format!("{text}{:04X}\r\n", crc16(text.as_bytes())).into_bytes()
}

pub(super) fn code(text: &str) -> crate::obis::ObisCode {
    text.parse().unwrap()
}
