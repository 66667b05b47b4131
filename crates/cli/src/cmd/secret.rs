//! `secret`: what a container's command may read, and nobody else.

mod create;
mod inspect;
mod list;
mod remove;

use super::{Context, Verb};
use crate::failure::Outcome;

/// Keep secrets, and forget them: passwords and keys that a container's command may read
#[derive(clap::Parser, Debug)]
#[command(
    long_about = "Keep secrets, and forget them: passwords and keys that a container's command may read.\n\n\
        'run --secret NAME' shows one as the file /run/secrets/NAME, in memory, to the command's user alone. What it holds is \
        nowhere else: not in 'inspect', not in the environment, not in the container's files.",
    after_help = "\
Examples:
  printf %s \"$PASSWORD\" | tinyd secret create db
  tinyd secret create tls-key /etc/ssl/private/key.pem
  tinyd run --rm --secret db host sh -c 'wc -c /run/secrets/db'
  tinyd secret ls
  tinyd secret rm db"
)]
pub(crate) struct Secret {
    #[command(subcommand)]
    verb: SecretVerb,
}

#[derive(clap::Subcommand, Debug)]
enum SecretVerb {
    Create(create::Create),
    #[command(visible_alias = "ls")]
    List(list::List),
    Inspect(inspect::Inspect),
    #[command(name = "rm", visible_aliases = ["remove", "delete"])]
    Remove(remove::Remove),
}

impl Verb for Secret {
    const NAME: &'static str = "secret";

    fn run(self, context: &Context<'_>) -> Outcome {
        match self.verb {
            SecretVerb::Create(create) => create.run(context),
            SecretVerb::List(list) => list.run(context),
            SecretVerb::Inspect(inspect) => inspect.run(context),
            SecretVerb::Remove(remove) => remove.run(context),
        }
    }
}

#[cfg(test)]
mod tests;
