//! Deviations of clients: told to the device, and refused where it does not tolerate them.

use super::device::Device;
use crate::apdu::{Apdu, tag};
use crate::deviation::{Deviation, Deviations};
use crate::id::{ClientSap, ServerSap};

/// Tells the device what a client has shown; whether it goes on.
pub(super) fn tolerates<D: Device>(client: ClientSap, server: ServerSap, met: Deviations, device: &mut D) -> bool {
    if !D::OFFER.deviations || met.is_empty() {
        return true;
    }
    let Some(quirks) = device.quirks(client, server) else { return true };
    device.deviated(client, server, met);
    quirks.check(met).is_ok()
}

/// What a request shows: `apdu` as it came, `plain` without its protection. It is looked at only where the device wants to
/// know, as it costs another decoding.
pub(super) fn tolerates_request<D: Device>(
    client: ClientSap,
    server: ServerSap,
    apdu: &[u8],
    plain: &[u8],
    device: &mut D,
) -> bool {
    if !D::OFFER.deviations || device.quirks(client, server).is_none() {
        return true;
    }
    // What cannot be decoded is refused for that.
    let mut met = Apdu::decode_with_deviations(plain).map_or(Deviations::NONE, |(_, met)| met);
    if let [tag::GENERAL_GLO_CIPHERING | tag::GENERAL_DED_CIPHERING, 0, ..] = apdu {
        met.insert(Deviation::EmptySystemTitle);
    }
    tolerates(client, server, met, device)
}
