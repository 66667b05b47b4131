//! How a session in the foreground is left, and what of the client's own reaches the command.

use crate::attach::{Keys, Session};

/// The options of every verb that stays with a container's command.
#[derive(clap::Args, Debug)]
pub(crate) struct SessionOptions {
    #[command(flatten)]
    keys: KeyOptions,
    /// Pass the signals that come here on to the command; with false they end this session alone
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = true, action = clap::ArgAction::Set)]
    sig_proxy: bool,
}

/// The keys, for the verbs that have nothing else to choose.
#[derive(clap::Args, Debug)]
pub(crate) struct KeyOptions {
    /// Keys that leave the command running and end this session, as in ctrl-p,ctrl-q; '' for none [default: ctrl-],
    /// or $TINYD_DETACH_KEYS]
    #[arg(long, value_name = "KEYS", value_parser = Keys::parse)]
    detach_keys: Option<Keys>,
}

impl From<SessionOptions> for Session {
    fn from(options: SessionOptions) -> Self {
        Self { sig_proxy: options.sig_proxy, ..options.keys.into() }
    }
}

impl From<KeyOptions> for Session {
    fn from(options: KeyOptions) -> Self {
        Self { detach_keys: options.detach_keys, sig_proxy: true }
    }
}
