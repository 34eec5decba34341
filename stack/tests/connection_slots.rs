//! A line with room for one association and a client that wants more.

mod pair;

use dlms::Instant;
use dlms::association::server::Connection;
use dlms::security::RustCrypto;
use dlms::wrapper::server::Wrapper;
use hex_literal::hex;
use pair::{Counting, Meter};

const NOW: Instant = Instant::from_millis(0);

struct Line {
    line: Connection<Wrapper<Vec<u8>>, RustCrypto, Vec<u8>, 1>,
    meter: Meter,
    random: Counting,
}

impl Line {
    fn new() -> Self {
        let link = Wrapper::new(vec![0; 512], vec![0; 512], 1_000);
        Self {
            line: Connection::new(link, || vec![0; 128], vec![0; 512]),
            meter: Meter::default(),
            random: Counting(0),
        }
    }

    /// What is answered to an APDU of a client.
    fn ask(&mut self, client: u8, apdu: &[u8]) -> Vec<u8> {
        let mut wpdu = vec![0, 1, 0, client, 0, 1, 0, apdu.len() as u8];
        wpdu.extend(apdu);
        assert_eq!(self.line.handle_input(&wpdu, NOW, &mut self.meter, &mut self.random), Ok(wpdu.len()));
        let mut out = [0; 512];
        self.line.poll_transmit(&mut out).map(|length| out[8..length].to_vec()).unwrap_or_default()
    }
}

#[test]
fn only_a_proposal_takes_the_place_of_an_open_association() {
    let public = hex!("601DA109060760857405080101BE10040E01000000065F1F0400001E1DFFFF");
    let password = hex!(
        "6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363738BE10040E01000000065F1F0400001E1DFFFF"
    );
    let register = hex!("C001C100030100010800FF0200");
    let mut line = Line::new();
    // Before anybody is associated there is room to be told so.
    assert_eq!(line.ask(17, &register), hex!("D80101"));
    assert_eq!(line.ask(16, &public)[0], 0x61);
    assert_eq!(line.ask(16, &register), hex!("C401C1000600000391"));
    // A request of another client neither gets through nor ends the association.
    assert_eq!(line.ask(17, &register), hex!("D80101"));
    assert_eq!(line.ask(16, &register), hex!("C401C1000600000391"));
    // Its proposal does.
    assert_eq!(line.ask(17, &password)[0], 0x61);
    assert_eq!(line.ask(17, &register), hex!("C401C1000600000391"));
    assert_eq!(line.ask(16, &register), hex!("D80101"));
    assert_eq!(line.ask(17, &register), hex!("C401C1000600000391"));
    // A client that the meter does not know is told so when it proposes, and else nothing.
    assert_eq!(line.ask(99, &public), hex!("611FA109060760857405080101A203020101A305A103020101BE0604040E010600"));
    assert!(line.ask(99, &register).is_empty());
}
