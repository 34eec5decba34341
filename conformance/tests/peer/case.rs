//! The matrix: implementation × link × mechanism × envelope × PDU size × window, as far as an implementation goes.

use super::{Access, Framing};

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mechanism {
    None,
    Lls,
    Hls2,
    Md5,
    Sha1,
    Gmac,
    Sha256,
}

impl Mechanism {
    /// Those that the built-in model has for none of its clients.
    pub(crate) const OTHERS: [Self; 4] = [Self::Hls2, Self::Md5, Self::Sha1, Self::Sha256];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lls => "LLS",
            Self::Hls2 => "HLS 2",
            Self::Md5 => "HLS 3 (MD5)",
            Self::Sha1 => "HLS 4 (SHA-1)",
            Self::Gmac => "HLS 5 (GMAC)",
            Self::Sha256 => "HLS 6 (SHA-256)",
        }
    }

    /// As a plan for a peer in Python says it.
    pub(crate) const fn in_plan(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lls => "lls",
            Self::Hls2 => "hls2",
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Gmac => "gmac",
            Self::Sha256 => "sha256",
        }
    }

    /// As model files name it.
    pub(crate) const fn in_model(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lls => "lls",
            Self::Hls2 => "hls2",
            Self::Md5 => "hls-md5",
            Self::Sha1 => "hls-sha1",
            Self::Gmac => "hls-gmac",
            Self::Sha256 => "hls-sha256",
        }
    }
}

/// How requests are wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Envelope {
    Plain,
    Service { dedicated: bool },
    General { dedicated: bool },
}

impl Envelope {
    pub(crate) const CIPHERED: [Self; 4] = [
        Self::General { dedicated: false },
        Self::Service { dedicated: false },
        Self::Service { dedicated: true },
        Self::General { dedicated: true },
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Service { dedicated: false } => "glo",
            Self::Service { dedicated: true } => "ded",
            Self::General { dedicated: false } => "general-glo",
            Self::General { dedicated: true } => "general-ded",
        }
    }

    pub(crate) const fn is_general(self) -> bool {
        matches!(self, Self::General { .. })
    }

    pub(crate) const fn is_dedicated(self) -> bool {
        matches!(self, Self::Service { dedicated: true } | Self::General { dedicated: true })
    }
}

/// One run of one implementation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) stack: &'static str,
    pub(crate) framing: Framing,
    pub(crate) mechanism: Mechanism,
    pub(crate) envelope: Envelope,
    pub(crate) max_pdu: u16,
    /// Of HDLC, as the next one.
    pub(crate) information: u16,
    pub(crate) window: u8,
}

impl Case {
    /// The client of the model that it is.
    pub(crate) const fn access(&self) -> Access {
        match (self.mechanism, self.envelope) {
            (Mechanism::None, _) => Access::Public,
            (_, Envelope::Plain) => Access::Password,
            (_, envelope) => Access::Ciphered { general: envelope.is_general() },
        }
    }

    /// Everything but the PDU size, as the table shows it.
    pub(crate) fn row(&self, role: &str) -> [String; 6] {
        let version = match self.stack {
            "gurux-dlms" => "gurux-dlms 1.0.203",
            "dlms-cosem" => "dlms-cosem 25.1.0",
            _ => "dlms-cosem-rs 0.1.0",
        };
        let fields = match self.framing {
            Framing::Hdlc => format!("{} × {}", self.window, self.information),
            Framing::Wrapper | Framing::Udp => "–".to_owned(),
        };
        [version, role, self.framing.name(), self.mechanism.name(), self.envelope.name(), &fields].map(str::to_owned)
    }
}

/// What an implementation has of each dimension.
struct Reach {
    stack: &'static str,
    mechanisms: &'static [(Mechanism, &'static [Envelope])],
    /// PDU size, and with HDLC information field and window.
    sizes: &'static [(u16, u16, u8)],
    /// The same where it makes no difference to what is tried.
    fewer: &'static [(u16, u16, u8)],
}

