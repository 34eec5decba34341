//! The client's station, the server's side scripted.

use dlms::hdlc::{Address, FRAME_MAX, Parameters, Width, client};
use dlms::link::{Link, LinkError, LinkEvent};
use hex_literal::hex;

use crate::pair::{Pair, Setup};
use crate::script::{Client, frame, sap, short};

const SNRM: [u8; 9] = hex!("7EA0070321930F017E");
const UA: [u8; 32] = hex!("7EA01E210373C37A818012050180060180070400000001080400000001533B7E");
const AARQ_FRAME: [u8; 45] =
    hex!("7EA02B032110FBAFE6E600601DA109060760857405080101BE10040E01000000065F1F0400007E1F04B0CAEA7E");
const GET_FRAME: [u8; 27] = hex!("7EA0190321326FD8E6E600C001C100080000010000FF0200601A7E");

/// The published exchange: set-up, association, a request, an answer in two segments, another request, release.
#[test]
fn published_exchange() {
    let mut client = Client::new(|_| ());
    client.session.open(client.now);
    assert_eq!(client.sent(), [SNRM]);
    client.input(&UA);
    assert_eq!(client.session.poll_event(), Some(LinkEvent::Opened));

    client.send(&AARQ_FRAME[11..42]);
    assert_eq!(client.sent(), [AARQ_FRAME]);
    client.receive(0x30, false, &hex!("E6E700 6129"));
    assert_eq!(client.apdu(), Some(hex!("6129").to_vec()));

    client.send(&GET_FRAME[11..24]);
    assert_eq!(client.sent(), [GET_FRAME]);
    client.receive(0x52, true, &hex!("E6E700 C401C100"));
    assert_eq!(client.sent(), [hex!("7EA00703215111E47E")], "RR, next expected 2");
    client.receive(0x54, false, &hex!("090C"));
    assert_eq!(client.apdu(), Some(hex!("C401C100 090C").to_vec()));

    client.send(&[0xC0]);
    assert_eq!(client.sent(), [frame(sap(1), sap(16), 0x74, false, &hex!("E6E600 C0"))]);
    client.receive(0x76, false, &hex!("E6E700 C4"));
    assert_eq!(client.apdu(), Some(vec![0xC4]));

    client.session.close(client.now);
    assert_eq!(client.sent(), [hex!("7EA00703215303C77E")]);
    client.input(&hex!("7EA00721037301407E"));
    assert_eq!(client.session.poll_event(), Some(LinkEvent::Closed));
    assert_eq!(client.session.poll_timeout(), None);
}

#[test]
fn parameters_are_proposed_and_what_comes_back_is_clamped() {
    let server = Address::new(1, 17, Width::Four).unwrap();
    let mut client = Client::new(|config| {
        config.server = server;
        config.parameters = Parameters { window_receive: 7, ..Parameters::DEFAULT };
    });
    client.session.open(client.now);
    assert_eq!(client.sent(), [hex!("7EA0210002002321931964818012050180060180070400000001080400000007655E7E")]);
    // Wants to be sent 1024 octets in windows of 3: more than was proposed.
    client.receive(0x73, false, &hex!("81800B 0601FF 06020400 080103 00"));
    assert_eq!(client.session.poll_event(), Some(LinkEvent::Failed(LinkError::BadParameters)));

    client.session.open(client.now);
    client.sent();
    client.receive(0x73, false, &hex!("81800A 0601FF 06020400 080103"));
    assert_eq!(client.session.poll_event(), Some(LinkEvent::Opened));
    client.send(&[0xC0; 200]);
    let sent: Vec<_> = client.sent().iter().map(|frame| short(frame)).collect();
    assert_eq!(sent.len(), 1, "window 1 was proposed");
    assert_eq!((sent[0].0, sent[0].1, sent[0].2.len()), (0x10, true, 128));
    client.receive(0x31, false, &[]);
    let sent: Vec<_> = client.sent().iter().map(|frame| short(frame)).collect();
    assert_eq!((sent[0].0, sent[0].1, sent[0].2.len()), (0x12, false, 75));
}

