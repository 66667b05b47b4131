//! `daemon cert`: what a daemon and its clients prove themselves with on a network.

use crate::cmd::Context;
use crate::failure::Outcome;
use std::path::PathBuf;

/// Make certificates for a daemon on a network and for its clients, with an authority of their own
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Makes DIR/ca.pem and DIR/ca-key.pem, DIR/server for the daemon's --cert-path and DIR/client for its clients' TINYD_CERT_PATH.
Whoever has the client's key is root on the daemon's machine.

Examples:
  tinyd daemon cert /etc/tinyd/certs --host build7 --host 10.0.0.7")]
pub(super) struct Make {
    /// A folder that is not there yet, or is empty
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// A name or address that clients reach the daemon by; without one, localhost, 127.0.0.1 and ::1
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
}

impl Make {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        let hosts = match self.hosts.is_empty() {
            true => ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec(),
            false => self.hosts,
        };
        tinyd_daemon::make_certificates(&self.folder, &hosts)?;
        context.console.line(&self.folder.display().to_string()).map(|()| 0)
    }
}
