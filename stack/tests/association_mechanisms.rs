//! Every authentication mechanism between our own two sides, over all four passes; and what each side refuses.
//! What the passes hold is compared with figures from elsewhere in `security_vectors.rs`, and with other
//! implementations in the conformance tests.

mod pair;

use dlms::acse::{
    Aare, AssociationResult as Association, Diagnostic, Mechanism, ServiceProviderDiagnostic, ServiceUserDiagnostic,
};
use dlms::apdu::{ActionResult, AttributeRequest};
use dlms::association::Secret;
use dlms::association::client::{Config, ConnectionError, PreEstablished, ProtocolError, RequestError, UsageError};
use dlms::association::server::Source;
use dlms::axdr::Value;
use dlms::id::{ClientSap, ServerSap};
use dlms::security::{InvocationCounter, KeyId, KeySet, SecurityError, Suite, is_protected};
use hex_literal::hex;
use pair::*;

const REGISTER_VALUE: Happened = Happened::Value(Value::DoubleLongUnsigned(913));

fn read(pair: &mut Pair) -> Vec<Happened> {
    pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
    pair.drive()
}

fn ask(pair: &mut Pair, apdu: &[u8]) -> Vec<u8> {
    let mut out = [0; 1_024];
    let place = pair.server.handle(&mut apdu.to_vec(), pair.now, &mut pair.meter, &mut pair.random, &mut out);
    place.map(|place| out[place].to_vec()).unwrap_or_default()
}

fn every_hls() -> [Config; 6] {
    [
        hls(hls_client(2), Mechanism::Hls2),
        hls(hls_client(3), Mechanism::Md5),
        hls(hls_client(4), Mechanism::Sha1),
        hls(hls_client(5), Mechanism::Gmac),
        hls(hls_client(6), Mechanism::Sha256),
        hls(CIPHERED_SHA256, Mechanism::Sha256),
    ]
}

#[test]
fn every_mechanism_opens_an_association() {
    for config in every_hls() {
        let (client, mechanism) = (config.client, config.mechanism);
        let ciphered = config.ciphered_context;
        let mut pair = Pair::associated(config, Meter::default());
        assert_eq!(pair.seen.len(), 4, "{mechanism:?}");
        assert_eq!(is_protected(&pair.seen[2]), ciphered);
        assert_eq!(read(&mut pair), [REGISTER_VALUE]);
        assert_eq!(pair.server.client(), client);
        pair.client.release(pair.now).unwrap();
        assert_eq!(pair.drive(), [Happened::Released]);
    }
}

/// Both sides send fresh challenges, so no answer of one association is of use in another.
#[test]
fn lesson_03_two_associations_share_no_challenge_and_no_answer() {
    for config in every_hls() {
        let mut pair = Pair::associated(config, Meter::default());
        let first = pair.seen.clone();
        pair.client.close(pair.now);
        pair.drive();
        pair.seen.clear();
        pair.client.associate(pair.now).unwrap();
        assert_eq!(pair.drive(), [Happened::Associated]);
        for (one, other) in first.iter().zip(&pair.seen) {
            assert_ne!(one, other);
        }
        // The answer to the first challenge, sent again for the second.
        pair.server.reset(&mut pair.meter);
        ask(&mut pair, &first[0].clone());
        let answer = ask(&mut pair, &first[2].clone());
        assert!(!pair.server.is_open() || answer[0] == 0xD8, "{answer:02X?}");
        assert_ne!(answer[..], first[3][..]);
    }
}

