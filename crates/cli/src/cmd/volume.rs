//! `volume`: data that outlives containers.

mod clone;
mod create;
mod df;
mod export;
mod import;
mod inspect;
mod list;
mod prune;
mod remove;
mod rollback;
mod snapshot;

use super::{Context, Verb};
use crate::failure::Outcome;

/// Make, show, save and remove volumes: data that outlives containers, and that several of them may share
#[derive(clap::Parser, Debug)]
#[command(
    long_about = "Make, show, save and remove volumes: data that outlives containers, and that several of them may share.\n\n\
        A volume is made by 'volume create', or when a container first names it (run -v NAME:/path). One that is empty is \
        filled with what the image has at that path.",
    after_help = "\
Examples:
  tinyd volume create data
  tinyd run -v data:/var/lib/data host sh -c 'echo kept > /var/lib/data/file'
  tinyd volume ls
  tinyd volume df
  tinyd volume export data -o data.tar.zst
  tinyd volume create -d btrfs db && tinyd volume snapshot create db first
  tinyd volume rm data"
)]
pub(crate) struct Volume {
    #[command(subcommand)]
    verb: VolumeVerb,
}

#[derive(clap::Subcommand, Debug)]
enum VolumeVerb {
    Create(create::Create),
    #[command(visible_alias = "ls")]
    List(list::List),
    Inspect(inspect::Inspect),
    Df(df::Df),
    #[command(name = "rm", visible_aliases = ["remove", "delete"])]
    Remove(remove::Remove),
    Prune(prune::Prune),
    Export(export::Export),
    Import(import::Import),
    Clone(clone::Clone),
    Snapshot(snapshot::Snapshot),
    Rollback(rollback::Rollback),
}

impl Verb for Volume {
    const NAME: &'static str = "volume";

    fn run(self, context: &Context<'_>) -> Outcome {
        match self.verb {
            VolumeVerb::Create(create) => create.run(context),
            VolumeVerb::List(list) => list.run(context),
            VolumeVerb::Inspect(inspect) => inspect.run(context),
            VolumeVerb::Df(df) => df.run(context),
            VolumeVerb::Remove(remove) => remove.run(context),
            VolumeVerb::Prune(prune) => prune.run(context),
            VolumeVerb::Export(export) => export.run(context),
            VolumeVerb::Import(import) => import.run(context),
            VolumeVerb::Clone(clone) => clone.run(context),
            VolumeVerb::Snapshot(snapshot) => snapshot.run(context),
            VolumeVerb::Rollback(rollback) => rollback.run(context),
        }
    }
}

#[cfg(test)]
mod tests;
