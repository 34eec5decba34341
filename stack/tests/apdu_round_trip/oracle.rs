//! AARQ and AARE as an unrelated ASN.1 library reads them (DER, so lengths and integers must be minimal).

use std::collections::BTreeMap;

use asn1_rs::{Any, BitString, Class, FromDer, OctetString, Oid};
use dlms::acse::{Aare, Aarq, AuthenticationValue, Diagnostic};
use dlms::axdr::Writer;
use proptest::prelude::*;

use crate::arbitrary;

/// The fields of an ACSE APDU by tag number.
struct Fields<'a>(BTreeMap<u32, Any<'a>>);

impl<'a> Fields<'a> {
    fn read(octets: &'a [u8], application_tag: u32) -> Self {
        let (rest, apdu) = Any::from_der(octets).expect("DER");
        assert!(rest.is_empty() && apdu.header.is_constructed());
        assert_eq!((apdu.class(), apdu.tag().0), (Class::Application, application_tag));
        let mut fields = BTreeMap::new();
        let mut contents = apdu.data;
        while !contents.is_empty() {
            let (rest, field) = Any::from_der(contents).expect("DER");
            assert_eq!(field.class(), Class::ContextSpecific);
            let previous = fields.insert(field.tag().0, field);
            assert!(previous.is_none(), "each field once");
            contents = rest;
        }
        Self(fields)
    }

    /// Contents of a field with an EXPLICIT tag.
    fn explicit<T: FromDer<'a>>(&self, tag: u32) -> Option<T> {
        let field = self.0.get(&tag)?;
        assert!(field.header.is_constructed(), "[{tag}] is explicit");
        let (rest, value) = T::from_der(field.data).unwrap_or_else(|_| panic!("the value of [{tag}]"));
        assert!(rest.is_empty());
        Some(value)
    }

    /// Contents of a field with an IMPLICIT tag over a primitive type.
    fn implicit(&self, tag: u32) -> Option<&'a [u8]> {
        let field = self.0.get(&tag)?;
        assert!(field.header.is_primitive(), "[{tag}] is implicit");
        Some(field.data)
    }

    fn octets(&self, tag: u32) -> Option<Vec<u8>> {
        self.explicit::<OctetString<'_>>(tag).map(|value| value.as_ref().to_vec())
    }

    /// The first bit of a BIT STRING with an IMPLICIT tag.
    fn first_bit(&self, tag: u32) -> Option<bool> {
        let contents = self.implicit(tag)?;
        let (unused, bits) = contents.split_first().expect("count of unused bits");
        Some(BitString::new(*unused, bits).is_set(0))
    }

    fn authentication_value(&self, tag: u32) -> Option<Vec<u8>> {
        let choice: Any<'_> = self.explicit(tag)?;
        assert_eq!(choice.class(), Class::ContextSpecific);
        Some(match choice.tag().0 {
            0 => choice.data.to_vec(),
            1 => {
                assert_eq!(choice.data[0], 0, "whole octets");
                choice.data[1..].to_vec()
            }
            other => panic!("choice {other}"),
        })
    }

    fn object_identifier(&self, tag: u32) -> Option<String> {
        self.explicit::<Oid<'_>>(tag).map(|oid| oid.as_bytes().to_vec()).map(hex::encode)
    }
}

fn encode(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buffer = [0; 4096];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer);
    writer.written().to_vec()
}

fn owned(octets: Option<&[u8]>) -> Option<Vec<u8>> {
    octets.map(<[u8]>::to_vec)
}

fn value(value: Option<AuthenticationValue<'_>>) -> Option<Vec<u8>> {
    value.map(|value| value.as_bytes().to_vec())
}