const PLAIN: &[Envelope] = &[Envelope::Plain];
const PLAIN_AND_GENERAL: &[Envelope] = &[Envelope::Plain, Envelope::General { dedicated: false }];

const REACHES: [Reach; 2] = [
    Reach {
        stack: "gurux-dlms",
        mechanisms: &[
            (Mechanism::None, PLAIN),
            (Mechanism::Lls, PLAIN),
            (Mechanism::Hls2, PLAIN_AND_GENERAL),
            (Mechanism::Md5, PLAIN_AND_GENERAL),
            (Mechanism::Sha1, PLAIN_AND_GENERAL),
            (Mechanism::Gmac, &Envelope::CIPHERED),
            (Mechanism::Sha256, PLAIN_AND_GENERAL),
        ],
        // A PDU that fits most answers, and ones that force block transfer on top of segmentation.
        sizes: &[(1024, 128, 1), (256, 128, 1), (128, 128, 1), (0xFFFF, 248, 1)],
        fewer: &[(256, 128, 1)],
    },
    Reach {
        stack: "dlms-cosem",
        mechanisms: &[
            (Mechanism::None, PLAIN),
            (Mechanism::Lls, PLAIN),
            (Mechanism::Hls2, PLAIN),
            (Mechanism::Gmac, &[Envelope::General { dedicated: false }]),
        ],
        sizes: &[(1024, 128, 1), (256, 128, 1)],
        fewer: &[(256, 128, 1)],
    },
];

/// The runs of the implementations in Python.
pub(crate) fn matrix() -> Vec<Case> {
    let mut cases = Vec::new();
    for reach in &REACHES {
        for framing in Framing::ALL {
            for (mechanism, envelopes) in reach.mechanisms {
                for envelope in *envelopes {
                    let usual = *envelope == Envelope::Plain || *envelope == (Envelope::General { dedicated: false });
                    let every = usual && !Mechanism::OTHERS.contains(mechanism);
                    // An information field of its own is nothing to the wrapper.
                    let sizes = if every { reach.sizes } else { reach.fewer }.iter();
                    let sizes = sizes.filter(|(_, information, _)| framing == Framing::Hdlc || *information == 128);
                    cases.extend(sizes.map(|&(max_pdu, information, window)| Case {
                        stack: reach.stack,
                        framing,
                        mechanism: *mechanism,
                        envelope: *envelope,
                        max_pdu,
                        information,
                        window,
                    }));
                }
            }
        }
    }
    cases
}

/// Those of dlms-cosem-rs, which runs in this process: as a client, and as a server of our client.
pub(crate) fn rust_matrix(client: bool) -> Vec<Case> {
    let (service, general) = (Envelope::Service { dedicated: false }, Envelope::General { dedicated: false });
    let mut cases = Vec::new();
    for framing in Framing::ALL {
        for (mechanism, envelope) in [
            (Mechanism::None, Envelope::Plain),
            (Mechanism::Lls, Envelope::Plain),
            (Mechanism::Gmac, service),
            (Mechanism::Gmac, general),
        ] {
            if client && envelope == general {
                // It has no such client.
                continue;
            }
            let sizes: &[u16] = match (client, framing) {
                (true, _) => &[1024, 256, 128],
                // An APDU that no datagram holds.
                (false, Framing::Udp) => &[8192, 512, 128],
                (false, _) => &[0xFFFF, 512, 128],
            };
            let windows: &[u8] = if framing == Framing::Hdlc { &[1, 3, 7] } else { &[1] };
            for &window in windows {
                cases.extend(sizes.iter().map(|&max_pdu| Case {
                    stack: "dlms-cosem-rs",
                    framing,
                    mechanism,
                    envelope,
                    max_pdu,
                    information: 128,
                    window,
                }));
            }
        }
    }
    cases
}
