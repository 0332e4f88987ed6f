//! Durations as kubectl takes them: Go's syntax (`1m30s`, `500ms`), or plain seconds.

use std::time::Duration;

const RULE: &str = "write a number and a unit (ms, s, m, h), as in 30s, 1m30s or 2h";

/// Reads a duration longer than zero.
pub(super) fn duration(typed: &str) -> Result<Duration, String> {
    match read(typed)? {
        Duration::ZERO => Err(format!(
            "`{typed}` is no time at all: give more than zero, as in 30s"
        )),
        time => Ok(time),
    }
}

/// How long a lock may stay without its proof: time for the probes, which wait more than ten seconds each for what is
/// dropped (truth.md 2).
pub(super) fn confirmation(typed: &str) -> Result<Duration, String> {
    const LEAST: Duration = Duration::from_secs(30);
    match read(typed)? {
        time if time < LEAST => Err(format!(
            "`{typed}` is too short for a proof: give at least 30s, as in 3m"
        )),
        time => Ok(time),
    }
}

/// kubectl's `--request-timeout`: zero means that there is no deadline, which is [`Duration::MAX`] here.
pub(super) fn request_timeout(typed: &str) -> Result<Duration, String> {
    match read(typed)? {
        Duration::ZERO => Ok(Duration::MAX),
        time => Ok(time),
    }
}

fn read(typed: &str) -> Result<Duration, String> {
    if let Ok(seconds) = typed.parse::<u32>() {
        return Ok(Duration::from_secs(u64::from(seconds)));
    }
    let refused = || format!("`{typed}` is not a duration: {RULE}");
    let mut rest = typed;
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(refused());
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|character: char| !character.is_ascii_digit() && character != '.')
            .ok_or_else(refused)?;
        let (number, tail) = rest.split_at(digits);
        let number: f64 = number.parse().map_err(|_| refused())?;
        let unit = tail
            .find(|character: char| !character.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let seconds = match &tail[..unit] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(refused()),
        };
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| refused())?;
        total = total.checked_add(part).ok_or_else(refused)?;
        rest = &tail[unit..];
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("30s", 30_000)]
    #[case("1m30s", 90_000)]
    #[case("500ms", 500)]
    #[case("1.5h", 5_400_000)]
    #[case("45", 45_000)]
    fn reads_what_kubectl_reads(#[case] typed: &str, #[case] milliseconds: u64) {
        assert_eq!(duration(typed), Ok(Duration::from_millis(milliseconds)));
    }

    #[rstest]
    #[case("")]
    #[case("-5s")]
    #[case("5 s")]
    #[case("5M")]
    #[case("1s5")]
    #[case("..s")]
    #[case("99999999999999999999h")]
    #[case("NaNs")]
    fn refuses_the_rest_and_says_how(#[case] typed: &str) {
        let error = duration(typed).unwrap_err();
        assert!(
            error.contains(&format!("`{typed}`")) && error.contains("as in 30s"),
            "{error}"
        );
    }

    #[test]
    fn zero_means_no_deadline_only_for_the_request_timeout() {
        assert_eq!(request_timeout("0"), Ok(Duration::MAX));
        assert!(duration("0s").unwrap_err().contains("more than zero"));
    }
}
