//! Whether a limit held.

use super::{Case, MEMORY_TOLERANCE_PERCENT, PROCESSOR_TOLERANCE_PERCENT, unexpected};
use tinyd_runtime::load::Report;

/// How processor time was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// As it should be, or so that trying again would not change it.
    Done,
    /// Less than the quota.
    TooLow,
}

/// The limits that the kernel knows of.
pub(super) fn limits(case: &mut Case, report: &Report) {
    let Report::Limits { memory_bytes, quota_us, period_us } = report else {
        case.problem = unexpected(report);
        return;
    };
    case.kernel = if case.period.is_some() { *quota_us } else { *memory_bytes };
    if case.kernel != Some(case.limit) {
        let found = case.kernel.map_or_else(|| "no limit".to_owned(), |limit| limit.to_string());
        case.problem = format!("the kernel has {found} instead of {}", case.limit);
    } else if case.period.is_some_and(|period| period != *period_us) {
        case.problem = format!("the kernel has a period of {period_us} µs");
    }
}

/// Processor time under load. A new measurement takes the place of the one before.
pub(super) fn processor(case: &mut Case, report: &Report) -> Found {
    let (used, wall, throttled) = match report {
        Report::Processor { used_ns, wall_ns, throttled } if *wall_ns > 0 => (*used_ns, *wall_ns, *throttled),
        other => {
            case.problem = unexpected(other);
            return Found::Done;
        }
    };
    if !case.is_set() {
        return Found::Done;
    }
    let period = case.period.unwrap_or(1);
    let got = u128::from(used) * u128::from(period) / u128::from(wall);
    let got = u64::try_from(got).unwrap_or(u64::MAX);
    case.measured = Some(got);
    let off = case.limit * PROCESSOR_TOLERANCE_PERCENT / 100;
    let (low, high) = (got < case.limit - off, got > case.limit + off);
    case.passed = !low && !high;
    case.problem = match (low, high) {
        (_, true) => format!("the quota was not held: {} was used", percent(got, period)),
        (true, _) => format!(
            "only {} was got, and the quota was used up in {throttled} periods: the machine is too busy to tell",
            percent(got, period)
        ),
        (false, false) => String::new(),
    };
    if low { Found::TooLow } else { Found::Done }
}

/// Memory under load.
pub(super) fn memory(case: &mut Case, report: &Report) {
    let (peak, kills, got_all) = match report {
        Report::Memory { peak_bytes, oom_kills, got_all } => (*peak_bytes, *oom_kills, *got_all),
        Report::NoMemory { wanted_bytes, available_bytes } => {
            case.problem = format!(
                "not put under load: that takes {wanted_bytes} bytes and the machine has {available_bytes} to spare"
            );
            return;
        }
        other => {
            case.problem = unexpected(other);
            return;
        }
    };
    if !case.is_set() {
        return;
    }
    (case.measured, case.oom_kills) = (Some(peak), Some(kills));
    let off = case.limit / 100 * MEMORY_TOLERANCE_PERCENT;
    case.problem = if peak > case.limit + off {
        format!("the limit was not held: {peak} bytes were used")
    } else if peak < case.limit - off {
        format!("only {peak} bytes were got")
    } else if !got_all && kills == 0 {
        "the process that took memory ended, and the kernel did not end it".to_owned()
    } else {
        String::new()
    };
    case.passed = case.problem.is_empty();
}

impl Case {
    /// The limit is the one that was asked for: else measuring proves nothing.
    fn is_set(&self) -> bool {
        self.kernel == Some(self.limit) && (self.passed || self.problem.is_empty() || self.measured.is_some())
    }
}

/// Of one processor.
fn percent(micros: u64, period: u64) -> String {
    format!("{:.2} % of a processor", micros as f64 * 100.0 / period as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(limit: u64, period: Option<u64>) -> Case {
        let (name, resource) = ("C".to_owned(), "x".to_owned());
        let (kernel, measured, oom_kills) = (None, None, None);
        Case {
            name,
            resource,
            limit,
            period,
            kernel,
            measured,
            oom_kills,
            passed: false,
            problem: String::new(),
        }
    }

    fn found(memory_bytes: Option<u64>, quota_us: Option<u64>, period_us: u64) -> Report {
        Report::Limits { memory_bytes, quota_us, period_us }
    }

    #[test]
    fn pure_a_limit_that_is_not_the_one_asked_for_is_never_measured() {
        for report in [
            found(None, Some(6251), 100_000),
            found(None, None, 100_000),
            found(None, Some(6250), 50_000),
            Report::Failed("x".to_owned()),
        ] {
            let mut cpu = case(6250, Some(100_000));
            limits(&mut cpu, &report);
            assert!(!cpu.problem.is_empty(), "{report:?}");
            let right = Report::Processor { used_ns: 6250, wall_ns: 100_000, throttled: 1 };
            assert_eq!(processor(&mut cpu, &right), Found::Done);
            assert!(!cpu.passed && !cpu.problem.is_empty(), "{report:?}");
        }
    }

    #[test]
    fn pure_processor_time_is_held_from_both_sides() {
        let mut cpu = case(10_000, Some(100_000));
        limits(&mut cpu, &found(None, Some(10_000), 100_000));
        let mut measure = |used_ns| {
            let report = Report::Processor { used_ns, wall_ns: 1_000_000, throttled: 3 };
            let found = processor(&mut cpu, &report);
            (found, cpu.passed, cpu.measured, cpu.problem.clone())
        };
        let (low, passed, measured, problem) = measure(79_990);
        assert_eq!((low, passed, measured), (Found::TooLow, false, Some(7_999)));
        assert!(problem.contains("8.00 %") && problem.contains("too busy"), "{problem}");
        // A second measurement may be better.
        assert_eq!(measure(80_000), (Found::Done, true, Some(8_000), String::new()));
        assert_eq!(measure(120_000), (Found::Done, true, Some(12_000), String::new()));
        let (done, passed, _, problem) = measure(121_000);
        assert_eq!((done, passed), (Found::Done, false));
        assert!(problem.contains("not held") && problem.contains("12.10 %"), "{problem}");
    }

    #[test]
    fn pure_memory_must_reach_its_limit_and_go_no_further() {
        const LIMIT: u64 = 100 << 20;
        let judged = |peak_bytes, oom_kills, got_all| {
            let mut case = case(LIMIT, None);
            limits(&mut case, &found(Some(LIMIT), None, 100_000));
            memory(&mut case, &Report::Memory { peak_bytes, oom_kills, got_all });
            (case.passed, case.problem)
        };
        assert_eq!(judged(LIMIT, 1, false), (true, String::new()));
        // It went on in the swap.
        assert_eq!(judged(LIMIT, 0, true), (true, String::new()));
        assert!(judged(LIMIT + (3 << 20), 1, false).1.contains("not held"));
        assert!(judged(LIMIT + (64 << 20), 0, true).1.contains("not held"));
        assert!(judged(LIMIT / 2, 1, false).1.contains("only"));
        assert!(judged(LIMIT, 0, false).1.contains("did not end it"));
        let mut poor = case(LIMIT, None);
        limits(&mut poor, &found(Some(LIMIT), None, 100_000));
        memory(&mut poor, &Report::NoMemory { wanted_bytes: 5, available_bytes: 4 });
        assert!(!poor.passed && poor.problem.contains("4 to spare"), "{}", poor.problem);
    }
}
