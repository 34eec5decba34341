//! What a head-end does in a second and in how much memory, beside what the sockets alone would do.
//!
//! ```text
//! cargo bench -p dlms-head-end --bench fleet                 everything; takes a quarter of an hour
//! cargo bench -p dlms-head-end --bench fleet -- gets         encrypted GETs through the library beside a bare TCP ping-pong
//! cargo bench -p dlms-head-end --bench fleet -- held 100000  associations held open over UDP, and up to 15000 over TCP
//! cargo bench -p dlms-head-end --bench fleet -- day 100000   a day of quarter-hours, connect to release, into SQLite
//! ```
//!
//! What counts is the ratio: how much of what the sockets give is left after actors, ciphering, encoding, the store and
//! the simulated meters' own work. The meters of `gets` run in this process, those of the others in one of their own;
//! on the same machine in any case.

mod day;
mod directory;
mod gets;
mod held;
mod meters;
mod process;

use std::{process::ExitCode, time::Duration};

use directory::Via;
use meters::Meters;

/// Most TCP connections: a process may have as few as 20,000 descriptors.
const TCP_MAX: usize = 15_000;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs this too, without `--bench`: then a moment shows that it works.
    let measuring = arguments.iter().any(|argument| argument == "--bench");
    let words: Vec<&str> = arguments.iter().map(String::as_str).filter(|word| !word.starts_with("--")).collect();
    let number =
        |usual: u32| words.get(1).map_or(Ok(usual), |text| text.parse().map_err(|_| format!("no number: {text}")));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    let (fleet, few) = if measuring { (100_000, 1_000) } else { (20, 10) };
    match words.first().copied() {
        Some("meters") => runtime.block_on(meters::serve(number(1)?)),
        Some("gets") => runtime.block_on(gets(measuring)),
        Some("held") => runtime.block_on(held(number(fleet)?)),
        Some("day") => runtime.block_on(day(few, number(fleet)?)),
        Some(other) => Err(format!("{other}? There are gets, held and day")),
        None => runtime.block_on(async {
            gets(measuring).await?;
            held(fleet).await?;
            day(few, fleet).await
        }),
    }
}

async fn gets(measuring: bool) -> Result<(), String> {
    let (time, counts): (_, &[usize]) =
        if measuring { (Duration::from_secs(5), &[1, 64, 1_000]) } else { (Duration::from_millis(100), &[1, 8]) };
    println!("{:>11}  {:>16}  {:>16}  {:>6}", "connections", "encrypted GETs/s", "ping-pongs/s", "ratio");
    for connections in counts.iter().copied() {
        let pings = gets::ping_rate(connections, time).await?;
        let gets = gets::get_rate(connections, time).await?;
        println!("{connections:>11}  {gets:>16.0}  {pings:>16.0}  {:>6.3}", gets / pings);
    }
    Ok(())
}

async fn held(count: u32) -> Result<(), String> {
    let meters = Meters::start(count)?;
    println!("{:>4}  {:>12}  {:>8}  {:>11}  {:>11}", "over", "associations", "opened/s", "octets each", "after a GET");
    for (over, via, count) in [("UDP", Via::Udp, count as usize), ("TCP", Via::Tcp, TCP_MAX.min(count as usize))] {
        let held = held::held(&meters, count, via).await?;
        println!("{over:>4}  {count:>12}  {:>8.0}  {:>11}  {:>11}", held.rate, held.octets, held.asked);
    }
    Ok(())
}

async fn day(few: u32, many: u32) -> Result<(), String> {
    println!("{:>8}  {:>8}  {:>15}  {:>11}", "meters", "meters/s", "halfway, MiB", "at end, MiB");
    let mut rates = Vec::new();
    for count in [few, many] {
        let meters = Meters::start(count)?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let day = day::day(&meters, folder.path()).await?;
        println!("{count:>8}  {:>8.0}  {:>15}  {:>11}", day.rate, day.memory.0 >> 20, day.memory.1 >> 20);
        rates.push(day.rate);
    }
    if let [few, many] = rates[..] {
        println!("cost of a meter in the larger fleet: {:.2} of that in the smaller", few / many);
    }
    Ok(())
}
