//! Protection in place against a bare `aes-gcm` call with a cached key, and against the crate `dlms-cosem-rs`.
//!
//! `cargo bench -p dlms --bench security`; with `--features ring` that engine's public-key operations too. After Criterion's figures, a table of ratios from interleaved runs, which
//! stays steady on a busy machine. Every contestant first gets the octets that the round before has changed back.

use std::hint::black_box;
use std::time::{Duration, Instant};

use aes_gcm::aead::consts::U12;
use aes_gcm::{AeadInOut, AesGcm, KeyInit, aes::Aes128};
use criterion::{BenchmarkId, Criterion, Throughput};
use dlms::id::SystemTitle;
use dlms::security::{Context, Envelope, HEADROOM, KeySet, Protection, ReceiveFloor, RustCrypto, Suite, TAG_LENGTH};
use dlms_cosem_rs::security as peer;

const TITLE: [u8; 8] = *b"MMM\0\0\0\0\x01";
const ENCRYPTION_KEY: [u8; 16] = [0x11; 16];
const AUTHENTICATION_KEY: [u8; 16] = [0x22; 16];
const COUNTER: u32 = 0x0123_4567;
const SIZES: [usize; 2] = [64, 1024];
const OPERATIONS: [&str; 3] = ["protect-ae", "unprotect-ae", "unprotect-a"];

type Operation<'a> = Box<dyn FnMut() + 'a>;

/// One plain APDU and what the contestants need for it.
struct Fixture {
    plain: Vec<u8>,
    context: Context<RustCrypto>,
    gcm: AesGcm<Aes128, U12, U12>,
    protector: peer::Protector<peer::RustCryptoProvider>,
    authenticated: peer::Protector<peer::RustCryptoProvider>,
}

impl Fixture {
    fn new(length: usize) -> Self {
        let keys = KeySet::new(Suite::Suite0, &ENCRYPTION_KEY, &AUTHENTICATION_KEY).unwrap();
        let mut context = Context::new(SystemTitle(TITLE), &keys).unwrap();
        context.set_peer_title(SystemTitle(TITLE));
        context.set_required(Protection::AUTHENTICATED);
        let ring = || peer::KeyRing::new(ENCRYPTION_KEY, AUTHENTICATION_KEY);
        let both = peer::SecurityPolicy::authenticated_encrypted(peer::SecuritySuite::Suite0);
        let tag_only = peer::SecurityPolicy { encrypted: false, ..both };
        let mut plain = vec![0x5A; length];
        plain[0] = 0xC4;
        Self {
            plain,
            context,
            gcm: AesGcm::new(&ENCRYPTION_KEY.into()),
            protector: peer::Protector::new(peer::RustCryptoProvider::new(ring()), both),
            authenticated: peer::Protector::new(peer::RustCryptoProvider::new(ring()), tag_only),
        }
    }

    fn sealed(&self, protection: Protection) -> Vec<u8> {
        let mut buffer = vec![0; HEADROOM + self.plain.len() + TAG_LENGTH];
        let range = HEADROOM..HEADROOM + self.plain.len();
        buffer[range.clone()].copy_from_slice(&self.plain);
        let control = self.context.control(protection);
        let sent = self.context.protect(Envelope::Global, control, COUNTER, &mut buffer, range).unwrap();
        buffer[sent].to_vec()
    }

