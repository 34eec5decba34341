//! The sign-on of IEC 62056-21 from outside: the published messages, and both sides joined in virtual time.

use dlms::Instant;
use dlms::mode_e::client::{self, Event, Purpose};
use dlms::mode_e::server;
use dlms::mode_e::{Baud, DeviceAddress, Mode, Parity, SignOnError, Transmit, data_sets};
use hex_literal::hex;

const T0: Instant = Instant::from_millis(1_000);

type Client = client::SignOn<Vec<u8>>;

/// Octets as a port with eight bits and no parity shows them.
fn even(text: &[u8]) -> Vec<u8> {
    text.iter().map(|octet| octet | ((octet.count_ones() as u8 & 1) << 7)).collect()
}

/// A client that has asked, and what it sent.
struct Script {
    client: Client,
    now: Instant,
}

impl Script {
    fn new(change: impl FnOnce(&mut client::Config)) -> Self {
        let mut config = client::Config::new();
        change(&mut config);
        let mut script = Self { client: Client::new(config, vec![0; 256]), now: T0 };
        script.client.start(T0);
        assert_eq!(script.client.poll_event(), Some(Event::SetBaud(300)));
        script
    }

    fn sent(&mut self) -> Option<(Vec<u8>, u32)> {
        let mut out = [0; 64];
        self.client.poll_transmit(&mut out).map(|Transmit { len, baud }| (out[..len].to_vec(), baud))
    }

    fn wait(&mut self) -> u64 {
        let next = self.client.poll_timeout().expect("something is waited for");
        let waited = next.since_ms(self.now);
        self.now = self.now.max(next);
        self.client.handle_timeout(self.now);
        waited
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.client.poll_event()).collect()
    }

    fn input(&mut self, octets: &[u8]) -> usize {
        self.client.handle_input(octets, self.now)
    }

    /// Up to the change of the rate, for a meter that identifies itself so.
    fn identified(change: impl FnOnce(&mut client::Config), line: &[u8]) -> (Self, Vec<u8>) {
        let mut script = Self::new(change);
        script.sent().unwrap();
        script.input(&even(line));
        assert!(matches!(script.client.poll_event(), Some(Event::Identified(_))));
        assert_eq!(script.sent(), None, "the meter needs a moment");
        script.wait();
        let (select, baud) = script.sent().unwrap();
        assert_eq!(baud, 300, "the acknowledgement leaves at the first rate");
        (script, select)
    }
}

/// The published steps, octet for octet.
#[test]
fn the_published_sign_on() {
    let mut script = Script::new(|_| ());
    let request: Vec<u8> = hex!("2F3F210D0A").to_vec();
    assert_eq!(script.sent(), Some((even(&request), 300)));
    // An optical head returns what was sent.
    script.input(&even(&request));
    script.input(&even(b"/LGZ5\\2ZMD3104407.B32\r\n"));
    let Some(Event::Identified(identification)) = script.client.poll_event() else { panic!("no identification") };
    assert_eq!((identification.mode, &identification.maker), (Mode::E, b"LGZ"));
    assert_eq!(script.wait(), 200);
    assert_eq!(script.sent(), Some((even(&hex!("063235320D0A")), 300)));
    script.input(&even(&hex!("063235320D0A")));
    assert_eq!(script.wait(), 250, "six characters at 300 baud, and a pause");
    assert_eq!(script.events(), [Event::SetBaud(9_600)]);
    let confirmation = [even(&hex!("063235320D0A")), hex!("7EA0").to_vec()].concat();
    assert_eq!(script.input(&confirmation), 6, "what follows belongs to the link");
    assert_eq!(script.events(), [Event::Opened { baud: 9_600, confirmed: true }]);
    assert_eq!((script.client.poll_timeout(), script.sent()), (None, None));
}

#[test]
fn a_lower_rate_than_offered_may_be_selected_and_an_address_named() {
    let (_, select) = Script::identified(|config| config.baud_max = Baud::at_most(2_400).unwrap(), b"/LGZ6\\2X\r\n");
    assert_eq!(select, even(b"\x06232\r\n"));
    let mut script = Script::new(|config| config.address = "12345678".parse().unwrap());
    assert_eq!(script.sent().unwrap().0, even(b"/?12345678!\r\n"));
}

