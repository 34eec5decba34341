//! What a device leaves out of its constant offer is refused, whatever its configuration says.

mod pair;

use dlms::Instant;
use dlms::apdu::*;
use dlms::association::server::{Access, Association, AssociationConfig, Cursor, Device, Offer, Progress};
use dlms::axdr::{Data, Writer};
use dlms::id::{ClientSap, ServerSap, SystemTitle};
use dlms::security::SmallCrypto;
use hex_literal::hex;
use pair::{Counting, Meter, SHORT_NAME_PUBLIC, hls_client};

/// The meter of the other tests, compiled for less.
struct Small<const ALL: bool>(Meter);

impl<const ALL: bool> Device for Small<ALL> {
    const OFFER: Offer = if ALL { Offer::EVERYTHING } else { Offer::MINIMAL };

    fn association(&self, client: ClientSap, server: ServerSap) -> Option<AssociationConfig<'_>> {
        self.0.association(client, server)
    }

    fn read(
        &mut self,
        access: &Access,
        attribute: AttributeDescriptor,
        selection: Option<Selection<'_>>,
        cursor: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult> {
        self.0.read(access, attribute, selection, cursor, out)
    }

    fn write(
        &mut self,
        access: &Access,
        attribute: AttributeDescriptor,
        selection: Option<Selection<'_>>,
        value: Data<'_>,
    ) -> Result<(), DataAccessResult> {
        self.0.write(access, attribute, selection, value)
    }

    fn invoke(
        &mut self,
        access: &Access,
        method: MethodDescriptor,
        parameter: Option<Data<'_>>,
        out: &mut Writer<'_>,
    ) -> Result<(), ActionResult> {
        self.0.invoke(access, method, parameter, out)
    }

    fn take_counter(&mut self, server: ServerSap, setup: u8) -> Option<u32> {
        self.0.take_counter(server, setup)
    }

    fn floor(&self, server: ServerSap, setup: u8, peer: SystemTitle) -> u32 {
        self.0.floor(server, setup, peer)
    }

    fn accept_counter(&mut self, server: ServerSap, setup: u8, peer: SystemTitle, counter: u32) {
        self.0.accept_counter(server, setup, peer, counter);
    }
}

/// Sends APDUs one by one and returns the answers.
fn ask<const ALL: bool>(client: ClientSap, apdus: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut server = Association::<SmallCrypto, Vec<u8>>::new(client, ServerSap::MANAGEMENT, vec![0; 512]);
    let mut meter = Small::<ALL>(Meter { max_pdu: 512, ..Meter::default() });
    let mut random = Counting(0);
    let mut out = [0; 1_024];
    let mut answer = |apdu: &&[u8]| {
        let place = server.handle(&mut apdu.to_vec(), Instant::from_millis(0), &mut meter, &mut random, &mut out);
        place.map(|place| out[place].to_vec()).unwrap_or_default()
    };
    apdus.iter().map(&mut answer).collect()
}

/// Logical names without ciphering; every service is proposed.
const AARQ: &[u8] = &hex!("601D A109 0607 60857405080101 BE10 040E 01000000 065F1F04 00FFFFFF FFFF");
const GET: &[u8] = &hex!("C001C1 0003 0100010800FF 02 00");
const ACCESS: &[u8] = &hex!("D9 20000001 00 01 01 0003 0100010800FF 02 01 00");
const BLOCK: &[u8] = &hex!("E0 80 0001 0000 0D C001C1 0003 0100010800FF 02 00");
const READ: &[u8] = &hex!("050102FA00");

const UNSUPPORTED: &[u8] = &hex!("D80102");

#[test]
fn services_that_are_not_offered_are_neither_negotiated_nor_answered() {
    let all = ask::<true>(ClientSap::PUBLIC, &[AARQ, GET, ACCESS, BLOCK, READ]);
    let minimal = ask::<false>(ClientSap::PUBLIC, &[AARQ, GET, ACCESS, BLOCK, READ]);
    let negotiated = |aare: &[u8]| {
        let at = aare.windows(4).position(|octets| octets == hex!("5F1F0400")).unwrap() + 4;
        Conformance::from_bytes(aare[at..at + 3].try_into().unwrap())
    };
    let (all_services, services) = (negotiated(&all[0]), negotiated(&minimal[0]));
    assert!(all_services.contains(Conformance::ACCESS.union(Conformance::GENERAL_BLOCK_TRANSFER)));
    assert_eq!(services, all_services.intersection(Offer::MINIMAL.services));
    assert!(services.contains(Conformance::GET) && services != all_services);
    assert_eq!((&all[1], all[1][..4] == hex!("C401C100")), (&minimal[1], true));
    assert_eq!((all[2][0], all[3][0]), (0xDA, 0xE0));
    assert_eq!([&minimal[2], &minimal[3]], [UNSUPPORTED; 2]);
    assert_eq!([&all[4], &minimal[4]], [UNSUPPORTED; 2]);
}

#[test]
fn associations_that_need_what_is_not_offered_are_rejected() {
    // Accepted with everything, or asked for more proof: result 0. Rejected for good: 1.
    let result = |aare: &[u8]| {
        let at = aare.windows(4).position(|octets| octets == hex!("A2030201")).unwrap() + 4;
        aare[at]
    };
    let names = hex!("601D A109 0607 60857405080102 BE10 040E 01000000 065F1F04 00FFFFFF FFFF");
    assert_eq!(result(&ask::<true>(SHORT_NAME_PUBLIC, &[&names])[0]), 0);
    assert_eq!(result(&ask::<false>(SHORT_NAME_PUBLIC, &[&names])[0]), 1);
    // HLS mechanism 2 with a challenge of 16 octets; its engine has the cipher that it needs.
    let secret = hex!(
        "603E A109 0607 60857405080101 8A02 0780 8B07 60857405080202 AC12 8010 000102030405060708090A0B0C0D0E0F"
        "BE10 040E 01000000 065F1F04 00FFFFFF FFFF"
    );
    assert_eq!(result(&ask::<true>(hls_client(2), &[&secret])[0]), 0);
    assert_eq!(result(&ask::<false>(hls_client(2), &[&secret])[0]), 1);
}