#[test]
fn a_wrong_secret_is_refused_by_either_side() {
    for config in every_hls() {
        let (client, mechanism) = (config.client, config.mechanism);
        if mechanism == Mechanism::Gmac {
            continue;
        }
        let mut wrong = hls(client, mechanism);
        wrong.secret = Secret::new(b"another secret").unwrap();
        let mut pair = Pair::new(wrong, Meter::default());
        pair.client.associate(pair.now).unwrap();
        assert_eq!(pair.drive(), [Happened::Closed(ConnectionError::HlsRefused)], "{mechanism:?}");
        assert!(!pair.server.is_open());
        assert!(pair.meter.audit.iter().any(|event| event.starts_with("AuthenticationFailed")));
        if client == CIPHERED_SHA256 {
            continue;
        }
        // The response to pass 3, with a wrong pass 4 in it.
        let mut pair = Pair::new(config, Meter::default());
        pair.tamper = Some(|apdu| {
            if apdu[0] == 0xC7 {
                *apdu.last_mut().unwrap() ^= 1;
            }
        });
        pair.client.associate(pair.now).unwrap();
        assert_eq!(pair.drive(), [Happened::Closed(ConnectionError::ServerNotAuthentic)], "{mechanism:?}");
    }
}

#[test]
fn the_client_refuses_what_it_cannot_do_before_anything_leaves() {
    let public = || Config::public(ServerSap::MANAGEMENT);
    let secret = || Secret::new(SECRET).unwrap();
    let refused = |error: SecurityError| UsageError::Security(error);
    let mut keyless = management();
    keyless.security.as_mut().unwrap().keys.authentication = None;
    let mut signed = management();
    signed.security.as_mut().unwrap().protection.signed = true;
    let mut standing = management();
    standing.pre_established = Some(PreEstablished { server_max_pdu: 500 });
    let cases = [
        (Config { mechanism: Mechanism::Gmac, ..public() }, SecurityError::NoAuthenticationKey),
        (keyless, SecurityError::NoAuthenticationKey),
        (signed, SecurityError::NoGeneralKey),
        (standing, SecurityError::NoPeerTitle),
        (Config { mechanism: Mechanism::Hls2, ..public() }, SecurityError::SecretLength { length: 0 }),
        (Config { mechanism: Mechanism::Md5, ..public() }, SecurityError::SecretLength { length: 0 }),
        (Config { mechanism: Mechanism::Sha256, secret: secret(), ..public() }, SecurityError::NoOwnTitle),
        (Config { mechanism: Mechanism::from_id(9), secret: secret(), ..public() }, SecurityError::Unsupported),
    ];
    for (config, error) in cases {
        let mut pair = Pair::new(config, Meter::default());
        assert_eq!(pair.client.associate(pair.now), Err(refused(error)));
        assert!(pair.drive().is_empty() && pair.seen.is_empty());
    }
}

/// AARE of a server to an AARQ of `client`.
fn propose(client: ClientSap, aarq: &[u8]) -> (Association, Diagnostic, Vec<u8>) {
    let config = Config { client, ..Config::public(ServerSap::MANAGEMENT) };
    let mut pair = Pair::new(config, Meter::default());
    let answer = ask(&mut pair, aarq);
    let aare = Aare::decode(&answer).unwrap_or_else(|error| panic!("{answer:02X?}: {error}"));
    (aare.result, aare.diagnostic, aare.user_information.unwrap_or_default().to_vec())
}