#[test]
fn an_answer_without_parameters_means_the_defaults() {
    let mut client = Client::new(|config| config.parameters = Parameters::symmetric(512, 3));
    client.session.open(client.now);
    assert_eq!(short(&client.sent()[0]).0, 0x93);
    client.receive(0x73, false, &[]);
    client.send(&[0xC0; 300]);
    let sent = client.sent();
    assert_eq!((sent.len(), short(&sent[0]).2.len()), (1, 128));
}

#[test]
fn refused_parameters_are_left_out_and_a_refused_link_is_an_error() {
    let mut client = Client::new(|config| config.parameters = Parameters::symmetric(512, 3));
    client.session.open(client.now);
    assert!(!short(&client.sent()[0]).2.is_empty());
    client.receive(0x1F, false, &[]);
    assert_eq!(client.sent(), [SNRM]);
    client.receive(0x1F, false, &[]);
    assert_eq!(client.session.poll_event(), Some(LinkEvent::Failed(LinkError::Refused)));
    assert_eq!(client.session.send(&[1], client.now), Err(LinkError::NotOpen));
}

#[test]
fn lesson_07_a_server_may_answer_in_another_width() {
    let mut client = Client::new(|_| ());
    let wide = Address::new(1, 2836, Width::Four).unwrap();
    client.session.open(client.now);
    client.sent();
    client.input(&frame(sap(16), wide, 0x73, false, &[]));
    assert_eq!(client.session.poll_event(), Some(LinkEvent::Opened));
    client.send(&[0xC0]);
    client.sent();
    client.input(&frame(sap(16), Address::new(2, 2836, Width::Four).unwrap(), 0x30, false, &[1]));
    client.input(&frame(sap(17), wide, 0x30, false, &[2]));
    assert_eq!(client.apdu(), None, "another logical device's, another client's");
    assert_eq!(client.session.foreign_frames(), 2);
    client.input(&frame(sap(16), wide, 0x30, false, &hex!("E6E700 C4")));
    assert_eq!(client.apdu(), Some(vec![0xC4]));
}

#[test]
fn the_llc_header_of_either_direction_is_taken() {
    let mut client = Client::opened(|_| ());
    for (control, llc) in [(0x30, hex!("E6E700")), (0x52, hex!("E6E600"))] {
        client.send(&[0xC0]);
        client.sent();
        client.receive(control, false, &[&llc[..], &[0xC4]].concat());
        assert_eq!(client.apdu(), Some(vec![0xC4]));
    }
}

#[test]
fn lesson_15_a_lost_answer_is_polled_for() {
    let mut client = Client::opened(|_| ());
    client.send(&[0xC0]);
    assert_eq!(client.controls(), [0x10]);
    assert_eq!(client.wait(), 1_000);
    assert_eq!(client.controls(), [0x11], "RR, next expected still 0");
    client.receive(0x30, false, &[0xC4]);
    assert_eq!(client.apdu(), Some(vec![0xC4]));
}

#[test]
fn lesson_15_a_lost_request_is_sent_again_as_it_was() {
    let mut client = Client::opened(|_| ());
    client.send(&[0xC0, 1, 2]);
    let first = client.sent();
    client.wait();
    assert_eq!(client.controls(), [0x11]);
    client.receive(0x11, false, &[]);
    assert_eq!(client.sent(), first, "the same octets");
    client.receive(0x30, false, &[0xC4]);
    assert_eq!(client.apdu(), Some(vec![0xC4]));
}

#[test]
fn lesson_15_a_lost_segment_is_asked_for_again() {
    let mut client = Client::opened(|config| config.parameters.window_receive = 3);
    client.send(&[0xC0]);
    client.sent();
    client.receive(0x20, true, &hex!("E6E700 01"));
    client.receive(0x34, false, &[3]);
    assert_eq!(client.controls(), [0x31], "the second of three is missing");
    client.receive(0x22, true, &[2]);
    client.receive(0x34, false, &[3]);
    assert_eq!(client.apdu(), Some(vec![1, 2, 3]));
}

