//! The moment at which a command is cut short, on a machine that is now fast and now slow.

use std::time::Duration;

use crate::dice::Dice;

/// Moments in the life of a command: most of them before its end, some after it, however long it takes just now.
#[derive(Debug)]
pub struct Moments {
    longest: Duration,
}

impl Moments {
    /// For a command that took so long once.
    pub fn of(once: Duration) -> Self {
        Self { longest: once }
    }

    /// How long to wait this time.
    pub fn next(&self, dice: &mut Dice) -> Duration {
        let micros = usize::try_from(self.longest.as_micros()).expect("no command takes years");
        Duration::from_micros(dice.below(micros.max(1)) as u64)
    }

    /// What was met: whether the command had ended by then. Seven of ten have not, in the long run.
    pub fn learn(&mut self, had_ended: bool) {
        self.longest = self.longest * if had_ended { 80 } else { 110 } / 100;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_guess_that_was_far_from_it_does_no_harm() {
        for first in [1, 1000] {
            let (takes, mut dice) = (Duration::from_millis(40), Dice::new());
            let mut moments = Moments::of(Duration::from_millis(first));
            let mut round = || {
                let had_ended = moments.next(&mut dice) > takes;
                moments.learn(had_ended);
                had_ended
            };
            (0..60).for_each(|_| _ = round());
            let ended = (0..200).filter(|_| round()).count();
            assert!((20..120).contains(&ended), "{first} ms: {ended} of 200 had ended");
        }
    }
}
