//! Octets of a line as a capture file (libpcap's format, version 2.4).
//!
//! What goes over the wrapper gets headers of IP and TCP or UDP with made-up addresses and the port that is registered
//! for DLMS/COSEM, by which Wireshark finds the protocol. HDLC has no link type of its own: it is written as the first of
//! those that users may give a meaning (DLT_USER0), which Wireshark asks to be set once.

use std::io::{self, Write};

use dlms_proto::v1::{TraceDirection, TraceFraming};

/// Port of the wrapper (IANA, dlms-cosem).
const PORT: u16 = 4059;
/// Port that the head-end seems to have.
const OWN_PORT: u16 = 49_152;
/// Addresses of both, from those kept for documentation (RFC 5737): the head-end, the meter.
const ADDRESSES: [[u8; 4]; 2] = [[192, 0, 2, 1], [192, 0, 2, 2]];
/// Link type of packets that begin with an IP header.
const LINK_RAW: u32 = 101;
/// Link type DLT_USER0.
const LINK_USER: u32 = 147;
/// Octets of one packet, at most: IP counts its length in 16 bits.
const PACKET: usize = 32 * 1024;
/// Longest packet that readers have to make room for.
const SNAP: u32 = 65_535;

/// A capture file that is being written.
pub(super) struct Pcap<W> {
    out: W,
    framing: TraceFraming,
    /// Octets that each side of a TCP connection has sent.
    sent: [u32; 2],
}

impl<W: Write> Pcap<W> {
    /// Begins a file.
    pub(super) fn begin(mut out: W, framing: TraceFraming) -> io::Result<Self> {
        let link = match framing {
            TraceFraming::TcpWrapper | TraceFraming::UdpWrapper => LINK_RAW,
            TraceFraming::Hdlc | TraceFraming::Unspecified => LINK_USER,
        };
        // The first magic number says: microseconds, in the order of octets that it is in itself.
        out.write_all(&0xA1B2_C3D4_u32.to_be_bytes())?;
        out.write_all(&[0, 2, 0, 4])?;
        for word in [0, 0, SNAP, link] {
            out.write_all(&word.to_be_bytes())?;
        }
        out.flush()?;
        Ok(Self { out, framing, sent: [1; 2] })
    }

    /// Writes octets of one side. The file is whole after each call.
    pub(super) fn octets(
        &mut self,
        direction: TraceDirection,
        seconds: i64,
        nanos: i32,
        octets: &[u8],
    ) -> io::Result<()> {
        let side = usize::from(direction == TraceDirection::FromMeter);
        for part in octets.chunks(PACKET) {
            let head = match self.framing {
                TraceFraming::TcpWrapper => self.tcp(side, part),
                TraceFraming::UdpWrapper => udp(side, part),
                TraceFraming::Hdlc | TraceFraming::Unspecified => Vec::new(),
            };
            let length = u32::try_from(head.len() + part.len()).unwrap_or(SNAP);
            // The format counts seconds in 32 bits, which last until 2106.
            let time = [u32::try_from(seconds).unwrap_or(0), u32::try_from(nanos / 1_000).unwrap_or(0)];
            for word in [time[0], time[1], length, length] {
                self.out.write_all(&word.to_be_bytes())?;
            }
            self.out.write_all(&head)?;
            self.out.write_all(part)?;
        }
        self.out.flush()
    }

    /// Headers of IP and TCP in front of `part`, sent by `side`.
    fn tcp(&mut self, side: usize, part: &[u8]) -> Vec<u8> {
        let [own, other] = if side == 0 { self.sent } else { [self.sent[1], self.sent[0]] };
        let mut segment = ports(side);
        segment.extend(own.to_be_bytes());
        segment.extend(other.to_be_bytes());
        // Five words of header; PSH and ACK; a window.
        segment.extend([0x50, 0x18, 0xFF, 0xFF, 0, 0, 0, 0]);
        let sum = checksum(side, 6, &segment, part);
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        if let Some(sent) = self.sent.get_mut(side) {
            *sent = sent.wrapping_add(u32::try_from(part.len()).unwrap_or(0));
        }
        ip(side, 6, &segment, part)
    }
}

fn udp(side: usize, part: &[u8]) -> Vec<u8> {
    let mut head = ports(side);
    head.extend(u16::try_from(8 + part.len()).unwrap_or(u16::MAX).to_be_bytes());
    head.extend([0, 0]);
    let sum = checksum(side, 17, &head, part);
    head[6..8].copy_from_slice(&sum.to_be_bytes());
    ip(side, 17, &head, part)
}

