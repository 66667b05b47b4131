//! What one container's questions are answered by, where it is not what all of its network have.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// How a container's questions are answered that its networks' own names do not answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lookup {
    /// The domains that it puts behind names; `None` for those that the host searches.
    pub search: Option<Vec<String>>,
    /// Who is asked for it; the host's servers where it is empty. One on a network of tinyd's that it is not on is not.
    pub servers: Vec<IpAddr>,
    /// It has a way out besides an internal network, whose server then asks others for it. By its address alone the server knows
    /// who asks: a neighbour that can send packets in its name (it was given `NET_RAW` or `NET_ADMIN`) can have questions leave
    /// the internal network by this.
    pub open: bool,
}