#[test]
fn lesson_12_a_missing_confirmation_is_not_waited_for_for_ever() {
    let (mut script, _) = Script::identified(|_| (), b"/ISK5\\2MT174-0001\r\n");
    script.wait();
    script.events();
    script.wait();
    assert_eq!(script.events(), [Event::Opened { baud: 9_600, confirmed: false }]);
}

/// A field report: the offer is ignored and a readout starts.
#[test]
fn lesson_12_a_readout_in_place_of_hdlc_is_named() {
    let (mut script, _) = Script::identified(|_| (), b"/NOX5\\2NORAX3\r\n");
    script.wait();
    script.events();
    script.input(&even(b"\x020.0.0(12345678)\r\n"));
    assert_eq!(script.events(), [Event::Failed(SignOnError::ReadoutInstead)]);
    let (mut script, _) = Script::identified(|_| (), b"/LGZ5\\2X\r\n");
    script.wait();
    script.events();
    script.input(&even(b"\x06230\r\n"));
    assert_eq!(script.events(), [Event::Failed(SignOnError::OtherOption)]);
}

#[test]
fn lesson_15_silence_and_noise_end_in_an_error_in_bounded_time() {
    let mut script = Script::new(|_| ());
    for _ in 0..3 {
        assert_eq!(script.sent().unwrap().0, even(b"/?!\r\n"));
        // Noise, a line with wrong parity, half a line.
        script.input(&[0x00, 0xFF, 0x55]);
        script.input(b"/LGZ5\\2X\r\n");
        assert!(script.wait() < 2_500);
    }
    assert_eq!(script.events(), [Event::Failed(SignOnError::NoIdentification { attempts: 3 })]);
    assert_eq!(script.client.poll_timeout(), None);
    script.client.start(script.now);
    assert_eq!(script.events(), [Event::SetBaud(300)]);
    script.sent();
    // A line that is arriving slowly is awaited.
    for octet in even(b"/LGZ5\\2ZMD3104407.B32\r\n") {
        script.now = script.now.after_ms(1_000);
        script.client.handle_timeout(script.now);
        script.input(&[octet]);
    }
    assert!(matches!(script.client.poll_event(), Some(Event::Identified(_))));
}

/// A line that never falls silent, as that of a customer port: each sign-on ends all the same.
#[test]
fn lesson_15_endless_talk_ends_in_an_error_in_bounded_time() {
    for (before, talk) in
        [(&b""[..], &b"/"[..]), (b"", b"x"), (b"/ISk5\\2ME382-1003\r\n", b"\x7E"), (b"/ISk5\\2M\r\n", b"\x06")]
    {
        let mut sign_on = client::SignOn::new(client::Config::new(), [0; 16]);
        let mut now = 0;
        let at = Instant::from_millis;
        sign_on.start(at(now));
        let mut heard = before.to_vec();
        let ended = loop {
            let mut out = [0; 64];
            sign_on.poll_transmit(&mut out);
            match sign_on.poll_event() {
                Some(Event::Failed(_) | Event::Opened { confirmed: false, .. }) => break true,
                Some(_) => continue,
                None => {}
            }
            if now > 400_000 {
                break false;
            }
            heard.extend(talk);
            let taken = sign_on.handle_input(&even(&heard), at(now));
            heard.drain(..taken);
            now += 100;
            sign_on.handle_timeout(at(now));
        };
        assert!(ended, "{talk:?}");
    }
}

