//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// What a look at a condition found.
pub(crate) enum Look<T> {
    /// It is as wanted.
    Done(T),
    /// Not yet, and why not.
    NotYet(String),
}

/// Looks again and again until the condition holds.
///
/// # Errors
/// The deadline passed; the error says what the last look found. An error of `look` itself ends the waiting.
pub(crate) fn until<T>(
    what: &str,
    deadline: Duration,
    mut look: impl FnMut() -> Result<Look<T>>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    loop {
        match look()? {
            Look::Done(value) => return Ok(value),
            Look::NotYet(reason) if Instant::now() >= end => {
                bail!("{what}: not within {} s: {reason}", deadline.as_secs());
            }
            Look::NotYet(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_reason_is_in_the_error() {
        let error = until::<()>("the door", Duration::ZERO, || {
            Ok(Look::NotYet("it is shut".into()))
        })
        .unwrap_err();
        assert_eq!(error.to_string(), "the door: not within 0 s: it is shut");
    }

    #[test]
    fn it_ends_as_soon_as_the_condition_holds() {
        let mut looks = 0;
        let value = until("x", Duration::from_secs(5), || {
            looks += 1;
            Ok(if looks == 2 {
                Look::Done(looks)
            } else {
                Look::NotYet(String::new())
            })
        });
        assert_eq!(value.unwrap(), 2);
    }
}
