//! The deadline of a call.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Request;

/// How much earlier than the caller's deadline the work ends, at most: time to answer with a typed
/// error that says what had been sent, which the transport's own timeout cannot say.
const MARGIN: Duration = Duration::from_millis(100);

/// The deadline of the work for `request`: a little before that of its `grpc-timeout`, or `default`
/// from now.
pub(super) fn of<T>(request: &Request<T>, default: Duration) -> Instant {
    let header = request.metadata().get("grpc-timeout").and_then(|value| value.to_str().ok());
    let timeout = header.and_then(parse).map(|timeout| timeout.saturating_sub(MARGIN.min(timeout / 10)));
    let now = Instant::now();
    now.checked_add(timeout.unwrap_or(default)).unwrap_or(now)
}

/// `grpc-timeout` as the gRPC protocol over HTTP/2 writes it: at most eight digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (unit, digits) = (text.chars().last()?, text.get(..text.len().checked_sub(1)?)?);
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        'H' => Some(Duration::from_secs(number.checked_mul(3600)?)),
        'M' => Some(Duration::from_secs(number.checked_mul(60)?)),
        'S' => Some(Duration::from_secs(number)),
        'm' => Some(Duration::from_millis(number)),
        'u' => Some(Duration::from_micros(number)),
        'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_understood_and_nonsense_is_not() {
        assert_eq!(parse("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(parse("3M"), Some(Duration::from_secs(180)));
        assert_eq!(parse("99999999S"), Some(Duration::from_secs(99_999_999)));
        assert_eq!(parse("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse("7u"), Some(Duration::from_micros(7)));
        assert_eq!(parse("7n"), Some(Duration::from_nanos(7)));
        for text in ["", "S", "5", "5s", "-5S", "123456789S", "+1S", "1é"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_work_ends_a_little_before_the_caller_gives_up() {
        let with = |timeout: &'static str| {
            let mut request = Request::new(());
            request.metadata_mut().insert("grpc-timeout", timeout.parse().unwrap());
            of(&request, Duration::ZERO) - Instant::now()
        };
        assert_eq!(with("10S"), Duration::from_millis(9900));
        assert_eq!(with("100m"), Duration::from_millis(90));
        assert_eq!(of(&Request::new(()), Duration::from_secs(60)) - Instant::now(), Duration::from_secs(60));
    }
}