#[test]
fn other_modes_are_recognised_and_their_readout_is_text() {
    let mut script = Script::new(|_| ());
    script.sent();
    script.input(&even(b"/EMH4\\@01LZQJL0014E\r\n"));
    assert!(matches!(script.client.poll_event(), Some(Event::Identified(_))));
    assert_eq!(script.events(), [Event::Failed(SignOnError::NotModeE(Mode::C))]);

    let text = b"F.F(00)\r\n1.8.0(000123.456*kWh)\r\n!\r\n";
    let check = text.iter().fold(0x03, |check, octet| check ^ octet);
    let block = [&[0x02][..], text, &[0x03, check]].concat();
    // Mode C waits for an option; A and B send at once, B at a rate of its own.
    for (line, selected, rate) in [
        (&b"/EMH4\\@01LZQJL0014E\r\n"[..], Some(b"\x06040\r\n"), 4_800),
        (b"/ABBC1\r\n", None, 2_400),
        (b"/NZR S1\r\n", None, 300),
    ] {
        let mut script = Script::new(|config| config.purpose = Purpose::HdlcOrReadout);
        script.sent();
        script.input(&even(line));
        assert!(matches!(script.client.poll_event(), Some(Event::Identified(_))));
        if let Some(selected) = selected {
            script.wait();
            assert_eq!(script.sent().unwrap().0, even(selected));
            script.wait();
        }
        assert_eq!(script.events(), [Event::SetBaud(rate)]);
        assert_eq!(script.input(&even(&block)), block.len());
        assert_eq!(script.events(), [Event::Readout]);
        assert_eq!(script.client.readout(), text);
        let energy = data_sets(script.client.readout()).nth(1).unwrap();
        assert_eq!((energy.address, energy.value, energy.unit), (&b"1.8.0"[..], &b"000123.456"[..], &b"kWh"[..]));
    }
}

#[test]
fn a_damaged_or_endless_or_broken_readout_is_an_error() {
    let reading = || {
        let mut script = Script::new(|config| config.purpose = Purpose::Readout);
        script.sent();
        script.input(&even(b"/NZR S1\r\n"));
        script.events();
        script
    };
    let block = even(b"\x021.8.0(1)\r\n!\r\n\x03");
    let mut script = reading();
    script.input(&[&block[..], &[0x55]].concat());
    assert_eq!(script.events(), [Event::Failed(SignOnError::ReadoutCheck)]);
    let mut script = reading();
    let taken = script.input(&even(&[&[0x02][..], &[b'1'; 300]].concat()));
    assert_eq!(taken, 258);
    assert_eq!(script.events(), [Event::Failed(SignOnError::ReadoutTooLong { limit: 256 })]);
    let mut script = reading();
    script.input(&block[..5]);
    assert_eq!(script.wait(), 1_500);
    assert_eq!(script.events(), [Event::Failed(SignOnError::ReadoutIncomplete { octets: 4 })]);
    assert!(script.client.readout().is_empty());
}

/// Both sides on one line: characters take their time, and none is understood at another rate than it was sent at.
struct Pair {
    client: Client,
    meter: server::SignOn<Vec<u8>>,
    rates: (u32, u32),
    now: Instant,
    seen: Vec<Event>,
    meter_seen: Vec<server::Event>,
    /// Octets on their way: when, at which rate, to the meter.
    flying: Vec<(Instant, u32, bool, u8)>,
}

impl Pair {
    fn new(client: client::Config, meter: server::Config, readout: &[u8]) -> Self {
        Self {
            client: Client::new(client, vec![0; 512]),
            meter: server::SignOn::new(meter, readout.to_vec()),
            rates: (300, 300),
            now: T0,
            seen: Vec::new(),
            meter_seen: Vec::new(),
            flying: Vec::new(),
        }
    }

    fn send(&mut self, transmit: Transmit, octets: &[u8], to_meter: bool) {
        let own = if to_meter { self.rates.0 } else { self.rates.1 };
        assert_eq!(transmit.baud, own, "sent at a rate that is not set");
        let busy = self.flying.iter().filter(|octet| octet.2 == to_meter).map(|octet| octet.0).max();
        let mut at = busy.unwrap_or(self.now);
        for octet in octets {
            at = at.after_ms(10_000_u64.div_ceil(u64::from(transmit.baud)));
            self.flying.push((at, transmit.baud, to_meter, *octet));
        }
    }