fn ports(side: usize) -> Vec<u8> {
    let (source, destination) = if side == 0 { (OWN_PORT, PORT) } else { (PORT, OWN_PORT) };
    [source.to_be_bytes(), destination.to_be_bytes()].concat()
}

fn addresses(side: usize) -> [u8; 8] {
    let mut pair = [0; 8];
    let (source, destination) = pair.split_at_mut(4);
    source.copy_from_slice(&ADDRESSES[side]);
    destination.copy_from_slice(&ADDRESSES[1 - side]);
    pair
}

/// A header of IPv4 (RFC 791) and the one behind it.
fn ip(side: usize, protocol: u8, head: &[u8], part: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + head.len() + part.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut packet = vec![0x45, 0, length[0], length[1], 0, 0, 0x40, 0, 64, protocol, 0, 0];
    packet.extend(addresses(side));
    let sum = folded(sum(0, &packet)).to_be_bytes();
    packet[10..12].copy_from_slice(&sum);
    packet.extend(head);
    packet
}

/// The checksum of TCP and UDP, over a header that has none yet.
fn checksum(side: usize, protocol: u8, head: &[u8], part: &[u8]) -> u16 {
    let length = u32::try_from(head.len() + part.len()).unwrap_or(0);
    let start = sum(0, &addresses(side)) + u32::from(protocol) + length;
    folded(sum(sum(start, head), part))
}

fn sum(start: u32, octets: &[u8]) -> u32 {
    let words = octets.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)));
    words.fold(start, |sum, word| sum + word)
}

fn folded(mut sum: u32) -> u16 {
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(framing: TraceFraming, said: &[(TraceDirection, &[u8])]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut pcap = Pcap::begin(&mut file, framing).unwrap();
        for (direction, octets) in said {
            pcap.octets(*direction, 1_700_000_000, 5_000_000, octets).unwrap();
        }
        file
    }

    fn word(file: &[u8], at: usize) -> u32 {
        u32::from_be_bytes(file[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn a_tcp_stream_counts_on_and_its_checksums_hold() {
        let (out, back) = (b"\x00\x01\x00\x01\x00\x01\x00\x03abc", b"\x00\x01\x00\x01\x00\x01\x00\x02xy");
        let said: [(_, &[u8]); 3] =
            [(TraceDirection::ToMeter, out), (TraceDirection::FromMeter, back), (TraceDirection::ToMeter, out)];
        let file = written(TraceFraming::TcpWrapper, &said);
        assert_eq!((word(&file, 0), word(&file, 20)), (0xA1B2_C3D4, 101));
        let mut at = 24;
        let mut packets = Vec::new();
        while at < file.len() {
            assert_eq!((word(&file, at), word(&file, at + 4)), (1_700_000_000, 5_000));
            let length = word(&file, at + 8) as usize;
            packets.push(file[at + 16..at + 16 + length].to_vec());
            at += 16 + length;
        }
        assert_eq!(packets.len(), 3);
        for (packet, (direction, octets)) in packets.iter().zip(said) {
            let side = usize::from(direction == TraceDirection::FromMeter);
            assert_eq!(folded(sum(0, &packet[..20])), 0, "header of IP");
            let pseudo = sum(0, &addresses(side)) + 6 + (packet.len() - 20) as u32;
            assert_eq!(folded(sum(pseudo, &packet[20..])), 0, "segment of TCP");
            assert_eq!(&packet[40..], octets);
            assert_eq!(usize::from(u16::from_be_bytes([packet[2], packet[3]])), packet.len());
            let meter_port = if side == 0 { &packet[22..24] } else { &packet[20..22] };
            assert_eq!(meter_port, PORT.to_be_bytes());
        }
        let numbers = |packet: &[u8]| (word(packet, 24), word(packet, 28));
        assert_eq!(numbers(&packets[0]), (1, 1));
        assert_eq!(numbers(&packets[1]), (1, 12));
        assert_eq!(numbers(&packets[2]), (12, 11));
    }

    #[test]
    fn datagrams_and_frames_are_whole() {
        let said: [(_, &[u8]); 1] = [(TraceDirection::FromMeter, b"odd")];
        let file = written(TraceFraming::UdpWrapper, &said);
        let packet = &file[40..];
        let pseudo = sum(0, &addresses(1)) + 17 + (packet.len() - 20) as u32;
        assert_eq!(folded(sum(pseudo, &packet[20..])), 0);
        assert_eq!(u16::from_be_bytes([packet[24], packet[25]]), 11);
        let file = written(TraceFraming::Hdlc, &said);
        assert_eq!((word(&file, 20), &file[40..]), (147, &b"odd"[..]));
    }
}
