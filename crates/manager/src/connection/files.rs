//! What a container reads of its networks: `hosts` and `resolv.conf`.

use super::Endpoint;
use crate::bundle::etc;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::store::Record;
use std::fs;
use std::net::IpAddr;

/// The files of `/etc` that tell of networks.
const FILES: [&str; 2] = ["hosts", "resolv.conf"];

impl Core {
    /// Writes them for these connections.
    pub(super) fn write_network_files(&self, record: &Record, endpoints: &[Endpoint]) -> Result<()> {
        let links = endpoints.iter().flat_map(|endpoint| &endpoint.state.interfaces);
        let addresses: Vec<_> = links.flat_map(|link| &link.addresses).map(|prefix| prefix.address).collect();
        let others: Vec<_> = extra_hosts(record, self.host_address(&record.places));
        self.write_etc(record, "hosts", &etc::hosts(&record.hostname, record.netns, &addresses, &others))?;
        let asked = self.asked(record, endpoints)?;
        self.tell_servers(record, endpoints, &asked.lookup)?;
        let text = etc::resolv_conf(record.netns, &asked.servers, &record.spec.dns);
        self.write_etc(record, "resolv.conf", &text)
    }

    /// Copies them from the container whose network namespace this one lives in.
    pub(crate) fn copy_network_files(&self, record: &Record, from: &str) -> Result<()> {
        for name in FILES {
            let path = self.store.container_file(from, name);
            let text = fs::read_to_string(&path).map_err(|source| Error::file("read", path, source))?;
            self.write_etc(record, name, &text)?;
        }
        Ok(())
    }

    /// In place: it may be mounted in the container by now.
    fn write_etc(&self, record: &Record, name: &str, text: &str) -> Result<()> {
        let path = self.store.container_file(&record.id, name);
        fs::write(&path, text).map_err(|source| Error::file("write", path, source))
    }
}

/// The names that a container knows by itself. One that stands for the host does where the host is known.
pub(crate) fn extra_hosts(record: &Record, host: Option<IpAddr>) -> Vec<(&str, IpAddr)> {
    let known = record.spec.dns.hosts.iter();
    known.filter_map(|other| Some((other.name.as_str(), other.address.or(host)?))).collect()
}