    fn drain(&mut self) {
        let mut out = [0; 64];
        while let Some(transmit) = self.client.poll_transmit(&mut out) {
            self.send(transmit, &{ out }[..transmit.len], true);
        }
        while let Some(event) = self.client.poll_event() {
            if let Event::SetBaud(baud) = event {
                assert!(self.flying.iter().all(|octet| !octet.2), "own octets are still leaving");
                self.rates.0 = baud;
            }
            self.seen.push(event);
        }
        loop {
            if let Some(transmit) = self.meter.poll_transmit(&mut out) {
                self.send(transmit, &{ out }[..transmit.len], false);
                continue;
            }
            // The port lets all leave before it changes the rate.
            let leaving = self.flying.iter().any(|octet| !octet.2);
            match (!leaving).then(|| self.meter.poll_event()).flatten() {
                Some(event) => {
                    if let server::Event::SetBaud(baud) = event {
                        self.rates.1 = baud;
                    }
                    self.meter_seen.push(event);
                }
                None => return,
            }
        }
    }

    fn run(&mut self, limit_ms: u64) {
        let end = self.now.after_ms(limit_ms);
        loop {
            self.drain();
            let wakes =
                [self.flying.iter().map(|octet| octet.0).min(), self.client.poll_timeout(), self.meter.poll_timeout()];
            let Some(next) = wakes.into_iter().flatten().min().filter(|next| *next <= end) else { return };
            self.now = self.now.max(next);
            while let Some(at) = self.flying.iter().position(|octet| octet.0 <= self.now) {
                let (_, rate, to_meter, octet) = self.flying.remove(at);
                let listening = if to_meter { self.rates.1 } else { self.rates.0 };
                let octet = if rate == listening { octet } else { 0xFF };
                match to_meter {
                    true => drop(self.meter.handle_input(&[octet], self.now)),
                    false => drop(self.client.handle_input(&[octet], self.now)),
                }
                self.drain();
            }
            self.client.handle_timeout(self.now);
            self.meter.handle_timeout(self.now);
        }
    }
}

#[test]
fn both_sides_meet_at_the_lower_rate() {
    let text = b"ZMD3104407.B32";
    for (offered, wanted, rate) in [(9_600, 19_200, 9_600), (19_200, 4_800, 4_800), (300, 9_600, 300)] {
        let meter = server::Config::new(*b"LGZ", Baud::at_most(offered).unwrap()).with_text(text);
        let client = client::Config { baud_max: Baud::at_most(wanted).unwrap(), ..client::Config::new() };
        let mut pair = Pair::new(client, meter, b"");
        pair.client.start(pair.now);
        pair.run(10_000);
        assert_eq!(pair.seen.last(), Some(&Event::Opened { baud: rate, confirmed: true }), "{:?}", pair.seen);
        assert_eq!(pair.meter_seen.last(), Some(&server::Event::Opened { baud: rate }));
        assert_eq!(pair.rates, (rate, rate));
        assert!(pair.now.since_ms(T0) < 4_500, "{}", pair.now);
        // The link is down again: the next sign-on.
        pair.meter.reset();
        pair.client.start(pair.now);
        pair.run(10_000);
        assert_eq!(pair.meter_seen.last(), Some(&server::Event::Opened { baud: rate }));
    }
}

#[test]
fn a_readout_is_asked_for_and_the_meter_waits_for_the_next_sign_on() {
    let readout = b"0.0.0(12345678)\r\n1.8.0(000123.456*kWh)\r\n".repeat(5);
    let meter = server::Config::new(*b"EMH", Baud::at_most(4_800).unwrap()).with_text(b"LZQJ");
    let client = client::Config { purpose: Purpose::Readout, ..client::Config::new() };
    let mut pair = Pair::new(client, meter, &readout);
    for _ in 0..2 {
        pair.client.start(pair.now);
        pair.run(20_000);
        assert_eq!(pair.seen.last(), Some(&Event::Readout), "{:?}", pair.seen);
        assert_eq!(data_sets(pair.client.readout()).count(), 10);
        assert_eq!(pair.rates.1, 300);
    }
    // A meter without one says no, and a client without HDLC hears nothing more.
    let mut pair = Pair::new(client, meter, b"");
    pair.client.start(pair.now);
    pair.run(20_000);
    assert!(pair.meter_seen.contains(&server::Event::Refused(b'0', b'0')));
    assert_eq!(pair.seen.last(), Some(&Event::Failed(SignOnError::ReadoutIncomplete { octets: 0 })));
}