    /// The contestants of one operation: this crate, the bare cipher, the other crate.
    fn contestants(&self, operation: &str) -> [(&'static str, Operation<'_>); 3] {
        let (plain, length) = (&self.plain, self.plain.len());
        let title = peer::SystemTitle(TITLE);
        match operation {
            "protect-ae" => {
                let control = self.context.control(Protection::AUTHENTICATED_ENCRYPTED);
                let (mut ours, mut bare, mut theirs) =
                    (vec![0; HEADROOM + length + TAG_LENGTH], vec![0; length], vec![0; length + TAG_LENGTH]);
                [
                    (
                        "dlms",
                        Box::new(move || {
                            let range = HEADROOM..HEADROOM + length;
                            ours[range.clone()].copy_from_slice(plain);
                            black_box(self.context.protect(Envelope::Global, control, COUNTER, &mut ours, range))
                                .unwrap();
                        }),
                    ),
                    (
                        "aes-gcm",
                        Box::new(move || {
                            bare.copy_from_slice(plain);
                            black_box(self.gcm.encrypt_inout_detached(
                                &iv().into(),
                                &aad(),
                                bare.as_mut_slice().into(),
                            ))
                            .unwrap();
                        }),
                    ),
                    (
                        "dlms-cosem-rs",
                        Box::new(move || {
                            let key = self.protector.auth_key().unwrap();
                            black_box(self.protector.protect(&title, COUNTER, key, plain, &mut theirs)).unwrap();
                        }),
                    ),
                ]
            }
            "unprotect-ae" => {
                let apdu = self.sealed(Protection::AUTHENTICATED_ENCRYPTED);
                let start = apdu.len() - length - TAG_LENGTH;
                let (mut ours, mut bare, mut theirs) = (apdu.clone(), vec![0; length], vec![0; length + TAG_LENGTH]);
                let (first, second) = (apdu.clone(), apdu.clone());
                let tag: [u8; TAG_LENGTH] = apdu[start + length..].try_into().unwrap();
                let control = dlms_cosem_rs::xdlms::SecurityControl(0x30);
                [
                    (
                        "dlms",
                        Box::new(move || {
                            ours.copy_from_slice(&apdu);
                            black_box(self.context.unprotect(&mut ours, |_| ReceiveFloor::default())).unwrap();
                        }),
                    ),
                    (
                        "aes-gcm",
                        Box::new(move || {
                            bare.copy_from_slice(&first[start..start + length]);
                            let text = bare.as_mut_slice().into();
                            let opened = self.gcm.decrypt_inout_detached(&iv().into(), &aad(), text, &tag.into());
                            black_box(opened).unwrap();
                        }),
                    ),
                    (
                        "dlms-cosem-rs",
                        Box::new(move || {
                            theirs.copy_from_slice(&second[start..]);
                            let key = self.protector.auth_key().unwrap();
                            black_box(self.protector.unprotect(control, &title, COUNTER, key, &mut theirs)).unwrap();
                        }),
                    ),
                ]
            }
            _ => {
                let apdu = self.sealed(Protection::AUTHENTICATED);
                let start = apdu.len() - length - TAG_LENGTH;
                let (mut ours, mut theirs) = (apdu.clone(), vec![0; length + TAG_LENGTH]);
                let second = apdu.clone();
                let tag: [u8; TAG_LENGTH] = apdu[start + length..].try_into().unwrap();
                // The bare cipher takes its authenticated data in one piece: joined beforehand here.
                let joined = [&[0x10], &AUTHENTICATION_KEY[..], plain].concat();
                let control = dlms_cosem_rs::xdlms::SecurityControl(0x10);
                [
                    (
                        "dlms",
                        Box::new(move || {
                            ours.copy_from_slice(&apdu);
                            black_box(self.context.unprotect(&mut ours, |_| ReceiveFloor::default())).unwrap();
                        }),
                    ),
                    (
                        "aes-gcm",
                        Box::new(move || {
                            let nothing = (&mut [][..]).into();
                            let opened =
                                self.gcm.decrypt_inout_detached(&iv().into(), black_box(&joined), nothing, &tag.into());
                            black_box(opened).unwrap();
                        }),
                    ),
                    (
                        "dlms-cosem-rs",
                        Box::new(move || {
                            theirs.copy_from_slice(&second[start..]);
                            let key = self.authenticated.auth_key().unwrap();
                            black_box(self.authenticated.unprotect(control, &title, COUNTER, key, &mut theirs))
                                .unwrap();
                        }),
                    ),
                ]
            }
        }
    }
}