fn agree_aarq(octets: &[u8], aarq: &Aarq<'_>) {
    let fields = Fields::read(octets, 0);
    assert_eq!(fields.first_bit(0), aarq.protocol_version.map(|version| version.includes_version_1()));
    assert_eq!(fields.object_identifier(1), Some(hex::encode(aarq.context.identifier().as_bytes())));
    assert_eq!(fields.octets(2), owned(aarq.called_ap_title));
    assert_eq!(fields.octets(3), owned(aarq.called_ae_qualifier));
    assert_eq!(fields.explicit(4), aarq.called_ap_invocation_id);
    assert_eq!(fields.explicit(5), aarq.called_ae_invocation_id);
    assert_eq!(fields.octets(6), owned(aarq.calling_ap_title));
    assert_eq!(fields.octets(7), owned(aarq.calling_ae_qualifier));
    assert_eq!(fields.explicit(8), aarq.calling_ap_invocation_id);
    assert_eq!(fields.explicit(9), aarq.calling_ae_invocation_id);
    assert_eq!(fields.first_bit(10), aarq.authentication);
    assert_eq!(fields.implicit(11), aarq.mechanism.map(|name| name.identifier()).as_ref().map(|oid| oid.as_bytes()));
    assert_eq!(fields.authentication_value(12), value(aarq.authentication_value));
    assert_eq!(fields.octets(30), owned(aarq.user_information));
}

fn agree_aare(octets: &[u8], aare: &Aare<'_>) {
    let fields = Fields::read(octets, 1);
    assert_eq!(fields.object_identifier(1), Some(hex::encode(aare.context.identifier().as_bytes())));
    assert_eq!(fields.explicit(2), Some(u32::from(aare.result.code())));
    let source: Any<'_> = fields.explicit(3).expect("diagnostic");
    let (_, code) = u32::from_der(source.data).expect("a number");
    let expected = match aare.diagnostic {
        Diagnostic::ServiceUser(diagnostic) => (1, diagnostic.code()),
        Diagnostic::ServiceProvider(diagnostic) => (2, diagnostic.code()),
    };
    assert_eq!((source.tag().0, code), (expected.0, u32::from(expected.1)));
    assert_eq!(fields.octets(4), owned(aare.responding_ap_title));
    assert_eq!(fields.octets(5), owned(aare.responding_ae_qualifier));
    assert_eq!(fields.explicit(6), aare.responding_ap_invocation_id);
    assert_eq!(fields.explicit(7), aare.responding_ae_invocation_id);
    assert_eq!(fields.first_bit(8), aare.authentication);
    assert_eq!(fields.implicit(9), aare.mechanism.map(|name| name.identifier()).as_ref().map(|oid| oid.as_bytes()));
    assert_eq!(fields.authentication_value(10), value(aare.authentication_value));
    assert_eq!(fields.octets(30), owned(aare.user_information));
}

proptest! {
    #[test]
    fn another_reader_finds_the_same_aarq(aarq in arbitrary::any_aarq()) {
        agree_aarq(&encode(|writer| aarq.encode(writer).expect("room")), &aarq);
    }

    #[test]
    fn another_reader_finds_the_same_aare(aare in arbitrary::any_aare()) {
        agree_aare(&encode(|writer| aare.encode(writer).expect("room")), &aare);
    }
}

/// Published examples: what this crate reads from them is what the other reader reads.
#[test]
fn published_examples_are_read_alike() {
    for example in [
        "601DA109060760857405080101BE10040E01000000065F1F0400007E1F04B0",
        "6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363738BE10040E01000000065F1F0400007E1F\
         04B0",
        "6055A109060760857405080103A60A04084D4D4D00000000018A0207808B0760857405080205AC0A80084B35366956616759BE230421\
         211F30000000019945AB0E570975CCDF51E3C79C10080119B67B67D18FBDEAB79E",
    ] {
        let octets = hex::decode(example).expect("hex");
        agree_aarq(&octets, &Aarq::decode(&octets).expect("an AARQ"));
    }
    for example in [
        "6129A109060760857405080101A203020100A305A103020100BE10040E0800065F1F040000501F01F40007",
        "611FA109060760857405080101A203020101A305A10302010DBE0604040E010600",
        "6161A109060760857405080103A203020100A305A10302010EA40A04084D4D4D0000BC614E88020780890760857405080205AA0A8008\
         503677524A323146BE230421281F3001234567891214A0845E475738383A91BC197117581D85ADB648D979E2FB",
    ] {
        let octets = hex::decode(example).expect("hex");
        agree_aare(&octets, &Aare::decode(&octets).expect("an AARE"));
    }
}
