//! `daemon`: the engine for others, with the web page.

mod cert;

use super::{Context, Verb};
use crate::failure::{Failure, Outcome, line_of};
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
  tinyd daemon cert /etc/tinyd/certs --host build7
  tinyd daemon --listen tcp://0.0.0.0:2377 --cert-path /etc/tinyd/certs/server
  TINYD_CERT_PATH=certs/client tinyd -H tcp://build7:2377 ps"
)]
pub(crate) struct Serve {
    #[command(subcommand)]
    command: Option<Sub>,
    /// Where clients reach it, beside the socket in the run root: tcp://ADDRESS:PORT or unix:///PATH (may be repeated)
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<Address>,
    /// The folder with ca.pem, cert.pem and key.pem, for clients on a network
    #[arg(long, value_name = "DIR")]
    cert_path: Option<PathBuf>,
    /// Where the web page is; a loopback address
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:808")]
    web: SocketAddr,
    /// No web page
    #[arg(long, conflicts_with_all = ["web", "web_control"])]
    no_web: bool,
    /// Let who can read the file web-control in the run root start, stop and remove containers from the page
    #[arg(long)]
    web_control: bool,
    /// Leave the containers running at the end
    #[arg(long)]
    live_restore: bool,
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
        let engine = Arc::new(crate::engine::open_lasting(globals)?);
        let control = self.web_control.then(|| globals.run_root.join("web-control"));
        let said = control
            .as_ref()
            .map(|file| format!("who may change something opens the address in {}", file.display()));
        let web = WebOptions { address: self.web, control };
        let options = Options {
            lock: Some(globals.root.join("daemon.lock")),
            web: (!self.no_web).then_some(web),
            listen: [Address::Unix(crate::engine::socket(globals))].into_iter().chain(self.listen).collect(),
            certificates: self.cert_path,
            live_restore: self.live_restore,
        };
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
