//! Several figures of the same thing as one: minimum, median, maximum.

use std::fmt;
use std::time::Duration;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Seconds, shown as they are readable.
    Seconds,
    /// Bytes.
    Bytes,
    /// Bytes per second.
    Speed,
    /// Things.
    Count,
    /// How many times.
    Ratio,
}

/// Minimum, median and maximum of some figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) minimum: f64,
    pub(crate) median: f64,
    pub(crate) maximum: f64,
    unit: Unit,
}

impl Spread {
    /// Of at least one figure; of none it is zero.
    pub(crate) fn new(unit: Unit, figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
        let last = sorted.len().saturating_sub(1);
        // Of an even number the mean of the two in the middle.
        let median = f64::midpoint(at(last / 2), at(sorted.len() / 2));
        Self {
            minimum: at(0),
            median,
            maximum: at(last),
            unit,
        }
    }

    pub(crate) fn seconds(figures: impl IntoIterator<Item = Duration>) -> Self {
        Self::new(
            Unit::Seconds,
            figures.into_iter().map(|figure| figure.as_secs_f64()),
        )
    }

    /// One thing that was counted, or measured once.
    pub(crate) fn single(unit: Unit, figure: f64) -> Self {
        Self::new(unit, [figure])
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |figure: f64| shown(self.unit, figure);
        let (minimum, median, maximum) = (show(self.minimum), show(self.median), show(self.maximum));
        formatter.write_str(&median)?;
        if minimum != maximum {
            write!(formatter, " ({minimum} to {maximum})")?;
        }
        Ok(())
    }
}

fn shown(unit: Unit, figure: f64) -> String {
    const MEBI: f64 = 1024.0 * 1024.0;
    match unit {
        Unit::Seconds if figure < 0.1 => format!("{:.1} ms", figure * 1000.0),
        Unit::Seconds if figure < 1.0 => format!("{:.0} ms", figure * 1000.0),
        Unit::Seconds => format!("{figure:.1} s"),
        Unit::Bytes if figure < MEBI => format!("{:.0} KiB", figure / 1024.0),
        Unit::Bytes => format!("{:.1} MiB", figure / MEBI),
        Unit::Speed => format!("{:.0} MiB/s", figure / MEBI),
        Unit::Count => format!("{figure:.0}"),
        Unit::Ratio => format!("{figure:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_between_the_two_in_the_middle() {
        let spread = Spread::new(Unit::Count, [4.0, 1.0, 3.0, 2.0]);
        assert_eq!((spread.minimum, spread.maximum), (1.0, 4.0));
        assert!((spread.median - 2.5).abs() < 1e-9);
    }

    #[test]
    fn one_figure_is_shown_without_a_range_and_none_is_zero() {
        assert_eq!(Spread::single(Unit::Count, 16.0).to_string(), "16");
        assert_eq!(Spread::new(Unit::Count, []).to_string(), "0");
        let times = [4, 6].map(Duration::from_millis);
        assert_eq!(Spread::seconds(times).to_string(), "5.0 ms (4.0 ms to 6.0 ms)");
    }
}