#[test]
fn a_copy_of_a_segment_is_acknowledged_again_but_not_taken() {
    let mut client = Client::opened(|_| ());
    client.send(&[0xC0]);
    client.sent();
    client.receive(0x30, true, &hex!("E6E700 01"));
    assert_eq!(client.controls(), [0x31]);
    client.receive(0x30, true, &hex!("E6E700 01"));
    client.wait();
    assert_eq!(client.controls(), [0x31]);
    client.receive(0x32, false, &[2]);
    assert_eq!(client.apdu(), Some(vec![1, 2]));
}

/// The first poll was only slow: its answer must not be taken for that to the next request.
#[test]
fn lesson_15_late_answers_to_repeated_polls_do_not_shift_the_conversation() {
    let mut client = Client::opened(|_| ());
    client.send(&[0xC0]);
    client.sent();
    client.wait();
    client.wait();
    assert_eq!(client.controls(), [0x11]);
    client.receive(0x30, false, &[1]);
    assert_eq!(client.apdu(), Some(vec![1]));
    client.send(&[0xC1]);
    let request = client.sent();
    assert_eq!(short(&request[0]).0, 0x32);
    client.receive(0x30, false, &[1]);
    client.receive(0x31, false, &[]);
    assert_eq!(client.sent(), Vec::<Vec<u8>>::new(), "the request is with the server: nothing is repeated");
    assert_eq!(client.apdu(), None);
    client.receive(0x52, false, &[2]);
    assert_eq!(client.apdu(), Some(vec![2]));
}

#[test]
fn a_second_answer_to_set_up_is_ignored() {
    let mut client = Client::new(|_| ());
    client.session.open(client.now);
    client.wait();
    client.receive(0x73, false, &[]);
    client.send(&[0xC0]);
    client.sent();
    client.receive(0x73, false, &[]);
    client.receive(0x30, false, &[0xC4]);
    assert_eq!(client.session.poll_event(), Some(LinkEvent::Opened));
    assert_eq!(client.apdu(), Some(vec![0xC4]));
}

#[test]
fn a_busy_server_is_polled_until_it_is_ready() {
    let mut client = Client::opened(|_| ());
    client.send(&[0xC0]);
    let request = client.sent();
    client.receive(0x15, false, &[]);
    assert_eq!(client.sent(), Vec::<Vec<u8>>::new());
    assert_eq!(client.wait(), 100);
    assert_eq!(client.controls(), [0x11]);
    client.receive(0x15, false, &[]);
    client.wait();
    assert_eq!(client.controls(), [0x11]);
    client.receive(0x11, false, &[]);
    assert_eq!(client.sent(), request);
    client.receive(0x30, false, &[0xC4]);
    assert_eq!(client.apdu(), Some(vec![0xC4]));
}

#[test]
fn a_reject_frame_asks_for_the_request_again() {
    let mut client = Client::opened(|_| ());
    client.send(&[0xC0]);
    let request = client.sent();
    client.receive(0x19, false, &[]);
    assert_eq!(client.sent(), request);
}

#[test]
fn lesson_15_a_server_that_stays_busy_or_never_answers_ends_in_an_error() {
    for answer in [0x31, 0x35, 0x15] {
        let mut client = Client::opened(|_| ());
        client.send(&[0xC0]);
        let mut polls = 0;
        let failed = loop {
            polls += client.sent().len();
            client.receive(answer, false, &[]);
            match client.session.poll_event() {
                Some(event) => break event,
                None => client.wait(),
            };
        };
        assert_eq!(failed, LinkEvent::Failed(LinkError::NoAnswer), "{answer:#04x}");
        assert!((100..=102).contains(&polls), "{polls} polls");
        assert_eq!(client.now.as_millis(), 10_000);
    }
}

