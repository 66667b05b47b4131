//! The verbs, one file each, and the table that names them.

mod attach;
mod completion;
mod cp;
mod create;
mod daemon;
mod diff;
mod events;
mod exec;
mod export;
mod inspect;
mod kill;
mod logs;
mod mount;
mod network;
mod pause;
mod port;
mod ps;
mod rename;
mod restart;
mod rm;
mod run;
mod secret;
mod selftest;
mod start;
mod stats;
mod stop;
mod system;
mod top;
mod umount;
mod unpause;
mod update;
mod version;
mod volume;
mod wait;

use crate::argv::Form;
use crate::console::Console;
use crate::failure::{Codes, Failure, Outcome, line_of};
use crate::globals::Globals;
use crate::settings::Settings;
use crate::settings::schema::{self, Setting};
use clap::{ArgMatches, Command};
use tinyd_engine::Engine;

/// What a verb works with.
pub(crate) struct Context<'a> {
    /// The client's streams.
    pub(crate) console: Console<'a>,
    /// Where the engine lives.
    pub(crate) globals: &'a Globals,
    /// Opens the engine: not before the command line has been understood.
    pub(crate) open: &'a dyn Fn() -> tinyd_engine::Result<Box<dyn Engine>>,
}

impl Context<'_> {
    /// What was set elsewhere than on the command line.
    pub(crate) fn settings(&self) -> &Settings {
        &self.globals.settings
    }

    /// The engine.
    pub(crate) fn engine(&self) -> Result<Box<dyn Engine>, Failure> {
        Ok((self.open)()?)
    }

    /// Does a verb to each container: what it returns goes to standard output, a line each, failures to standard error,
    /// and one failure does not keep the others from being done.
    pub(crate) fn each(
        &self,
        containers: &[String],
        verb: impl Fn(&dyn Engine, &str) -> tinyd_engine::Result<String>,
    ) -> Outcome {
        let engine = self.engine()?;
        let mut unprinted = None;
        let mut last = 0;
        for container in containers {
            match verb(engine.as_ref(), container) {
                Ok(line) => unprinted = unprinted.or(self.console.line(&line).err()),
                Err(error) => {
                    self.console.tell(&line_of(&error));
                    last = error.exit_code();
                }
            }
        }
        match (last, unprinted) {
            (0, None) => Ok(0),
            (0, Some(failure)) => Err(failure),
            (code, _) => Err(Failure::Reported(code)),
        }
    }
}

/// A verb: its parser, and what it does.
trait Verb: clap::Parser {
    /// The word.
    const NAME: &'static str;
    /// Other words for it.
    const ALIASES: &'static [&'static str] = &[];
    /// How its failures become exit codes.
    const CODES: Codes = Codes::Management;
    /// How its arguments are read.
    const FORM: Form = Form::Mixed;

    /// Does it.
    fn run(self, context: &Context<'_>) -> Outcome;
}

/// A verb in the table.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    aliases: &'static [&'static str],
    pub(crate) codes: Codes,
    pub(crate) form: Form,
    parser: fn() -> Command,
    pub(crate) run: fn(&mut ArgMatches, &Context<'_>) -> Outcome,
}

impl Entry {
    const fn of<V: Verb>() -> Self {
        Self {
            name: V::NAME,
            aliases: V::ALIASES,
            codes: V::CODES,
            form: V::FORM,
            parser: V::command,
            run: |matches, context| match V::from_arg_matches_mut(matches) {
                Ok(verb) => verb.run(context),
                Err(error) => Err(Failure::Usage(error.to_string())),
            },
        }
    }

    /// The verb's own parser, for the words that follow the verb.
    pub(crate) fn command(&self) -> Command {
        (self.parser)()
            .name(self.name)
            .bin_name(format!("tinyd {}", self.name))
            .display_name(format!("tinyd-{}", self.name))
            .no_binary_name(true)
            .args_override_self(true)
    }
}

/// Every verb, in the order of the help.
pub(crate) const ENTRIES: &[Entry] = &[
    Entry::of::<run::Run>(),
    Entry::of::<create::Create>(),
    Entry::of::<start::Start>(),
    Entry::of::<stop::Stop>(),
    Entry::of::<restart::Restart>(),
    Entry::of::<kill::Kill>(),
    Entry::of::<pause::Pause>(),
    Entry::of::<unpause::Unpause>(),
    Entry::of::<update::Update>(),
    Entry::of::<rename::Rename>(),
    Entry::of::<rm::Remove>(),
    Entry::of::<attach::Attach>(),
    Entry::of::<exec::Exec>(),
    Entry::of::<logs::Logs>(),
    Entry::of::<cp::Copy>(),
    Entry::of::<diff::Diff>(),
    Entry::of::<export::Export>(),
    Entry::of::<ps::List>(),
    Entry::of::<top::Top>(),
    Entry::of::<stats::Stats>(),
    Entry::of::<inspect::Inspect>(),
    Entry::of::<events::Events>(),
    Entry::of::<port::Port>(),
    Entry::of::<wait::Wait>(),
    Entry::of::<mount::Mount>(),
    Entry::of::<umount::Unmount>(),
    Entry::of::<network::Network>(),
    Entry::of::<volume::Volume>(),
    Entry::of::<secret::Secret>(),
    Entry::of::<daemon::Serve>(),
    Entry::of::<system::System>(),
    Entry::of::<selftest::Test>(),
    Entry::of::<completion::Completion>(),
    Entry::of::<version::Version>(),
];

/// The verb of that word.
pub(crate) fn find(word: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.name == word || entry.aliases.contains(&word))
}

/// The whole parser: for help and for what no verb's own parser is asked about.
pub(crate) fn root() -> Command {
    let place = |setting: &Setting| {
        let default = match setting.default_text() {
            none if none.is_empty() => none,
            default => format!(" [default: {default}]"),
        };
        let option = setting.option.unwrap_or(setting.key);
        let help = format!("{} [${}]{default}", setting.help, setting.variable);
        clap::Arg::new(option).long(option).value_name("PATH").help(help)
    };
    Command::new("tinyd")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Runs programs in containers: no daemon, no image and no configuration needed")
        .after_help(EXAMPLES)
        .no_binary_name(true)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(clap::Arg::new("config").long("config").value_name("FILE").help(
            "The settings that hold where neither an option nor a variable says anything [$TINYD_CONFIG] [default: \
             /etc/tinyd/config.toml]",
        ))
        .arg(place(&schema::ROOT))
        .arg(place(&schema::RUN_ROOT))
        .arg(place(&schema::HOST).short('H').value_name("ADDRESS"))
        .arg(place(&schema::RUNTIME))
        .arg(
            place(&schema::MAX_CONTAINERS)
                .value_name("N")
                .value_parser(clap::value_parser!(i64))
                .allow_negative_numbers(true),
        )
        .subcommands(ENTRIES.iter().map(|entry| entry.command().visible_aliases(entry.aliases.to_vec())))
}

const EXAMPLES: &str = "\
Examples:
  tinyd run --rm host sh -c 'echo Hello World'
  tinyd run -it --rm host bash
  tinyd run -i /srv/redis --mem 500m --name c1 redis-server
  tinyd exec c1 redis-cli ping
  tinyd ps";

#[cfg(test)]
mod tests;
