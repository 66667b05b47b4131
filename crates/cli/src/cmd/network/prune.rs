//! `network prune`.

use crate::cmd::Context;
use crate::failure::Outcome;
use crate::prune::{self, Filter};
use tinyd_engine::DEFAULT_NETWORK;

/// Remove all networks that no container uses, but for the default one, and print their names
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd network prune
  tinyd network prune --filter label=stage=test")]
pub(super) struct Prune {
    /// Only those with this label (NAME or NAME=VALUE), or, by label!=, without it; may be given again, and all must fit
    #[arg(long, value_name = "label=LABEL", value_parser = prune::filter)]
    filter: Vec<Filter>,
    /// For scripts that are written for other engines: nothing is asked in any case
    #[arg(short, long)]
    force: bool,
}

impl Prune {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        // The word has no other meaning.
        let Self { filter, force: _ } = self;
        if !filter.is_empty() {
            let mut networks = context.engine()?.networks()?;
            networks.retain(|network| {
                // Those that every host has were never made.
                network.created.is_some()
                    && network.name != DEFAULT_NETWORK
                    && network.containers == 0
                    && prune::all_fit(&filter, &network.labels)
            });
            let names: Vec<String> = networks.into_iter().map(|network| network.name).collect();
            return prune::each(context, &names, |engine, name| engine.remove_network(name, false));
        }
        for name in context.engine()?.prune_networks()? {
            context.console.line(&name)?;
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn filters_spare_what_does_not_fit_and_what_every_host_has() {
        for (words, calls) in [
            ("--filter label!=keep", &["networks", "remove_network web false"][..]),
            ("-f --filter label=keep", &["networks"]),
        ] {
            let bench = Bench::new();
            let done = bench.run(&format!("network prune {words}"));
            assert_eq!(done.code, 0, "{words}: {}", done.stderr);
            assert_eq!(bench.engine.calls(), calls, "{words}");
        }
        assert_eq!(Bench::new().run("network prune --filter name=web").code, 2);
    }
}
