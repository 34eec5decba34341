//! Lines of a file that comes in chunks, however it was cut.

use zeroize::Zeroizing;

/// Longest line, in octets: a meter's record with all its keys has about 2,000.
pub const LINE_MAX: usize = 64 * 1024;

/// Cuts chunks into lines. What it holds back is wiped: there are keys in it.
#[derive(Debug, Default)]
pub struct Lines {
    /// The beginning of a line whose end has not come.
    held: Zeroizing<Vec<u8>>,
    /// Whether the present line has become too long; the rest of it is passed over.
    skipping: bool,
    number: u64,
}

/// A line of the file.
#[derive(Debug)]
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// Its octets, without the end of line; `None` where it has more than [`LINE_MAX`].
    pub text: Option<Zeroizing<Vec<u8>>>,
}

impl Lines {
    /// The lines that end in `chunk`, in order.
    pub fn feed(&mut self, chunk: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut parts = chunk.split(|octet| *octet == b'\n').peekable();
        while let Some(part) = parts.next() {
            self.hold(part);
            if parts.peek().is_some() {
                lines.push(self.take());
            }
        }
        lines
    }

    /// The last line, which no end of line follows.
    pub fn finish(&mut self) -> Option<Line> {
        (self.skipping || !self.held.is_empty()).then(|| self.take())
    }

    fn hold(&mut self, part: &[u8]) {
        if self.skipping {
            return;
        }
        if self.held.len() + part.len() > LINE_MAX {
            self.skipping = true;
            self.held = Zeroizing::default();
            return;
        }
        let needed = self.held.len() + part.len();
        if needed > self.held.capacity() {
            // A vector that grows by itself leaves what it held where it was.
            let mut grown = Zeroizing::new(Vec::with_capacity(needed.next_power_of_two().min(LINE_MAX)));
            grown.extend_from_slice(&self.held);
            self.held = grown;
        }
        self.held.extend_from_slice(part);
    }

    fn take(&mut self) -> Line {
        self.number += 1;
        let text = std::mem::take(&mut self.held);
        let text = (!std::mem::take(&mut self.skipping)).then_some(text);
        Line { number: self.number, text }
    }
}
