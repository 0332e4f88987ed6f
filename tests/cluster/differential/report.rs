//! What curl reports.

/// What curl says of a request.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) exit: u32,
    pub(super) code: u16,
    /// Its own end of the connection.
    pub(super) local: String,
    pub(super) said: String,
}

impl Report {
    pub(super) fn read(line: &str) -> (usize, Self) {
        let mut words = line.splitn(5, ' ');
        let mut word = || words.next().unwrap_or_default();
        let number = word().parse().unwrap_or_else(|_| panic!("{line}"));
        let report = Self {
            exit: word().parse().unwrap_or_else(|_| panic!("{line}")),
            code: word().parse().unwrap_or_else(|_| panic!("{line}")),
            local: word().to_owned(),
            said: word().to_owned(),
        };
        (number, report)
    }
}
