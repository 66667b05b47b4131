//! `volume prune`.

use crate::cmd::Context;
use crate::failure::Outcome;
use crate::prune::{self, Filter};

/// Remove the volumes that no container uses and that have no name of their own, and print their names
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd volume prune
  tinyd volume prune --all --force
  tinyd volume prune --filter label=stage=test --filter label!=keep")]
pub(super) struct Prune {
    /// Those with a name of their own, too
    #[arg(short, long)]
    all: bool,
    /// Only those with this label (NAME or NAME=VALUE), or, by label!=, without it; may be given again, and all must fit
    #[arg(long, value_name = "label=LABEL", value_parser = prune::filter)]
    filter: Vec<Filter>,
    /// Ask nothing
    #[arg(short, long)]
    force: bool,
}

impl Prune {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        let which = if self.all { "all volumes" } else { "all volumes without a name of their own" };
        let fit = if self.filter.is_empty() { "" } else { " and that fit the filters" };
        let question = format!("Remove {which} that no container uses{fit}, with their data?");
        if !self.force && !context.console.confirm(&question, "--force")? {
            return Ok(0);
        }
        if !self.filter.is_empty() {
            let mut volumes = context.engine()?.volumes()?;
            volumes.retain(|volume| {
                (self.all || volume.anonymous)
                    && volume.containers == 0
                    && prune::all_fit(&self.filter, &volume.labels)
            });
            let names: Vec<String> = volumes.into_iter().map(|volume| volume.name).collect();
            return prune::each(context, &names, |engine, name| engine.remove_volume(name));
        }
        for name in context.engine()?.prune_volumes(self.all)? {
            context.console.line(&name)?;
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn filters_spare_what_does_not_fit_and_what_is_used_or_has_a_name() {
        for (words, removed) in [
            ("--all --filter label!=stage", "idle\n"),
            ("--all --filter label=stage", ""),
            ("--filter label!=stage", ""),
        ] {
            let bench = Bench::new();
            let done = bench.run(&format!("volume prune --force {words}"));
            assert_eq!((done.code, done.stdout.as_str()), (0, removed), "{words}: {}", done.stderr);
            let asked = bench.engine.calls();
            assert!(asked.iter().all(|call| call == "remove_volume idle"), "{words}: {asked:?}");
        }
        for words in ["--filter until=1h", "--filter label=", "--filter"] {
            assert_eq!(Bench::new().run(&format!("volume prune --force {words}")).code, 2, "{words}");
        }
    }
}
