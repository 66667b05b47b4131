//! A further command in a running container.

use crate::WindowSize;
use serde::{Deserialize, Serialize};

/// A command to run beside a container's own. Whatever is `None` is as for the container's own command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecSpec {
    /// The command with its arguments, passed on exactly.
    pub command: Vec<String>,
    /// `NAME=VALUE`, added to the container's environment.
    pub env: Vec<String>,
    /// `USER[:GROUP]`, names of the container's own passwd and group files or numbers.
    pub user: Option<String>,
    /// Absolute path of an existing folder inside.
    pub workdir: Option<String>,
    /// Gives the command a terminal.
    pub tty: bool,
    /// Keeps its standard input open.
    pub interactive: bool,
    /// Starts it and does not wait: no session, its output goes nowhere.
    pub detach: bool,
    /// The terminal's size at the first byte.
    pub window: Option<WindowSize>,
}