#[test]
fn a_meter_answers_to_its_address_and_forgets_a_client_that_is_silent() {
    let mut config = server::Config::new(*b"LGZ", Baud::HIGHEST).with_text(b"/X!\n");
    config.address = DeviceAddress::new(b"00042").unwrap();
    let mut meter = server::SignOn::new(config, vec![]);
    for (request, answered) in
        [(&b"/?43!\r\n"[..], false), (b"/?!\r\n", true), (b"noise/?42!\r\n", true), (b"/?0042!\r\n", true)]
    {
        assert_eq!(meter.handle_input(&even(request), T0), request.len());
        assert_eq!(meter.poll_timeout().is_some(), answered, "{request:?}");
        if !answered {
            continue;
        }
        meter.handle_timeout(T0.after_ms(200));
        let mut out = [0; 64];
        let transmit = meter.poll_transmit(&mut out).unwrap();
        assert_eq!(out[..transmit.len], even(b"/LGZ6\\2X\r\n"));
        let deadline = meter.poll_timeout().unwrap();
        meter.handle_timeout(deadline);
        assert_eq!(meter.poll_timeout(), None);
        // An option that comes too late, or without a sign-on, is nothing.
        meter.handle_input(&even(b"\x06252\r\n"), deadline);
        assert_eq!((meter.poll_event(), meter.poll_timeout()), (None, None));
    }
    for option in [&b"\x06292\r\n"[..], b"\x06152\r\n", b"\x06051\r\n"] {
        meter.handle_input(&even(b"/?!\r\n"), T0);
        meter.handle_timeout(T0.after_ms(200));
        meter.poll_transmit(&mut [0; 64]).unwrap();
        meter.handle_input(&even(option), T0.after_ms(900));
        assert!(matches!(meter.poll_event(), Some(server::Event::Refused(..))), "{option:?}");
    }
}

/// A port that makes the parity itself hands on seven bits.
#[test]
fn the_port_may_make_the_parity() {
    let mut script = Script::new(|config| config.parity = Parity::Port);
    assert_eq!(script.sent().unwrap().0, b"/?!\r\n");
    script.input(b"/LGZ5\\2X\r\n");
    assert!(matches!(script.client.poll_event(), Some(Event::Identified(_))));
}

/// Whatever comes, at any time: no panic, and every wait ends.
#[test]
fn any_octets_at_any_time() {
    let mut state = 1_u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let lines: [&[u8]; 6] = [b"/LGZ5\\2X\r\n", b"\x06252\r\n", b"/?!\r\n", b"\x02A(1)\x03", b"/ABBE\r\n", b"/LGZ5\r\n"];
    for round in 0..400 {
        let config = client::Config { purpose: Purpose::HdlcOrReadout, ..client::Config::new() };
        let mut client = Client::new(config, vec![0; 8]);
        let mut meter =
            server::SignOn::new(server::Config::new(*b"LGZ", Baud::HIGHEST).with_text(b"/X!\n"), b"1(2)\r\n".to_vec());
        let mut now = T0;
        client.start(now);
        for _ in 0..60 {
            now = now.after_ms(u64::from(random()) * 8);
            let octets = if random() < 128 { even(lines[usize::from(random()) % 6]) } else { vec![random(); 5] };
            client.handle_input(&octets, now);
            meter.handle_input(&octets, now);
            client.handle_timeout(now);
            meter.handle_timeout(now);
            let mut out = [0; 64];
            let sent = (0..50).take_while(|_| client.poll_transmit(&mut out).is_some()).count();
            let answered = (0..50).take_while(|_| meter.poll_transmit(&mut out).is_some()).count();
            assert!(sent <= 1 && answered <= 2, "round {round}");
            while client.poll_event().is_some() || meter.poll_event().is_some() {}
        }
        let end = now.after_ms(60_000);
        while let Some(next) = client.poll_timeout() {
            now = now.max(next);
            assert!(now <= end, "round {round}: waits for ever");
            client.handle_timeout(now);
            client.poll_transmit(&mut [0; 64]);
            while client.poll_event().is_some() {}
        }
    }
}
