use clap::{CommandFactory, Parser};

use super::*;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    options: Options,
}

fn error(text: &str) -> String {
    Options::from_toml(text).unwrap_err().to_string()
}

#[test]
fn an_empty_file_is_the_defaults_on_loopback() {
    let config = Options::from_toml("").unwrap().resolve();
    assert!(config.listen.ip().is_loopback());
    assert_eq!(config.listen.port(), DEFAULT_PORT);
    assert_eq!(config.master_key_file, Path::new("head-end-data/master.key"));
    assert_eq!(config.server.default_timeout, Duration::from_secs(60));
}

#[test]
fn every_option_is_a_key_of_the_file_a_flag_and_an_environment_variable() {
    let values = [
        ("listen", "\"[::1]:1\""),
        ("insecure", "true"),
        ("callers", "\"callers.toml\""),
        ("tls_cert", "\"cert.pem\""),
        ("tls_key", "\"key.pem\""),
        ("tls_client_ca", "\"ca.pem\""),
        ("meter_ca", "\"meter-ca.pem\""),
        ("data_dir", "\"d\""),
        ("master_key_file", "\"k\""),
        ("system_title", "\"4448450000000001\""),
        ("quirks", "\"quirks.toml\""),
        ("request_timeout", "\"1s\""),
        ("drain_timeout", "\"2s\""),
        ("concurrency", "3"),
        ("call_rate", "14"),
        ("call_burst", "15"),
        ("cors_origins", "\"https://a.example\""),
        ("mailbox", "4"),
        ("approval_above", "23"),
        ("collection_in_flight", "9"),
        ("route_sessions", "5"),
        ("actor_idle", "\"6s\""),
        ("connect_timeout", "\"7s\""),
        ("response_timeout", "\"8s\""),
        ("idle_timeout", "\"9s\""),
        ("inter_octet_timeout", "\"10ms\""),
        ("store", "\"postgres://user:secret@host/meters\""),
        ("store_connections", "8"),
        ("store_timeout", "\"21s\""),
        ("store_busy_timeout", "\"11s\""),
        ("store_patience", "\"12s\""),
        ("store_waiting_captures", "13"),
        ("push_tcp", "\"127.0.0.1:1,[::1]:2\""),
        ("push_udp", "\"127.0.0.1:3\""),
        ("push_hdlc", "\"127.0.0.1:4\""),
        ("push_connections", "14"),
        ("push_connections_per_source", "15"),
        ("push_rate", "16"),
        ("push_octets", "17"),
        ("push_idle", "\"18s\""),
        ("push_keep", "\"19h\""),
        ("jobs_keep", "\"24d\""),
        ("events_keep", "\"25d\""),
        ("runs_keep", "\"26d\""),
        ("push_templates", "\"t\""),
        ("dial_in", "\"[::1]:4\""),
        ("dial_in_connections", "31"),
        ("dial_in_connections_per_source", "32"),
        ("dial_in_first", "\"33s\""),
        ("telegrams", "\"t\""),
        ("event_tables", "\"e\""),
        ("unclaimed", "20"),
        ("mqtt", "\"m\""),
        ("metrics", "\"127.0.0.1:9464\""),
        ("otlp", "\"http://127.0.0.1:4317\""),
        ("log", "\"debug\""),
        ("log_format", "\"json\""),
    ];
    let file: String = values.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    let from_file = Options::from_toml(&file).unwrap();
    let mut flags = vec!["serve".to_owned()];
    for (key, value) in values {
        flags.extend([format!("--{}", key.replace('_', "-")), value.trim_matches('"').to_owned()]);
    }
    assert_eq!(Command::parse_from(flags).options, from_file);
    let command = Command::command();
    let arguments: Vec<_> = command.get_arguments().filter(|argument| argument.get_id() != "help").collect();
    assert_eq!(arguments.len(), values.len());
    for argument in arguments {
        let variable = format!("HEADEND_{}", argument.get_id().as_str().to_uppercase());
        assert_eq!(argument.get_env().unwrap().to_str(), Some(variable.as_str()));
    }
    // `over` must know every field: from nothing below, all is kept; over nothing, all comes from below.
    assert_eq!(from_file.clone().over(Options::default()), from_file);
    assert_eq!(Options::default().over(from_file.clone()), from_file);
}

#[test]
fn what_is_above_wins() {
    let above = Options { mailbox: "7".parse().ok(), ..Options::default() };
    let below = Options::from_toml("mailbox = 1\nconcurrency = 2").unwrap();
    let config = above.over(below).resolve();
    assert_eq!((config.fleet.mailbox, config.server.concurrency), (7, 2));
}

#[test]
fn errors_say_line_and_column() {
    let unknown = error("mailbox = 1\nmailbocks = 2\n");
    assert!(unknown.contains("line 2, column 1") && unknown.contains("mailbocks"), "{unknown}");
    let wrong = error("\n\nrequest_timeout = \"soon\"\n");
    assert!(wrong.contains("line 3") && wrong.contains("not a duration"), "{wrong}");
    let zero = error("mailbox = 0");
    assert!(zero.contains("line 1") && zero.contains("nonzero"), "{zero}");
    let broken = error("listen = \"127.0.0.1:1");
    assert!(broken.contains("line 1"), "{broken}");
}

#[test]
fn a_missing_a_large_and_a_broken_file_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("head-end.toml");
    let missing = Options::from_file(&path).unwrap_err();
    assert!(matches!(&missing, ConfigError::Read { .. }) && missing.to_string().contains("head-end.toml"));
    std::fs::write(&path, "listen = 5").unwrap();
    let broken = Options::from_file(&path).unwrap_err().to_string();
    assert!(broken.contains("head-end.toml: ") && broken.contains("line 1"), "{broken}");
    std::fs::write(&path, "#".repeat(2 * 1024 * 1024)).unwrap();
    assert!(matches!(Options::from_file(&path), Err(ConfigError::TooLarge { .. })));
}

#[test]
fn durations_have_a_number_and_a_unit() {
    let span = |text: &str| text.parse::<Span>().map(Span::duration);
    assert_eq!(span("500ms"), Ok(Duration::from_millis(500)));
    assert_eq!(span("10 s"), Ok(Duration::from_secs(10)));
    assert_eq!(span("2m"), Ok(Duration::from_secs(120)));
    assert_eq!(span("1h"), Ok(Duration::from_secs(3600)));
    for wrong in ["", "s", "10", "-1s", "0s", "1d", "99999999999999999999s", "18446744073709551615h", "1000h"] {
        assert!(span(wrong).is_err(), "{wrong}");
    }
}
