//! The few settings of the host that a bridge needs, and how they come back.
//!
//! Packets between a bridge and the link of the default route are forwarded: that is switched on for these two links alone,
//! never for the whole host where the kernel can tell. What a setting was before is recorded in a file before it is
//! changed, and set again when the last network goes. `route_localnet`, by which 127.0.0.1 reaches a container, is set on
//! bridges only, and goes with them; the firewall drops what comes from them to such addresses.

use crate::NetworkSpec;
use crate::link::Links;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

pub(super) struct Forwarding {
    /// One file for each bridge, named as it is.
    bridges: PathBuf,
    /// One file for each setting that was changed: its name is the setting's path below `/proc/sys/net` with colons for
    /// slashes, its content what it was.
    settings: PathBuf,
}

impl Forwarding {
    pub(super) fn recorded_in(folder: &Path) -> Self {
        Self { bridges: folder.join("bridges"), settings: folder.join("settings") }
    }

    /// Records that a bridge is there, or will be.
    pub(super) fn note_bridge(&self, bridge: &str) -> io::Result<()> {
        fs::create_dir_all(&self.bridges)?;
        fs::write(self.bridges.join(bridge), "")
    }

    /// Forgets a bridge, and with the last one sets everything as it was.
    pub(super) fn forget_bridge(&self, bridge: &str) -> io::Result<()> {
        let gone = |result: io::Result<()>| match result {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        };
        gone(fs::remove_file(self.bridges.join(bridge)))?;
        match fs::remove_dir(&self.bridges) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // Others are there.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => return Ok(()),
            Err(error) => return Err(error),
        }
        let Ok(entries) = fs::read_dir(&self.settings) else { return Ok(()) };
        for entry in entries {
            let path = entry?.path();
            let before = fs::read_to_string(&path)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().replace(':', "/");
            // A link that is gone has taken its settings along.
            gone(fs::write(Path::new("/proc/sys/net").join(name), before))?;
            gone(fs::remove_file(&path))?;
        }
        gone(fs::remove_dir(&self.settings))
    }

    /// The settings of a bridge that was just made.
    pub(super) fn prepare_bridge(&self, bridge: &str, network: &NetworkSpec) -> io::Result<()> {
        let four = |setting| format!("ipv4/conf/{bridge}/{setting}");
        let six = |setting| format!("ipv6/conf/{bridge}/{setting}");
        set(&four("forwarding"), if network.internal { "0" } else { "1" })?;
        if !network.internal {
            set(&four("route_localnet"), "1")?;
        }
        // Containers advertise no routes to the host (CVE-2020-10749); a kernel without IPv6 has no such setting.
        let has_six = network.subnets.iter().any(|subnet| subnet.address.is_ipv6());
        // Its addresses are known to be nobody else's: a bridge that looked first would not find its neighbours for a second.
        let disabled = if has_six { "0" } else { "1" };
        for (setting, value) in [("accept_ra", "0"), ("accept_dad", "0"), ("disable_ipv6", disabled)] {
            match set(&six(setting), value) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if has_six && !network.internal {
            self.forward_six(bridge)?;
        }
        Ok(())
    }

    /// Lets packets be forwarded that come back from wherever the host sends what it knows no other way for.
    pub(super) fn open_way_out(&self, links: &mut Links, network: &NetworkSpec) -> io::Result<()> {
        if network.internal {
            return Ok(());
        }
        for route in links.routes()?.iter().filter(|route| route.to.length == 0) {
            let family = |subnet: &crate::Prefix| subnet.address.is_ipv4() == route.to.address.is_ipv4();
            let Some(index) = route.link.filter(|_| network.subnets.iter().any(family)) else { continue };
            let Some(link) = links.list()?.into_iter().find(|link| link.index == index) else { continue };
            match route.to.address {
                IpAddr::V4(_) => self.change(&format!("ipv4/conf/{}/forwarding", link.name), "1")?,
                IpAddr::V6(_) => self.forward_six(&link.name)?,
            }
        }
        Ok(())
    }

    /// IPv6 is forwarded by one link where the kernel has a setting for that (6.17), else by all of them; then a link that
    /// learns its addresses from routers has to be told to go on doing so.
    fn forward_six(&self, link: &str) -> io::Result<()> {
        match self.change(&format!("ipv6/conf/{link}/force_forwarding"), "1") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => return result,
        }
        let accept = format!("ipv6/conf/{link}/accept_ra");
        if get(&accept)?.trim() == "1" {
            self.change(&accept, "2")?;
        }
        self.change("ipv6/conf/all/forwarding", "1")
    }

    /// Changes a setting of the host's, after it was recorded what it was.
    fn change(&self, setting: &str, value: &str) -> io::Result<()> {
        let before = get(setting)?;
        if before.trim() == value {
            return Ok(());
        }
        fs::create_dir_all(&self.settings)?;
        let record = self.settings.join(setting.replace('/', ":"));
        match fs::OpenOptions::new().write(true).create_new(true).open(&record) {
            Ok(mut file) => io::Write::write_all(&mut file, before.as_bytes())?,
            // Somebody else turned it back meanwhile: what it was at first is what comes back.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        set(setting, value)
    }
}

fn get(setting: &str) -> io::Result<String> {
    fs::read_to_string(Path::new("/proc/sys/net").join(setting))
}

fn set(setting: &str, value: &str) -> io::Result<()> {
    fs::write(Path::new("/proc/sys/net").join(setting), value)
}
