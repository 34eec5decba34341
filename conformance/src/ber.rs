//! Where the fields of an ACSE APDU begin, told by another ASN.1 reader than the stack's own.

use asn1_rs::{Any, FromBer};

/// Tag octet and offset of each field of an AARQ, AARE, RLRQ or RLRE; as far as the reader understands it.
pub(crate) fn fields(octets: &[u8]) -> Vec<(u8, usize)> {
    let Ok((_, outer)) = Any::from_ber(octets) else { return Vec::new() };
    let mut fields = Vec::new();
    let mut rest = outer.data;
    while let Some(tag) = rest.first() {
        let Ok((after, _)) = Any::from_ber(rest) else { break };
        fields.push((*tag, rest.as_ptr().addr() - octets.as_ptr().addr()));
        rest = after;
    }
    fields
}

/// The tag octet of a field, by its name in the decoded tree.
pub(crate) fn tag_of(apdu: &str, field: &str) -> Option<u8> {
    Some(match (apdu, field) {
        ("aarq" | "aare", "protocol-version") | ("rlrq" | "rlre", "reason") => 0x80,
        ("aarq" | "aare", "application-context") => 0xA1,
        ("aarq", "called-ap-title") | ("aare", "result") => 0xA2,
        ("aarq", "called-ae-qualifier") | ("aare", "diagnostic") => 0xA3,
        ("aarq", "called-ap-invocation-id") | ("aare", "responding-ap-title") => 0xA4,
        ("aarq", "called-ae-invocation-id") | ("aare", "responding-ae-qualifier") => 0xA5,
        ("aarq", "calling-ap-title") | ("aare", "responding-ap-invocation-id") => 0xA6,
        ("aarq", "calling-ae-qualifier") | ("aare", "responding-ae-invocation-id") => 0xA7,
        ("aarq", "calling-ap-invocation-id") => 0xA8,
        ("aarq", "calling-ae-invocation-id") => 0xA9,
        ("aarq", "acse-requirements") => 0x8A,
        ("aarq", "mechanism") => 0x8B,
        ("aarq", "calling-auth") => 0xAC,
        ("aare", "acse-requirements") => 0x88,
        ("aare", "mechanism") => 0x89,
        ("aare", "responding-auth") => 0xAA,
        ("aarq" | "aare", "implementation-information") => 0xBD,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_published_aarq() {
        let aarq = hex::decode(
            "6036a1090607608574050801018a0207808b0760857405080201ac0a80083132333435363738be10040e01000000065f1f0400007e1f04b0",
        )
        .unwrap();
        assert_eq!(fields(&aarq), [(0xA1, 2), (0x8A, 13), (0x8B, 17), (0xAC, 26), (0xBE, 38)]);
        assert_eq!(tag_of("aarq", "mechanism"), Some(0x8B));
    }

    #[test]
    fn what_is_cut_off_is_left_out() {
        assert!(fields(&[0x60, 0x80]).is_empty());
        assert!(fields(&[]).is_empty());
    }
}
