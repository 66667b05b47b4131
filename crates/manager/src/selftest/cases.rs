//! The six containers.

use tinyd_engine::Resources;

/// The kernel limits memory in whole pages; Linux has none larger than this.
const PAGE: u64 = 64 << 10;

/// Microseconds.
pub(super) const PERIOD: u64 = 100_000;

/// A case: its name, and the part of the machine's memory that it may use, or its quota of processor time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// The machine's memory divided by this.
    Memory(&'static str, u64),
    /// Microseconds of each period.
    Processor(&'static str, u64),
}

pub(super) const CASES: [Kind; 6] = [
    Kind::Memory("C1MEM", 16),
    Kind::Memory("C2MEM", 8),
    Kind::Memory("C3MEM", 4),
    Kind::Processor("C1CPU", 6_250),
    Kind::Processor("C2CPU", 12_500),
    Kind::Processor("C3CPU", 25_000),
];

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Memory(name, _) | Self::Processor(name, _) => name,
        }
    }

    /// Bytes in whole pages, or microseconds.
    pub(super) fn limit(self, memory: u64) -> u64 {
        match self {
            Self::Memory(_, part) => memory / part / PAGE * PAGE,
            Self::Processor(_, quota) => quota,
        }
    }

    /// The limits of its container. Memory is not to be had by swapping either, where the host can see to that.
    pub(super) fn resources(self, memory: u64, swap_too: bool) -> Resources {
        let limit = self.limit(memory);
        match self {
            Self::Memory(..) => Resources {
                memory: Some(limit),
                memory_swap: swap_too.then(|| i64::try_from(limit).unwrap_or(i64::MAX)),
                ..Resources::default()
            },
            Self::Processor(..) => {
                Resources { cpu_quota: Some(limit), cpu_period: Some(PERIOD), ..Resources::default() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_the_seeds_numbers() {
        let memory = 24_684_388 * 1024;
        let limits = CASES.map(|kind| (kind.name(), kind.limit(memory)));
        for (kind, part) in CASES.iter().zip([16, 8, 4]) {
            let limit = kind.limit(memory);
            assert!(limit <= memory / part && memory / part - limit < PAGE && limit % PAGE == 0);
            assert_eq!(kind.resources(memory, true).memory_swap, Some(limit.cast_signed()));
            assert_eq!(kind.resources(memory, false).memory_swap, None);
        }
        assert_eq!(limits[3..], [("C1CPU", 6_250), ("C2CPU", 12_500), ("C3CPU", 25_000)]);
        let cpu = CASES[4].resources(memory, true);
        assert_eq!((cpu.cpu_quota, cpu.cpu_period, cpu.memory), (Some(12_500), Some(100_000), None));
    }
}
