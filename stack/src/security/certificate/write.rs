//! DER, written from its end to its beginning: a length is known when its content stands.

use super::CertificateError;

/// Writes towards the front of a buffer.
pub(super) struct Backward<'b> {
    buffer: &'b mut [u8],
    start: usize,
}

impl<'b> Backward<'b> {
    pub(super) const fn new(buffer: &'b mut [u8]) -> Self {
        let start = buffer.len();
        Self { buffer, start }
    }

    /// Where the next octet goes in front of; handed to [`wrap`](Self::wrap) to enclose what is written from here on.
    pub(super) const fn mark(&self) -> usize {
        self.start
    }

    pub(super) fn octets(&mut self, octets: &[u8]) -> Result<(), CertificateError> {
        let start = self.start.checked_sub(octets.len()).ok_or(CertificateError::Full)?;
        self.buffer.get_mut(start..self.start).ok_or(CertificateError::Full)?.copy_from_slice(octets);
        self.start = start;
        Ok(())
    }

    /// Puts tag and length in front of everything up to `end`.
    pub(super) fn wrap(&mut self, tag: u8, end: usize) -> Result<(), CertificateError> {
        let length = end.saturating_sub(self.start);
        let [.., high, low] = length.to_be_bytes();
        match (high, low) {
            (0, 0..=0x7F) => self.octets(&[tag, low]),
            (0, _) => self.octets(&[tag, 0x81, low]),
            _ => self.octets(&[tag, 0x82, high, low]),
        }
    }

    /// One element with this content.
    pub(super) fn element(&mut self, tag: u8, content: &[u8]) -> Result<(), CertificateError> {
        let end = self.mark();
        self.octets(content)?;
        self.wrap(tag, end)
    }

    /// An INTEGER of the octets of a number of fixed width.
    pub(super) fn unsigned(&mut self, number: &[u8]) -> Result<(), CertificateError> {
        let first = number.iter().position(|octet| *octet != 0).unwrap_or(number.len().saturating_sub(1));
        let digits = number.get(first..).unwrap_or_default();
        let end = self.mark();
        self.octets(digits)?;
        if digits.first().is_none_or(|octet| octet & 0x80 != 0) {
            self.octets(&[0])?;
        }
        self.wrap(0x02, end)
    }

    pub(super) fn written(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }
}