/// Rows of the table of what a server checks in an AARQ: result, diagnostic, and the initiate error.
#[test]
fn every_reason_to_reject_an_association_has_its_diagnostic() {
    use ServiceUserDiagnostic as User;
    const LN: &[u8] = &hex!("A109060760857405080101");
    const CIPHERED: &[u8] = &hex!("A109060760857405080103");
    const INITIATE: &[u8] = &hex!("BE10040E01000000065F1F0400001E1DFFFF");
    const TITLE: &[u8] = &hex!("A60A04084D4D4D0000000001");
    const PASS: &[u8] = &hex!("8A0207808B0760857405080201AC0A80083132333435363738");
    const HLS6: &[u8] = &hex!("8A0207808B0760857405080206AC0A80083132333435363738");
    let aarq = |fields: &[&[u8]]| {
        let body = fields.concat();
        [&[0x60, body.len() as u8][..], &body].concat()
    };
    let (public, password, management) = (ClientSap::PUBLIC, READER, ClientSap::MANAGEMENT);
    let user = Diagnostic::ServiceUser;
    let short_challenge = hex!("8A0207808B0760857405080206AC0980073132333435363738");
    /// What is wrong, who proposes it, the fields of the AARQ, and what must come of it.
    type Case<'a> = (&'a str, ClientSap, &'a [&'a [u8]], Diagnostic, u8);
    let cases: &[Case<'_>] = &[
        (
            "protocol version",
            public,
            &[&hex!("80020640"), LN, INITIATE],
            Diagnostic::ServiceProvider(ServiceProviderDiagnostic::NoCommonAcseVersion),
            0,
        ),
        (
            "unknown context",
            public,
            &[&hex!("A109060760857405080109"), INITIATE],
            user(User::ApplicationContextNameNotSupported),
            0,
        ),
        (
            "ciphered context without keys",
            public,
            &[CIPHERED, TITLE, INITIATE],
            user(User::ApplicationContextNameNotSupported),
            0,
        ),
        (
            "plain context under a policy",
            management,
            &[LN, TITLE, INITIATE],
            user(User::ApplicationContextNameNotSupported),
            0,
        ),
        (
            "unknown mechanism",
            password,
            &[LN, &hex!("8A0207808B0760857405080263AC0A80083132333435363738"), INITIATE],
            user(User::MechanismNameNotRecognised),
            0,
        ),
        ("no mechanism", password, &[LN, INITIATE], user(User::MechanismNameRequired), 0),
        ("another mechanism", password, &[LN, HLS6, INITIATE], user(User::AuthenticationFailure), 0),
        ("a mechanism where none is configured", public, &[LN, PASS, INITIATE], user(User::AuthenticationFailure), 0),
        ("no acse requirements", password, &[LN, &PASS[4..], INITIATE], user(User::AuthenticationFailure), 0),
        ("no authentication value", password, &[LN, &PASS[..13], INITIATE], user(User::AuthenticationFailure), 0),
        (
            "wrong password",
            password,
            &[LN, &[&PASS[..24], b"9"].concat(), INITIATE],
            user(User::AuthenticationFailure),
            0,
        ),
        (
            "no title with ciphering",
            management,
            &[CIPHERED, &hex!("8A0207808B0760857405080205AC0A80083132333435363738"), INITIATE],
            user(User::CallingApTitleNotRecognized),
            0,
        ),
        (
            "title of seven octets",
            hls_client(6),
            &[LN, &hex!("A60904074D4D4D00000001"), HLS6, INITIATE],
            user(User::CallingApTitleNotRecognized),
            0,
        ),
        ("no title with SHA-256", hls_client(6), &[LN, HLS6, INITIATE], user(User::CallingApTitleNotRecognized), 0),
        (
            "the server's own title",
            hls_client(6),
            &[LN, &hex!("A60A04084D4D4D0000BC614E"), HLS6, INITIATE],
            user(User::CallingApTitleNotRecognized),
            0,
        ),
        (
            "another server's title",
            hls_client(6),
            &[LN, &hex!("A20A04084D4D4D0000BC614F"), TITLE, HLS6, INITIATE],
            user(User::CalledApTitleNotRecognized),
            0,
        ),
        (
            "challenge of seven octets",
            hls_client(6),
            &[LN, TITLE, &short_challenge[..24], INITIATE],
            user(User::AuthenticationFailure),
            0,
        ),
        ("no user id", USERS, &[LN, PASS, INITIATE], user(User::CallingAeInvocationIdNotRecognized), 0),
        (
            "another user id",
            USERS,
            &[LN, &hex!("A903020105"), PASS, INITIATE],
            user(User::CallingAeInvocationIdNotRecognized),
            0,
        ),
        ("DLMS version 5", public, &[LN, &hex!("BE10040E01000000055F1F0400001E1DFFFF")], user(User::NoReasonGiven), 1),
        (
            "nothing in common",
            public,
            &[LN, &hex!("BE10040E01000000065F1F0400000000FFFF")],
            user(User::NoReasonGiven),
            2,
        ),
        ("PDU size 63", public, &[LN, &hex!("BE10040E01000000065F1F0400001E1D003F")], user(User::NoReasonGiven), 3),
        (
            "a dedicated key in clear",
            public,
            &[LN, &hex!("BE21041F0101100000000000000000000000000000000000065F1F0400001E1DFFFF")],
            user(User::NoReasonGiven),
            0,
        ),
        ("no Initiate", public, &[LN], user(User::NoReasonGiven), 0),
        ("pre-established", STANDING, &[LN, INITIATE], user(User::NoReasonGiven), 0),
    ];
    for (name, client, fields, diagnostic, error) in cases {
        let (result, found, information) = propose(*client, &aarq(fields));
        assert_eq!((result, found), (Association::RejectedPermanent, *diagnostic), "{name}");
        assert_eq!(information, [0x0E, 1, 6, *error], "{name}");
    }
    // What is near to these is accepted.
    for (client, fields) in [
        (public, &[LN, INITIATE][..]),
        (password, &[LN, PASS, INITIATE]),
        (USERS, &[LN, &hex!("A903020107"), PASS, INITIATE]),
        (hls_client(6), &[LN, &hex!("A20A04084D4D4D0000BC614E"), TITLE, HLS6, INITIATE]),
        (public, &[LN, &hex!("BE10040E01000000065F1F0400001E1D0000")]),
    ] {
        assert_eq!(propose(client, &aarq(fields)).0, Association::Accepted);
    }
    // An Initiate that cannot be deciphered is answered by an exception, and octets that are no AARQ by nothing.
    let mut pair = Pair::new(pair::management(), Meter::default());
    let gmac = hex!("8A0207808B0760857405080205AC0A80083132333435363738");
    let garbled = hex!("BE2304212130300000000100000000000000000000000000000000000000000000000000000000");
    assert_eq!(ask(&mut pair, &aarq(&[CIPHERED, TITLE, &gmac, &garbled[..37]])), hex!("D80105"));
    assert!(ask(&mut pair, &hex!("60 05 A1 09 06 07 60")).is_empty());
}

