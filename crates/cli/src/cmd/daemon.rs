//! `daemon`: the engine for others, with the web page.

mod cert;

use super::{Context, Verb};
use crate::failure::{Failure, Outcome, line_of};
use crate::globals::Globals;
use crate::settings::{parts, schema};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tinyd_api::Address;
use tinyd_daemon::{Daemon, Options, WebOptions};

/// Serve clients and the web page, until SIGINT or SIGTERM; then stop all containers
#[derive(clap::Parser, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Whoever may open its socket is as good as root: it is root's and the group tinyd's. On a network it is reached by mutual TLS
alone. A second signal skips the wait for containers that are slow to end.

Examples:
  tinyd daemon
  tinyd daemon --web 127.0.0.1:8080 --web-control
  tinyd daemon --no-web --live-restore
  TINYD_WEB=none tinyd daemon
  tinyd daemon cert /etc/tinyd/certs --host build7
  tinyd daemon --listen tcp://0.0.0.0:2377 --cert-path /etc/tinyd/certs/server
  TINYD_CERT_PATH=certs/client tinyd -H tcp://build7:2377 ps"
)]
pub(crate) struct Serve {
    #[command(subcommand)]
    command: Option<Sub>,
    /// Where clients reach it, beside the socket in the run root: tcp://ADDRESS:PORT or unix:///PATH (may be repeated)
    /// [$TINYD_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<Address>,
    /// The folder with ca.pem, cert.pem and key.pem, for clients on a network [$TINYD_DAEMON_CERT_PATH]
    #[arg(long, value_name = "DIR")]
    cert_path: Option<PathBuf>,
    /// Where the web page is; a loopback address [$TINYD_WEB] [default: 127.0.0.1:808]
    #[arg(long, value_name = "ADDRESS:PORT")]
    web: Option<SocketAddr>,
    /// No web page
    #[arg(long, conflicts_with_all = ["web", "web_control"])]
    no_web: bool,
    /// Let who can read the file web-control in the run root start, stop and remove containers from the page
    /// [$TINYD_WEB_CONTROL]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    web_control: Option<bool>,
    /// Leave the containers running at the end [$TINYD_LIVE_RESTORE]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    live_restore: Option<bool>,
}

#[derive(clap::Subcommand, Debug)]
enum Sub {
    Cert(cert::Make),
}

impl Verb for Serve {
    const NAME: &'static str = "daemon";

    fn run(self, context: &Context<'_>) -> Outcome {
        if let Some(Sub::Cert(make)) = self.command {
            return make.run(context);
        }
        tinyd_runtime::startup::keep_from_programs(3)
            .map_err(|error| Failure::failed("keep descriptors from containers", error))?;
        let globals = context.globals;
        let options = self.options(globals)?;
        let control = options.web.as_ref().and_then(|web| web.control.as_ref());
        let said =
            control.map(|file| format!("who may change something opens the address in {}", file.display()));
        let engine = Arc::new(crate::engine::open_lasting(globals)?);
        let daemon = Daemon::open(engine, options).map_err(|error| failure(&error))?;
        if let Some(address) = daemon.web_address() {
            context.console.tell(&format!("the web page is at http://{address}/"));
        }
        for port in daemon.ports() {
            context.console.tell(&format!("clients with a certificate reach it at tcp://{port}"));
        }
        if let Some(said) = said {
            context.console.tell(&said);
        }
        daemon.run().map_err(|error| failure(&error))?;
        Ok(0)
    }
}

impl Serve {
    /// What is wanted, with what was set behind what was said.
    fn options(self, globals: &Globals) -> Result<Options, Failure> {
        let settings = &globals.settings;
        let switch = |option: Option<bool>, setting| option.map_or_else(|| settings.is_on(setting), Ok);
        let has_control = !self.no_web && switch(self.web_control, &schema::WEB_CONTROL)?;
        let control = has_control.then(|| globals.run_root.join("web-control"));
        let address = match (self.no_web, self.web) {
            (true, _) => None,
            (false, Some(address)) => Some(address),
            (false, None) => settings.parse_held(&schema::WEB, page)?,
        };
        let listen = match self.listen.is_empty() {
            false => self.listen,
            true => settings.parse(&schema::LISTEN, addresses)?.unwrap_or_default(),
        };
        let set = || settings.get(&schema::DAEMON_CERT_PATH).map(|folder| PathBuf::from(&folder.text));
        Ok(Options {
            lock: Some(globals.root.join("daemon.lock")),
            web: address.map(|address| WebOptions { address, control }),
            listen: [Address::Unix(crate::engine::socket(globals))].into_iter().chain(listen).collect(),
            certificates: self.cert_path.or_else(set),
            live_restore: switch(self.live_restore, &schema::LIVE_RESTORE)?,
        })
    }
}

/// Where the page is, if there is one.
fn page(text: &str) -> Result<Option<SocketAddr>, String> {
    match text {
        "none" => Ok(None),
        text => text.parse().map(Some).map_err(|_| "it is neither ADDRESS:PORT nor none".to_owned()),
    }
}

fn addresses(text: &str) -> Result<Vec<Address>, String> {
    parts(text).map(|part| part.parse::<Address>().map_err(|error| error.to_string())).collect()
}

/// The whole chain in one line, with the remedy.
fn failure(error: &tinyd_daemon::Error) -> Failure {
    let mut line = error.to_string();
    match (error, std::error::Error::source(error)) {
        (tinyd_daemon::Error::Ending { source }, _) => line.push_str(&format!(": {}", line_of(source))),
        (_, Some(cause)) => line.push_str(&format!(": {cause}")),
        (_, None) => {}
    }
    if let Some(hint) = error.hint() {
        line.push_str(&format!(" ({hint})"));
    }
    Failure::Failed(line)
}