/// The server answers every poll, but never with the segment that is expected; or takes no frame of a burst.
#[test]
fn lesson_15_a_server_that_never_gets_on_ends_in_an_error_after_the_attempts() {
    let mut client = Client::opened(|_| ());
    client.send(&[0xC0]);
    client.sent();
    client.receive(0x36, false, &[1]);
    for _ in 0..4 {
        assert_eq!(client.controls(), [0x11]);
        client.receive(0x36, false, &[1]);
    }
    let failed = LinkEvent::Failed(LinkError::NoResponse { attempts: 4 });
    assert_eq!(client.session.poll_event(), Some(failed));

    let mut client = Client::new(|config| config.parameters = Parameters::symmetric(128, 2));
    client.session.open(client.now);
    client.sent();
    client.receive(0x73, false, &hex!("81800C 070400000002 080400000002"));
    assert_eq!(client.session.poll_event(), Some(LinkEvent::Opened));
    client.send(&[0xC0; 200]);
    for _ in 0..4 {
        assert_eq!(client.controls(), [0x00, 0x12]);
        client.receive(0x11, false, &[]);
    }
    assert_eq!(client.session.poll_event(), Some(failed));
}

#[test]
fn lost_polls_do_not_add_up_while_the_server_lives() {
    let mut client = Client::opened(|_| ());
    client.send(&[0xC0]);
    client.sent();
    client.receive(0x31, false, &[]);
    for _ in 0..8 {
        assert_eq!(client.wait(), 100);
        assert_eq!(client.wait(), 1_000, "lost");
        assert_eq!(client.controls(), [0x11]);
        client.receive(0x31, false, &[]);
    }
    client.receive(0x30, false, &[0xC4]);
    assert_eq!(client.apdu(), Some(vec![0xC4]));
}

#[test]
fn frames_of_a_window_that_come_slowly_are_awaited() {
    let mut client = Client::opened(|config| config.parameters.window_receive = 7);
    client.send(&[0xC0]);
    client.sent();
    for n in 0..6_u8 {
        client.now = client.now.after_ms(900);
        client.session.handle_timeout(client.now);
        client.receive(0x20 | (n << 1), true, &[n]);
    }
    assert_eq!(client.sent(), Vec::<Vec<u8>>::new(), "the server is not interrupted");
    client.receive(0x3C, false, &[6]);
    assert_eq!(client.apdu(), Some(vec![0, 1, 2, 3, 4, 5, 6]));
}

#[test]
fn an_answer_in_segments_is_fetched_even_if_none_was_expected() {
    let mut client = Client::opened(|_| ());
    client.session.send_unconfirmed(&[0xC1], client.now).unwrap();
    client.sent();
    client.receive(0x30, true, &[1]);
    assert_eq!(client.controls(), [0x31]);
    client.receive(0x32, false, &[2]);
    assert_eq!(client.apdu(), Some(vec![1, 2]));
}

#[test]
fn closing_goes_on_when_the_server_is_silent() {
    let mut client = Client::opened(|_| ());
    client.send(&[0xC0]);
    client.sent();
    client.session.close(client.now);
    assert_eq!(client.wait(), 1_000);
    assert_eq!(client.controls(), [0x53]);
    client.receive(0x1F, false, &[]);
    assert_eq!(client.session.poll_event(), Some(LinkEvent::Closed));
}

/// Same address on both sides: a poll, its echo and its answer are the same octets.
#[test]
fn an_echo_is_expected_once_for_each_frame_of_the_turn() {
    let mut client = Client::opened(|config| {
        (config.client, config.local_echo, config.keep_alive_ms) = (sap(1), true, 60_000);
    });
    client.wait();
    assert_eq!(client.controls(), [0x11]);
    assert_eq!(client.wait(), 1_000, "neither echo nor answer");
    assert_eq!(client.controls(), [0x11]);
    client.receive(0x11, false, &[]);
    client.receive(0x11, false, &[]);
    assert_eq!(client.wait(), 60_000, "the echo, and the answer");
}

#[test]
fn an_unconfirmed_request_is_not_polled_for() {
    let mut client = Client::opened(|_| ());
    client.session.send_unconfirmed(&[0xC1], client.now).unwrap();
    client.sent();
    client.receive(0x31, false, &[]);
    assert_eq!(client.session.poll_timeout(), None);
    client.send(&[0xC0]);
    assert_eq!(client.controls(), [0x12]);
}

