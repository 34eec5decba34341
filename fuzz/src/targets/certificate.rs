//! Certificates, as method import_certificate and the key-info of others bring them.

use dlms::security::{
    Suite,
    certificate::{Certificate, Purpose},
};

use crate::bounded;

pub(super) fn run(octets: &[u8]) {
    let Ok(certificate) = bounded(0, || Certificate::parse(octets)) else { return };
    bounded(0, || {
        let title = certificate.system_title().ok();
        let _ = (certificate.purpose(), certificate.is_self_issued(), certificate.check_authority());
        for suite in [Suite::Suite0, Suite::Suite1, Suite::Suite2] {
            for purpose in [Purpose::Signature, Purpose::KeyAgreement, Purpose::Tls] {
                let _ = certificate.check(suite, purpose, title);
            }
        }
    });
}