fn iv() -> [u8; 12] {
    let mut iv = [0; 12];
    iv[..8].copy_from_slice(&TITLE);
    iv[8..].copy_from_slice(&black_box(COUNTER).to_be_bytes());
    iv
}

fn aad() -> [u8; 17] {
    let mut aad = [0x30; 17];
    aad[1..].copy_from_slice(black_box(&AUTHENTICATION_KEY));
    aad
}

fn criterion(criterion: &mut Criterion) {
    for operation in OPERATIONS {
        let mut group = criterion.benchmark_group(operation);
        for length in SIZES {
            let fixture = Fixture::new(length);
            group.throughput(Throughput::Bytes(length as u64));
            for (name, mut run) in fixture.contestants(operation) {
                group.bench_function(BenchmarkId::new(name, length), |bencher| bencher.iter(&mut run));
            }
        }
        group.finish();
    }
}

/// Signing and verifying 100 octets, and an ephemeral agreement, by each engine that is built.
#[cfg(feature = "public-key")]
fn public_key(criterion: &mut Criterion) {
    use dlms::security::public_key::Curve;
    use dlms::security::{Curves, Random};

    struct Fixed;
    impl Random for Fixed {
        fn fill(&mut self, octets: &mut [u8]) {
            octets.fill(0x5A);
        }
    }

    fn engine<E: Curves>(criterion: &mut Criterion, name: &str) {
        let message = [0x33; 100];
        for curve in [Curve::P256, Curve::P384] {
            let key = E::generate(curve, &mut Fixed).unwrap();
            let public = E::public_key(&key).unwrap();
            let signature = E::sign(&key, &[&message]).unwrap();
            let mut group = criterion.benchmark_group(format!("{curve:?}").to_lowercase());
            group.bench_function(BenchmarkId::new("sign", name), |bencher| {
                bencher.iter(|| E::sign(black_box(&key), &[black_box(&message)]).unwrap());
            });
            group.bench_function(BenchmarkId::new("verify", name), |bencher| {
                bencher.iter(|| E::verify(black_box(&public), &[&message], black_box(&signature)).unwrap());
            });
            group.bench_function(BenchmarkId::new("agree once", name), |bencher| {
                bencher.iter(|| E::agree_once(black_box(&public), &mut Fixed).unwrap());
            });
            group.finish();
        }
    }
    engine::<RustCrypto>(criterion, "rustcrypto");
    #[cfg(feature = "ring")]
    engine::<dlms::security::public_key::Ring>(criterion, "ring");
}

/// Best time of many short interleaved rounds: what disturbs the machine hits all contestants alike.
fn ratios() {
    const ROUNDS: usize = 400;
    const CALLS: u32 = 200;
    println!(
        "\n{:<14}{:>7}{:>12}{:>12}{:>16}{:>14}{:>18}",
        "", "octets", "dlms", "aes-gcm", "dlms-cosem-rs", "to aes-gcm", "to dlms-cosem-rs"
    );
    for operation in OPERATIONS {
        for length in SIZES {
            let fixture = Fixture::new(length);
            let mut contestants = fixture.contestants(operation);
            let mut best = [Duration::MAX; 3];
            for _ in 0..ROUNDS {
                for ((_, run), best) in contestants.iter_mut().zip(&mut best) {
                    let start = Instant::now();
                    (0..CALLS).for_each(|_| run());
                    *best = (*best).min(start.elapsed() / CALLS);
                }
            }
            let [ours, bare, theirs] = best.map(|time| time.as_nanos() as f64);
            println!(
                "{operation:<14}{length:>7}{ours:>9} ns{bare:>9} ns{theirs:>13} ns{:>14.2}{:>18.2}",
                ours / bare,
                ours / theirs
            );
        }
    }
}

fn main() {
    let mut harness = Criterion::default().configure_from_args();
    criterion(&mut harness);
    #[cfg(feature = "public-key")]
    public_key(&mut harness);
    harness.final_summary();
    if !std::env::args().any(|argument| argument == "--test") {
        ratios();
    }
}
