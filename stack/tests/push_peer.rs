//! Pushes against an implementation by others, `dlms-cosem-rs`: its sender to our receiver, our server to its listener.

mod pair;

use dlms::Instant;
use dlms::apdu::{Apdu, DataNotification, LongInvokeIdAndPriority};
use dlms::association::push::{PushError, Receiver, Sender};
use dlms::association::server::{self, PushProtection, PushTo};
use dlms::axdr::Data;
use dlms::id::{ClientSap, ServerSap};
use dlms::security::{Context, Envelope, KeySet, Protection, RustCrypto, Suite};
use dlms::wrapper::server::Wrapper;
use dlms_cosem_rs::axdr::Data as TheirData;
use dlms_cosem_rs::client::{NotificationListener, SingleMeterKeys};
use dlms_cosem_rs::security::{KeyRing, RustCryptoProvider, SecurityPolicy, SecuritySuite, SystemTitle};
use dlms_cosem_rs::server::PushSender;
use pair::*;

#[test]
fn its_pushes_open_at_our_receiver() {
    let provider = RustCryptoProvider::new(KeyRing::new(PUSH_KEY, GAK));
    let title = SystemTitle::new(SERVER_TITLE.0);
    let policy = SecurityPolicy::authenticated_encrypted(SecuritySuite::Suite0);
    let mut sender: PushSender<_> = PushSender::new(provider, title, policy, 41);
    let keys = KeySet::new(Suite::Suite0, &PUSH_KEY, &GAK).unwrap();
    let context = Context::<RustCrypto>::new(CLIENT_TITLE, &keys).unwrap();
    let known = Sender::new(SERVER_TITLE, context, Protection::AUTHENTICATED_ENCRYPTED, 0);
    let mut receiver = Receiver::new([known]);
    for number in 0..3_u32 {
        let mut out = [0; 256];
        let length = sender.notify(None, &TheirData::DoubleLongUnsigned(number), &mut out).unwrap();
        let mut again = out;
        let received = receiver.open(&mut out[..length], None).unwrap();
        let Apdu::DataNotification(notification) = received.apdu else { panic!("{received:?}") };
        assert_eq!(notification.body, Data::DoubleLongUnsigned(number));
        assert_eq!((received.sender, received.counter), (Some(SERVER_TITLE), Some(42 + number)));
        assert!(matches!(receiver.open(&mut again[..length], None), Err(PushError::Security(_))));
    }
    assert_eq!(receiver.senders_mut()[0].floor(), 45);
}

#[test]
fn our_pushes_open_at_its_listener() {
    let now = Instant::from_millis(0);
    let mut meter = Meter::default();
    let link = Wrapper::new(vec![0; 256], vec![0; 256], 1_000);
    let line: server::Connection<_, RustCrypto, _, 1> = server::Connection::new(link, || vec![0; 256], vec![0; 512]);
    let mut line = line.with_outbox(vec![0; 256]);
    let title = SystemTitle::new(SERVER_TITLE.0);
    let ring = || KeyRing::new(PUSH_KEY, GAK);
    let lookup = SingleMeterKeys::new(title, ring());
    let policy = SecurityPolicy::authenticated_encrypted(SecuritySuite::Suite0);
    let mut listener = NotificationListener::new(RustCryptoProvider::new(ring()), lookup, policy);
    for number in 1..4 {
        let invoke = LongInvokeIdAndPriority::new(number, 0);
        let notification = DataNotification { invoke, time: None, body: Data::DoubleLongUnsigned(number) };
        let protection = PushProtection::Keys(Envelope::GeneralGlobal);
        let to = PushTo { client: ClientSap(102), server: ServerSap(1), protection, max_pdu: 0, confirmation: None };
        line.notify(&Apdu::DataNotification(notification), to, now, &mut meter).unwrap();
        let mut wpdu = [0; 256];
        let length = line.poll_transmit(&mut wpdu).unwrap();
        assert_eq!(line.poll_transmit(&mut []), None);
        let mut plain = [0; 256];
        let received = listener.handle(&wpdu[8..length], &mut plain).unwrap();
        assert_eq!(received.body, TheirData::DoubleLongUnsigned(number));
        assert_eq!(received.system_title, Some(title));
        assert_eq!(received.invocation_counter, Some(meter.counter));
        assert!(listener.handle(&wpdu[8..length], &mut plain).is_err(), "a replay");
    }
}