/// What the client makes of a refusal.
#[test]
fn a_rejection_is_typed() {
    let mut pair = Pair::new(reader(b"87654321"), Meter::default());
    pair.client.associate(pair.now).unwrap();
    match &pair.drive()[..] {
        [Happened::Closed(ConnectionError::Rejected { result, diagnostic, initiate })] => {
            assert_eq!(*result, Association::RejectedPermanent);
            assert_eq!(*diagnostic, Diagnostic::ServiceUser(ServiceUserDiagnostic::AuthenticationFailure));
            assert!(initiate.is_some());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_aarq_on_an_open_association_takes_its_place() {
    let mut pair = Pair::associated(reader(PASSWORD), Meter::default());
    let aarq = pair.seen[0].clone();
    assert_eq!(ask(&mut pair, &aarq)[0], 0x61);
    assert_eq!(pair.meter.audit.iter().filter(|event| event.starts_with("Released")).count(), 1);
    assert_eq!(read(&mut pair), [REGISTER_VALUE]);
    // One that is refused leaves nothing open.
    let mut wrong = aarq;
    let at = wrong.windows(8).position(|window| window == PASSWORD).unwrap();
    wrong[at] ^= 1;
    assert_eq!(ask(&mut pair, &wrong)[0], 0x61);
    assert!(!pair.server.is_open());
}

/// Failures of a client on the line that everybody is on.
fn failures(meter: &Meter, client: ClientSap) -> u32 {
    meter.attempts.get(&client).map_or(0, |attempts| attempts.get(Source(0)).count)
}

#[test]
fn from_the_third_failure_on_a_client_is_locked_out_until_it_has_waited() {
    let mut pair = Pair::new(reader(b"87654321"), Meter::default());
    let rejected = |pair: &mut Pair| {
        pair.client.associate(pair.now).unwrap();
        match &pair.drive()[..] {
            [Happened::Closed(ConnectionError::Rejected { result, .. })] => *result,
            other => panic!("{other:?}"),
        }
    };
    for _ in 0..3 {
        assert_eq!(rejected(&mut pair), Association::RejectedPermanent);
    }
    assert!(pair.meter.audit.iter().any(|event| event.starts_with("LockedOut")), "{:?}", pair.meter.audit);
    // Locked out: even the right password is not looked at. The attempts are not counted.
    let mut right = Pair::new(reader(PASSWORD), std::mem::take(&mut pair.meter));
    right.now = pair.now;
    for _ in 0..5 {
        assert_eq!(rejected(&mut right), Association::RejectedTransient);
    }
    assert_eq!(failures(&right.meter, READER), 3);
    // Others are not locked out, nor is the client on another line: who guesses on this one does not keep it out.
    let mut elsewhere = Pair::new(reader(PASSWORD), std::mem::take(&mut right.meter));
    elsewhere.server.set_source(Source(1));
    elsewhere.now = right.now;
    elsewhere.client.associate(elsewhere.now).unwrap();
    assert_eq!(elsewhere.drive(), [Happened::Associated]);
    right.meter = std::mem::take(&mut elsewhere.meter);
    assert_eq!(failures(&right.meter, READER), 3);
    assert_eq!(rejected(&mut right), Association::RejectedTransient);
    let mut public = Pair::associated(Config::public(ServerSap::MANAGEMENT), std::mem::take(&mut right.meter));
    assert_eq!(read(&mut public), [REGISTER_VALUE]);
    right.meter = std::mem::take(&mut public.meter);
    right.now = right.meter.attempts[&READER].get(Source(0)).last.after_ms(10_000);
    right.client.associate(right.now).unwrap();
    assert_eq!(right.drive(), [Happened::Associated]);
    assert_eq!(failures(&right.meter, READER), 0);
}

#[test]
fn attackers_from_everywhere_do_not_keep_out_a_client_that_comes_from_where_it_succeeded() {
    let mut meter = Meter::default();
    let mut from = |source, password: &[u8]| {
        let mut pair = Pair::new(reader(password), std::mem::take(&mut meter));
        pair.server.set_source(Source(source));
        pair.client.associate(pair.now).unwrap();
        let happened = pair.drive();
        meter = std::mem::take(&mut pair.meter);
        happened == [Happened::Associated]
    };
    assert!(from(1_000, PASSWORD));
    for source in (0..8).cycle().take(40) {
        assert!(!from(source, b"87654321"));
    }
    assert!(!from(9, PASSWORD), "a new source waits");
    assert!(from(1_000, PASSWORD));
}

#[test]
fn failures_of_pass_3_lock_out_as_well_and_pending_associations_give_no_more_attempts() {
    let mut wrong = hls(hls_client(3), Mechanism::Md5);
    wrong.secret = Secret::new(b"another secret").unwrap();
    let mut pair = Pair::new(wrong, Meter::default());
    for _ in 0..2 {
        pair.client.associate(pair.now).unwrap();
        assert_eq!(pair.drive(), [Happened::Closed(ConnectionError::HlsRefused)]);
    }
    // An association that was accepted before the lockout began.
    pair.seen.clear();
    let mut waiting = Pair::new(hls(hls_client(3), Mechanism::Md5), std::mem::take(&mut pair.meter));
    waiting.client.associate(waiting.now).unwrap();
    waiting.tamper = Some(|apdu| apdu.clear());
    let _ = ask(
        &mut waiting,
        &hex!(
            "6036A1090607608574050801018A0207808B0760857405080203AC0A80083132333435363738BE10040E01000000065F1F0400001E1DFFFF"
        ),
    );
    assert!(waiting.server.is_open());
    pair.meter = std::mem::take(&mut waiting.meter);
    pair.client.associate(pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Closed(ConnectionError::HlsRefused)]);
    assert_eq!(failures(&pair.meter, hls_client(3)), 3);
    waiting.meter = std::mem::take(&mut pair.meter);
    let answer = ask(&mut waiting, &hex!("C301C1000F0000280000FF0101 09 10 00000000000000000000000000000000"));
    assert_eq!(answer, hex!("C701C10300"));
    assert_eq!(failures(&waiting.meter, hls_client(3)), 3);
    assert_eq!(ActionResult::ReadWriteDenied.code(), 3);
}

/// Keys cannot be guessed: who has none fails as often as he likes, and the operator who has them still gets in.
#[test]
fn failures_with_keys_lock_nobody_out() {
    let mut wrong = hls(hls_client(5), Mechanism::Gmac);
    wrong.security.as_mut().unwrap().keys = KeySet::new(Suite::Suite0, &[0x66; 16], &GAK).unwrap();
    let mut pair = Pair::new(wrong, Meter::default());
    for _ in 0..9 {
        pair.client.associate(pair.now).unwrap();
        assert_eq!(pair.drive(), [Happened::Closed(ConnectionError::HlsRefused)]);
    }
    assert!(pair.meter.attempts.is_empty());
    assert!(pair.meter.audit.iter().any(|event| event.starts_with("AuthenticationFailed")), "{:?}", pair.meter.audit);
    Pair::associated(hls(hls_client(5), Mechanism::Gmac), std::mem::take(&mut pair.meter));
}

/// Without the keys nobody tries passwords, and nobody has the client locked out.
#[test]
fn in_a_ciphered_association_the_keys_come_before_the_password() {
    let mut pair = Pair::new(hls(CIPHERED_SHA256, Mechanism::Sha256), Meter::default());
    pair.client.associate(pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Associated]);
    for _ in 0..9 {
        let mut forged = pair.seen[0].clone();
        *forged.last_mut().unwrap() ^= 1;
        let answer = ask(&mut pair, &forged);
        assert_eq!(answer[0], 0xD8);
    }
    assert!(!pair.meter.attempts.values().any(dlms::association::server::Attempts::is_failing));
}

#[test]
fn an_hls_association_that_is_not_completed_in_time_is_gone() {
    let mut pair = Pair::associated(hls(hls_client(3), Mechanism::Md5), Meter::default());
    let (aarq, pass_3) = (pair.seen[0].clone(), pair.seen[2].clone());
    assert_eq!(ask(&mut pair, &aarq)[0], 0x61);
    pair.now = pair.now.after_ms(30_000);
    assert_eq!(ask(&mut pair, &pass_3), hex!("D80101"));
    assert!(!pair.server.is_open());
}

#[test]
fn a_pre_established_association_needs_no_proposal() {
    let config = Config {
        client: STANDING,
        pre_established: Some(PreEstablished { server_max_pdu: 500 }),
        ..Config::public(ServerSap::MANAGEMENT)
    };
    let mut pair = Pair::associated(config, Meter::default());
    assert!(pair.seen.is_empty(), "nothing is sent to open it");
    assert_eq!(read(&mut pair), [REGISTER_VALUE]);
    assert!(pair.server.is_open());
    // It can be neither proposed nor released, and outlives the attempt.
    assert_eq!(ask(&mut pair, &hex!("6200")), hex!("D80101"));
    assert_eq!(read(&mut pair), [REGISTER_VALUE]);
    let sent = pair.seen.len();
    pair.client.release(pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Released]);
    assert_eq!(pair.seen.len(), sent, "nothing is sent to release it");
    assert!(!pair.meter.audit.iter().any(|event| event.starts_with("Released")));
}