#[test]
fn lesson_10_a_segmented_notification_between_request_and_answer() {
    let mut client = Client::opened(|_| ());
    client.send(&[0xC0]);
    client.sent();
    client.receive(0x03, true, &hex!("E6E700 0F 01"));
    client.receive(0x13, false, &[2]);
    assert_eq!(client.apdu(), Some(vec![0x0F, 1, 2]));
    client.receive(0x30, true, &hex!("E6E700 C4"));
    client.receive(0x13, false, &hex!("E6E700 0F 03"));
    assert_eq!(client.apdu(), Some(vec![0x0F, 3]));
    assert_eq!(client.controls(), [0x31]);
    client.receive(0x32, false, &[5]);
    assert_eq!(client.apdu(), Some(vec![0xC4, 5]));
}

#[test]
fn lesson_10_a_notification_comes_without_a_link_and_its_lost_end_frees_the_storage() {
    let mut client = Client::new(|_| ());
    client.input(&hex!("7EA017210313A6E0E6E7000F0000000100060000000152607E"));
    assert_eq!(client.apdu(), Some(hex!("0F00000001000600000001").to_vec()));
    client.receive(0x03, true, &hex!("E6E700 0F 01"));
    assert_eq!(client.wait(), 1_000);
    client.receive(0x13, false, &[2]);
    assert_eq!(client.apdu(), Some(vec![2]), "its first part was given up");
}

/// FRMR of a real meter.
#[test]
fn a_rejected_frame_ends_the_link() {
    let mut client = Client::opened(|config| {
        config.client = sap(1);
        config.server = Address::new(1, 2836, Width::Four).unwrap();
    });
    client.send(&[0xC0]);
    client.input(&hex!("7EA00F0300022C29971B60540010743F7E"));
    let failed = LinkEvent::Failed(LinkError::FrameRejected { reason: 0x10 });
    assert_eq!(client.session.poll_event(), Some(failed));
    assert_eq!(client.sent(), Vec::<Vec<u8>>::new());
}

#[test]
fn a_lost_link_is_an_error_and_lesson_09_opening_again_starts_at_zero() {
    let mut client = Client::opened(|_| ());
    client.send(&[0xC0]);
    client.sent();
    client.receive(0x30, true, &[1]);
    client.receive(0x1F, false, &[]);
    assert_eq!(client.session.poll_event(), Some(LinkEvent::Failed(LinkError::Disconnected)));
    client.session.open(client.now);
    assert_eq!(client.sent(), [SNRM]);
    client.receive(0x73, false, &[]);
    assert_eq!(client.session.poll_event(), Some(LinkEvent::Opened));
    client.send(&[0xC0]);
    assert_eq!(client.controls(), [0x10]);
    client.receive(0x30, false, &[2]);
    assert_eq!(client.apdu(), Some(vec![2]), "nothing of the segment before");
}

#[test]
fn an_answer_over_the_storage_is_an_error() {
    let mut client = Client::opened(|_| ());
    client.send(&[0xC0]);
    client.sent();
    for n in 0..8_u8 {
        client.receive(0x30 | (n << 1), true, &[7; 128]);
        client.sent();
    }
    assert_eq!(client.session.poll_event(), None);
    client.receive(0x30, false, &[7]);
    let failed = LinkError::Oversize { length: 1_022, limit: 1_021 };
    assert_eq!(client.session.poll_event(), Some(LinkEvent::Failed(failed)));
}

#[test]
fn a_request_over_the_storage_is_refused_and_the_link_lives() {
    let mut client = Client::opened(|_| ());
    let refused = LinkError::ApduTooLong { length: 1_022, limit: 1_021 };
    assert_eq!(client.session.send(&[0; 1_022], client.now), Err(refused));
    client.send(&[0; 1_021]);
    assert_eq!(client.session.send(&[0], client.now), Err(LinkError::Busy));
    assert_eq!(client.controls(), [0x10]);
}

