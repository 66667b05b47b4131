//! All contenders in the same rounds, in random order, so that what else the machine does meets all alike.

use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use super::contender::{Contender, in_round};
use super::spawner::Spawner;
use super::stats::Samples;

/// What is not counted: pages and dentries that are read for the first time.
pub(super) const WARM_UP: usize = 2;
/// Between two runs, so that what one cleans up after its answer is not paid by the next.
const PAUSE: Duration = Duration::from_millis(30);

pub(super) struct Race<'a> {
    contenders: Vec<Contender>,
    samples: Vec<Vec<Duration>>,
    spawners: &'a mut [Spawner; 2],
    /// Those that have something to be ended.
    started: Vec<Contender>,
}

impl<'a> Race<'a> {
    pub(super) fn new(contenders: Vec<Contender>, spawners: &'a mut [Spawner; 2]) -> Race<'a> {
        Race { samples: vec![Vec::new(); contenders.len()], contenders, spawners, started: Vec::new() }
    }

    /// Runs everything once or twice; a peer that does not work on this machine is left out, and that is said.
    pub(super) fn warm_up(&mut self) -> Result<()> {
        let mut fit = Vec::new();
        for contender in std::mem::take(&mut self.contenders) {
            let ready = match &contender.first {
                Some(first) => self.spawner(&contender).run(first).map(drop),
                None => Ok(()),
            };
            self.started.push(contender.clone());
            match ready
                .and_then(|()| (0..WARM_UP).try_for_each(|round| self.time(&contender, round).map(drop)))
            {
                Ok(()) => fit.push(contender),
                Err(err) if contender.is_peer => println!("left out: {}: {err:#}", contender.name),
                Err(err) => return Err(err.context(contender.name)),
            }
        }
        self.samples.truncate(fit.len());
        self.contenders = fit;
        Ok(())
    }

    pub(super) fn round(&mut self, round: usize, dice: &mut Dice) -> Result<()> {
        let mut order: Vec<usize> = (0..self.contenders.len()).collect();
        dice.shuffle(&mut order);
        for index in order {
            let contender = self.contenders[index].clone();
            let took = self.time(&contender, round).with_context(|| contender.name)?;
            self.samples[index].push(took);
        }
        Ok(())
    }

    fn time(&mut self, contender: &Contender, round: usize) -> Result<Duration> {
        if let Some(before) = &contender.before {
            self.spawner(contender).run(&in_round(before, round))?;
        }
        std::iter::once(&contender.words)
            .chain(&contender.then)
            .map(|words| {
                sleep(PAUSE);
                self.spawner(contender).run(&in_round(words, round))
            })
            .sum()
    }

    fn spawner(&mut self, contender: &Contender) -> &mut Spawner {
        &mut self.spawners[usize::from(contender.without_v2)]
    }

    pub(super) fn results(&self) -> Vec<(&'static str, Samples)> {
        let pairs = self.contenders.iter().zip(&self.samples);
        pairs.map(|(contender, samples)| (contender.name, Samples::new(samples.clone()))).collect()
    }
}

impl Drop for Race<'_> {
    fn drop(&mut self) {
        for contender in std::mem::take(&mut self.started) {
            if let Some(last) = &contender.last {
                let _ = self.spawner(&contender).run(last);
            }
        }
    }
}

/// A small generator (xorshift): the order need not be secret, only mixed.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new() -> Dice {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Dice(now.as_secs() << 32 | u64::from(now.subsec_nanos()) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit
    }

    pub(super) fn shuffle(&mut self, items: &mut [usize]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_keeps_all() {
        let mut dice = Dice::new();
        let mut items: Vec<usize> = (0..50).collect();
        dice.shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