#[test]
fn a_pre_established_association_may_be_ciphered() {
    let mut config = Config {
        client: STANDING_CIPHERED,
        mechanism: Mechanism::Lowest,
        pre_established: Some(PreEstablished { server_max_pdu: 500 }),
        ..management()
    };
    config.security.as_mut().unwrap().peer_title = Some(SERVER_TITLE);
    let mut pair = Pair::associated(config, Meter::default());
    assert_eq!(read(&mut pair), [REGISTER_VALUE]);
    assert!(is_protected(&pair.seen[0]) && is_protected(&pair.seen[1]));
    let replayed = pair.seen[0].clone();
    assert_eq!(ask(&mut pair, &replayed)[..3], hex!("D80106"));
    assert_eq!(ask(&mut pair, &hex!("C001C100030100010800FF0200")), hex!("D80105"));
}

/// No AARQ carries it, and each association would count with it from 0 again.
#[test]
fn a_pre_established_association_has_no_dedicated_key() {
    let mut config = Config {
        client: STANDING_CIPHERED,
        mechanism: Mechanism::Lowest,
        pre_established: Some(PreEstablished { server_max_pdu: 500 }),
        ..management()
    };
    let security = config.security.as_mut().unwrap();
    security.peer_title = Some(SERVER_TITLE);
    security.dedicated_key = Some(Secret::new(&[0x42; 16]).unwrap());
    let mut pair = Pair::new(config, Meter::default());
    let error = pair.client.associate(pair.now).unwrap_err();
    assert_eq!(error, UsageError::Security(SecurityError::NoKey(KeyId::Dedicated)));
}

