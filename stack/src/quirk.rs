//! Quirks of meter models as data: which deviations a connection tolerates, and which habits it takes up.

use crate::deviation::{Deviation, Deviations};
use crate::id::SystemTitle;
use crate::obis::ObisCode;

/// What a connection puts up with.
///
/// Every [`Deviation`] that is met is counted; one that is not tolerated ends what it was met in with an error that names
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// The deviations that are tolerated.
    pub tolerated: Deviations,
    /// Whether an association is released with RLRQ before the link is taken down. There are meters that do not know it, or
    /// fall over it.
    pub release: bool,
    /// The association object that passes 3 and 4 of HLS go to, where it is not the current one (0.0.40.0.0.255): meters
    /// that have each association under a number of its own alone.
    pub hls_object: Option<ObisCode>,
}

impl Quirks {
    /// Everything that is understood without guessing, which is what a head-end wants.
    pub const LENIENT: Self =
        Self { tolerated: Deviations::ALL.without(Self::GUESSING), release: true, hls_object: None };

    /// Nothing: the standard to the letter, which is what a test tool wants.
    pub const STRICT: Self = Self { tolerated: Deviations::NONE, release: true, hls_object: None };

    /// Deviations whose toleration makes something of octets that are likelier to be damaged, or another protocol's: only a
    /// model that is known for one gets it.
    const GUESSING: Deviations = {
        let mut set = Deviations::NONE;
        set.insert(Deviation::LittleEndianWrapper);
        set.insert(Deviation::WrapperPreamble);
        set.insert(Deviation::DatagramTail);
        set.insert(Deviation::InformationPush);
        set.insert(Deviation::MbusLengthOverrun);
        set
    };

    /// The same, and `deviation` is tolerated.
    #[must_use]
    pub const fn with(mut self, deviation: Deviation) -> Self {
        self.tolerated.insert(deviation);
        self
    }

    /// The same, but `deviation` is not tolerated.
    #[must_use]
    pub const fn without(mut self, deviation: Deviation) -> Self {
        self.tolerated.remove(deviation);
        self
    }

    /// The first of `met` that is not tolerated.
    ///
    /// # Errors
    /// That deviation.
    pub fn check(&self, met: Deviations) -> Result<(), Deviation> {
        met.without(self.tolerated).first().map_or(Ok(()), Err)
    }
}

impl Default for Quirks {
    fn default() -> Self {
        Self::LENIENT
    }
}

/// What is known of a meter before it is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity<'a> {
    /// Its system title, whose first three octets are the maker's letters.
    pub system_title: Option<SystemTitle>,
    /// Its logical device name (0.0.42.0.0.255), which begins with the maker's letters too.
    pub logical_device_name: Option<&'a [u8]>,
}

/// The quirks of one kind of meter, and how to know one. What is not given matches any meter; all that is given must match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model<'a> {
    /// A name for people.
    pub name: &'a str,
    /// The maker's three letters (the list of the FLAG association).
    pub manufacturer: Option<[u8; 3]>,
    /// How the system title begins.
    pub system_title_prefix: &'a [u8],
    /// The logical device name, `*` for any characters and `?` for one; empty: any.
    pub logical_device_name: &'a str,
    /// What is tolerated.
    pub quirks: Quirks,
}

impl Model<'_> {
    /// Whether a meter is of this kind.
    #[must_use]
    pub fn matches(&self, identity: &Identity<'_>) -> bool {
        let title = identity.system_title.as_ref().map(|title| title.as_bytes().as_slice()).unwrap_or_default();
        let name = identity.logical_device_name.unwrap_or_default();
        let maker = |maker: [u8; 3]| title.starts_with(&maker) || name.starts_with(&maker);
        self.manufacturer.is_none_or(maker)
            && title.starts_with(self.system_title_prefix)
            && (self.logical_device_name.is_empty() || fits(self.logical_device_name.as_bytes(), name))
    }
}

