//! `network`: what containers are connected by.

mod connect;
mod create;
mod disconnect;
mod inspect;
mod list;
mod prune;
mod reload;
mod remove;

use super::{Context, Verb};
use crate::failure::Outcome;

/// Make, show and remove the networks of containers, and connect containers to them
#[derive(clap::Parser, Debug)]
#[command(
    long_about = "Make, show and remove the networks of containers, and connect containers to them.\n\n\
        Every machine has the networks none (a container on it has its loopback device alone) and host (it shares the \
        machine's own). The default network is tinyd, also called Tiny-docker, bridge and default; it is made when it is \
        first needed. Networks are given by name, id or the beginning of an id.",
    after_help = "\
Examples:
  tinyd network create web
  tinyd network create -d bridge --subnet 10.9.0.0/24 --gateway 10.9.0.1 web
  tinyd network ls
  tinyd network delete web"
)]
pub(crate) struct Network {
    #[command(subcommand)]
    verb: NetworkVerb,
}

#[derive(clap::Subcommand, Debug)]
enum NetworkVerb {
    Create(create::Create),
    #[command(visible_alias = "ls")]
    List(list::List),
    Inspect(inspect::Inspect),
    #[command(visible_aliases = ["rm", "remove"])]
    Delete(remove::Remove),
    Prune(prune::Prune),
    Reload(reload::Reload),
    Connect(connect::Connect),
    Disconnect(disconnect::Disconnect),
}

impl Verb for Network {
    const NAME: &'static str = "network";

    fn run(self, context: &Context<'_>) -> Outcome {
        match self.verb {
            NetworkVerb::Create(create) => create.run(context),
            NetworkVerb::List(list) => list.run(context),
            NetworkVerb::Inspect(inspect) => inspect.run(context),
            NetworkVerb::Delete(remove) => remove.run(context),
            NetworkVerb::Prune(prune) => prune.run(context),
            NetworkVerb::Reload(reload) => reload.run(context),
            NetworkVerb::Connect(connect) => connect.run(context),
            NetworkVerb::Disconnect(disconnect) => disconnect.run(context),
        }
    }
}

#[cfg(test)]
mod tests;