#[test]
fn titles_are_demanded_where_they_enter_the_answer() {
    // The meter leaves its title away: fine when it is configured, refused when nobody knows it.
    let without_title: fn(&mut Vec<u8>) = |apdu| {
        if apdu[0] == 0x61 {
            let at = apdu.windows(4).position(|window| window == hex!("A40A0408")).unwrap();
            apdu.drain(at..at + 12);
            apdu[1] -= 12;
        }
    };
    let config = hls(hls_client(6), Mechanism::Sha256);
    let mut pair = Pair::new(Config { peer_title: Some(SERVER_TITLE), ..config }, Meter::default());
    pair.tamper = Some(without_title);
    pair.client.associate(pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Associated]);
    let mut pair = Pair::new(hls(hls_client(6), Mechanism::Sha256), Meter::default());
    pair.tamper = Some(without_title);
    pair.client.associate(pair.now).unwrap();
    let error = ConnectionError::Request(RequestError::Protocol(ProtocolError::SystemTitle));
    assert_eq!(pair.drive(), [Happened::Closed(error)]);
}

/// Keys that a request replaces are in force behind its answer, on both sides, and count from the beginning.
#[test]
fn replaced_keys_hold_behind_the_answer_to_the_request_that_replaced_them() {
    let mut pair = Pair::associated(management(), Meter::default());
    let new = [0x77; 16];
    // The method "echo" of this meter stands for key_transfer: it takes its parameter for the new key.
    pair.meter.takes_keys = true;
    pair.seen.clear();
    pair.client.action(ECHO, Some(dlms::axdr::Data::OctetString(&new)), pair.now).unwrap();
    let answered = pair.drive();
    assert!(matches!(answered[..], [Happened::Action(ActionResult::Success, _)]), "{answered:?}");
    assert_eq!((pair.meter.counter, pair.meter.floors.len()), (0, 0), "counters of the new key");

    // A client that goes on with the old ones is not understood.
    match &read(&mut pair)[..] {
        [Happened::Failed(RequestError::Exception(_))] => {}
        other => panic!("{other:?}"),
    }
    let keys = KeySet::new(Suite::Suite0, &new, &GAK).unwrap();
    pair.client.replace_keys(keys, Some(InvocationCounter::new(0, 1_000))).unwrap();
    pair.seen.clear();
    assert_eq!(read(&mut pair), [REGISTER_VALUE]);
    assert_eq!(pair.seen[0][3..7], hex!("00000000"));
    assert_eq!(pair.seen[1][3..7], hex!("00000001"));
    // So is the next association of the same client.
    pair.client.release(pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Released]);
    pair.client.associate(pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Associated]);
}

#[test]
fn an_association_whose_keys_are_gone_is_over() {
    let mut pair = Pair::associated(management(), Meter::default());
    // The new key has not the suite's length: nothing could be protected with it.
    pair.meter.new_key = vec![0x77; 15];
    pair.meter.generation += 1;
    match &read(&mut pair)[..] {
        [Happened::Failed(RequestError::Exception(_))] => {}
        other => panic!("{other:?}"),
    }
    assert!(!pair.server.is_open());
    assert!(pair.meter.audit.iter().any(|event| event.starts_with("Released")));
}
