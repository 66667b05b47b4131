//! Chance that can be repeated: the seed is printed, and `TINYD_TEST_SEED` sets it.

use std::time::{SystemTime, UNIX_EPOCH};

/// A generator of numbers (xorshift64*).
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// A generator with the seed of the environment, or a new one; a failing test shows it.
    pub fn new() -> Dice {
        let given = std::env::var("TINYD_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_nanos() as u64);
        let seed = given.unwrap_or_else(clock);
        println!("TINYD_TEST_SEED={seed}");
        Dice(seed | 1)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let value = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16;
        usize::try_from(value).expect("48 bits fit") % end
    }

    /// So many of the given things, each at most once, in no order.
    pub fn pick<T>(&mut self, mut all: Vec<T>, count: usize) -> Vec<T> {
        for place in 0..count.min(all.len()) {
            let other = place + self.below(all.len() - place);
            all.swap(place, other);
        }
        all.truncate(count);
        all
    }
}

impl Default for Dice {
    fn default() -> Dice {
        Dice::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_are_different_things_and_a_seed_repeats_them() {
        let mut picked = Dice(7).pick((0..100).collect::<Vec<_>>(), 50);
        assert_eq!(picked, Dice(7).pick((0..100).collect(), 50));
        assert_ne!(picked, Dice(9).pick((0..100).collect(), 50));
        picked.sort_unstable();
        picked.dedup();
        assert_eq!(picked.len(), 50);
    }
}