/// The quirks of the first of `models` that the meter is of; else `otherwise`.
#[must_use]
pub fn find(models: &[Model<'_>], identity: &Identity<'_>, otherwise: Quirks) -> Quirks {
    models.iter().find(|model| model.matches(identity)).map_or(otherwise, |model| model.quirks)
}

/// Kinds of meters that captured traffic shows to need more than [`Quirks::LENIENT`].
pub const KNOWN: &[Model<'static>] = &[
    Model {
        name: "Kaifa, customer port",
        manufacturer: Some(*b"KFM"),
        system_title_prefix: &[],
        logical_device_name: "",
        quirks: Quirks::LENIENT.with(Deviation::InformationPush),
    },
    Model {
        name: "Sagemcom, M-Bus customer port",
        manufacturer: Some(*b"SAG"),
        system_title_prefix: &[],
        logical_device_name: "",
        quirks: Quirks::LENIENT.with(Deviation::MbusLengthOverrun),
    },
];

/// Whether `text` fits `pattern`. Each `*` takes as little as it can and is extended where the rest does not fit, the last
/// one first: no more steps than the product of both lengths.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from) = (0_usize, 0_usize);
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(at), text.get(from)) {
            (Some(b'*'), _) => {
                star = Some((at, from));
                at = at.saturating_add(1);
            }
            (Some(b'?'), Some(_)) => (at, from) = (at.saturating_add(1), from.saturating_add(1)),
            (Some(expected), Some(found)) if expected == found => {
                (at, from) = (at.saturating_add(1), from.saturating_add(1));
            }
            (None, None) => return true,
            _ => match star {
                Some((star_at, taken)) if taken < text.len() => {
                    let taken = taken.saturating_add(1);
                    star = Some((star_at, taken));
                    (at, from) = (star_at.saturating_add(1), taken);
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_names() {
        for (pattern, text, fit) in [
            ("KFM*", &b"KFM1200200000001"[..], true),
            ("*0001", b"KFM1200200000001", true),
            ("K?M*2*1", b"KFM1200200000001", true),
            ("KFM", b"KFM1", false),
            ("KFM?", b"KFM", false),
            ("*", b"", true),
            ("", b"x", false),
            ("a*b*c", b"abbbbbbbcb", false),
            ("a*b*c", b"abbbbbbbcbc", true),
        ] {
            assert_eq!(fits(pattern.as_bytes(), text), fit, "{pattern} {text:?}");
        }
    }

    #[test]
    fn a_model_is_known_by_all_that_is_given() {
        let kaifa = Identity { system_title: Some(SystemTitle(*b"KFMe\x50\x20\x00\x01")), logical_device_name: None };
        assert!(find(KNOWN, &kaifa, Quirks::STRICT).tolerated.contains(Deviation::InformationPush));
        assert_eq!(find(KNOWN, &Identity::default(), Quirks::STRICT), Quirks::STRICT);
        let named = Identity { system_title: None, logical_device_name: Some(b"SAGT210") };
        assert!(find(KNOWN, &named, Quirks::STRICT).tolerated.contains(Deviation::MbusLengthOverrun));
        let model = Model {
            name: "",
            manufacturer: Some(*b"SAG"),
            system_title_prefix: b"SAG",
            logical_device_name: "*T2*",
            quirks: Quirks::STRICT,
        };
        assert!(!model.matches(&named), "no title");
        assert!(model.matches(&Identity { system_title: Some(SystemTitle(*b"SAGY\x00\x00\x00\x01")), ..named }));
    }

    #[test]
    fn strict_names_the_first_deviation_and_lenient_guesses_nothing() {
        let met: Deviations = [Deviation::PlainError, Deviation::WrapperPreamble].into_iter().collect();
        assert_eq!(Quirks::STRICT.check(met), Err(Deviation::WrapperPreamble));
        assert_eq!(Quirks::LENIENT.check(met), Err(Deviation::WrapperPreamble));
        assert_eq!(Quirks::LENIENT.with(Deviation::WrapperPreamble).check(met), Ok(()));
        assert_eq!(Quirks::LENIENT.without(Deviation::PlainError).check(met), Err(Deviation::WrapperPreamble));
        assert_eq!(Quirks::STRICT.check(Deviations::NONE), Ok(()));
    }
}