#[test]
fn a_transmit_buffer_that_holds_no_frame_is_reported() {
    let mut client = Client::opened(|_| ());
    client.send(&[0; 20]);
    assert_eq!(client.session.poll_transmit(&mut [0; 33]), None);
    let failed = LinkError::TransmitBufferTooSmall { needed: 34 };
    assert_eq!(client.session.poll_event(), Some(LinkEvent::Failed(failed)));
}

#[test]
fn an_idle_link_is_kept_alive() {
    let mut client = Client::opened(|config| config.keep_alive_ms = 60_000);
    assert_eq!(client.wait(), 60_000);
    assert_eq!(client.controls(), [0x11]);
    client.receive(0x11, false, &[]);
    assert_eq!(client.wait(), 60_000);
    assert_eq!(client.controls(), [0x11]);
}

#[test]
fn closing_waits_for_the_servers_turn_and_for_no_more_than_the_attempts() {
    let mut client = Client::opened(|_| ());
    client.send(&[0xC0]);
    client.sent();
    client.session.close(client.now);
    assert_eq!(client.sent(), Vec::<Vec<u8>>::new(), "the server may be speaking");
    client.receive(0x30, false, &[0xC4]);
    assert_eq!(client.controls(), [0x53]);
    assert_eq!(client.session.poll_event(), Some(LinkEvent::Apdu));
    client.session.release_apdu();
    for _ in 0..3 {
        assert_eq!(client.wait(), 1_000);
        assert_eq!(client.controls(), [0x53]);
    }
    client.wait();
    assert_eq!(client.session.poll_event(), Some(LinkEvent::Closed));
    assert_eq!(client.session.poll_timeout(), None);
}

#[test]
fn the_time_of_the_octets_on_a_slow_line_comes_on_top() {
    let mut client = Client::opened(|config| config.octet_time_us = 10_000);
    client.send(&[0; 86]);
    assert_eq!(client.sent()[0].len(), 100);
    assert_eq!(client.wait(), 2_000);
}

#[test]
fn a_frame_that_is_arriving_is_not_asked_for_again() {
    let mut client = Client::opened(|_| ());
    client.send(&[0xC0]);
    client.sent();
    let answer = frame(sap(16), sap(1), 0x30, false, &hex!("E6E700 C401C100"));
    client.now = client.now.after_ms(900);
    client.input(&answer[..6]);
    assert_eq!(client.wait(), 500, "the inter-octet time-out is the next deadline");
    assert_eq!(client.controls(), [0x11], "the rest did not come");

    let mut client = Client::opened(|_| ());
    client.send(&[0xC0]);
    client.sent();
    client.now = client.now.after_ms(900);
    client.input(&answer[..6]);
    client.now = client.now.after_ms(200);
    client.session.handle_timeout(client.now);
    client.input(&answer[6..]);
    assert_eq!(client.sent(), Vec::<Vec<u8>>::new());
    assert_eq!(client.apdu(), Some(hex!("C401C100").to_vec()));
}

/// Optical heads and two-wire lines return what is sent, even where both stations have the same address.
#[test]
fn own_frames_that_come_back_are_dropped() {
    for (own, server, local_echo) in [(16, 1, false), (16, 1, true), (1, 1, true)] {
        let mut pair = Pair::new(Setup { client: Parameters::symmetric(64, 3), ..Setup::default() });
        let mut config = client::Config::new(sap(own), sap(server));
        config.parameters = Parameters::symmetric(64, 3);
        config.local_echo = local_echo;
        pair.client = client::Session::new(config, vec![0; FRAME_MAX], vec![0; 4_096], vec![0; 4_096]);
        pair.echo = true;
        pair.open();
        for length in [1, 61, 62, 300, 500] {
            let request = vec![length as u8; length];
            assert_eq!(pair.exchange(&request), Some(request), "{own} to {server}, {length} octets");
        }
        pair.close();
        assert_eq!(pair.client.repetitions(), 0, "{own} to {server}");
    }
}
