//! Percentiles and the table.

use std::time::Duration;

/// The times of one contender, sorted.
pub(super) struct Samples(Vec<Duration>);

impl Samples {
    pub(super) fn new(mut times: Vec<Duration>) -> Samples {
        times.sort_unstable();
        Samples(times)
    }

    /// The smallest time that at least `percent` of the runs did not exceed, in µs.
    pub(super) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
    }
}

/// A row for each, with its p50 as a multiple of those of two others.
pub(super) fn table(results: &[(&str, Samples)], first: &str, second: &str) -> String {
    let median = |name: &str| {
        let found = results.iter().find(|(other, _)| *other == name);
        found.map_or(f64::NAN, |(_, samples)| samples.percentile(50))
    };
    let (first_median, second_median) = (median(first), median(second));
    let mut text = format!(
        "{:<22}{:>10}{:>10}{:>10}{:>10}\n",
        "",
        "p50 µs",
        "p95 µs",
        format!("× {first}"),
        format!("× {second}")
    );
    for (name, samples) in results {
        let half = samples.percentile(50);
        let (one, two) = (half / first_median, half / second_median);
        text.push_str(&format!(
            "{name:<22}{half:>10.0}{:>10.0}{one:>10.2}{two:>10.2}\n",
            samples.percentile(95)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(micros: impl Iterator<Item = u64>) -> Samples {
        Samples::new(micros.map(Duration::from_micros).collect())
    }

    #[test]
    fn percentiles_by_nearest_rank() {
        let hundred = samples((1..=100).rev());
        assert_eq!((hundred.percentile(50), hundred.percentile(95)), (50.0, 95.0));
        assert_eq!(samples([7].into_iter()).percentile(95), 7.0);
        assert!(samples([].into_iter()).percentile(50).is_nan());
    }

    #[test]
    fn the_table_has_ratios_of_the_medians() {
        let results = [("floor", samples([10].into_iter())), ("ours", samples([15].into_iter()))];
        let table = table(&results, "floor", "crun");
        assert!(table.lines().nth(2).unwrap().contains("1.50"), "{table}");
        assert!(table.contains("NaN"), "a missing rival has no ratio: {table}");
    }
}
