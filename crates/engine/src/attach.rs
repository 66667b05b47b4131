//! Coming to a command that runs already.

use crate::WindowSize;
use serde::{Deserialize, Serialize};

/// How a running container is attached to.
///
/// What the command writes comes from now on; what it wrote before is in its log. Any number may be attached at once: each gets
/// all of the output, and the input of each reaches the command. The command does not wait for those who attach: one that is too
/// slow is told how much it missed ([`Output::Lost`](crate::Output::Lost)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachRequest {
    /// Input will come. When the last one who gives input has ended it, or is lost, an input that is no terminal ends.
    pub stdin: bool,
    /// The size that the terminal gets now. Programs draw their screen anew.
    pub window: Option<WindowSize>,
}
