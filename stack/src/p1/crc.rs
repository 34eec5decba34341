//! The check sum of telegrams since DSMR 4.

/// CRC-16/ARC: polynomial 0x8005 reflected, initial value 0, no final exclusive or. In telegrams over everything from
/// the slash to the exclamation mark, both included.
#[must_use]
pub fn crc16(octets: &[u8]) -> u16 {
    octets.iter().fold(0, |crc, octet| {
        let [low, high] = crc.to_le_bytes();
        u16::from(high) ^ TABLE.get(usize::from(low ^ octet)).copied().unwrap_or_default()
    })
}

const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut rest: &mut [u16] = &mut table;
    let mut index: u16 = 0;
    while let [first, after @ ..] = rest {
        let mut crc = index;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 };
            bit += 1;
        }
        *first = crc;
        rest = after;
        index = index.wrapping_add(1);
    }
    table
};
